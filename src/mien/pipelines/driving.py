"""From a driver's motion to the change of coordinates that moves the source (METHODS sections 1 and 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch

from mien.errors import InputError
from mien.face3d.leaning import give_lean, take_lean
from mien.face3d.motion import GROUPS, MotionSpace

T = TypeVar("T")
Strength = float | Mapping[str, float]
MAX_STRENGTH = 3
SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "smile": ("mouth_smile",),
    "frown": ("mouth_frown",),
    "pucker": ("mouth_pucker",),
    "blink": ("blink_left", "blink_right"),
}
"""What people call coordinates of the `arkit` space."""


def strength_vector(motion: MotionSpace, strength: Strength) -> torch.Tensor:
    """Factor on each coordinate's change, (k,).

    Args:
        strength: one factor for all, or factors by group (pose, mouth, brows, eyes) or coordinate name; the latter win,
            what is not named keeps 1.

    Raises:
        InputError: a name that is neither, a group of which the motion space has no coordinate, or a factor outside
            [0, 3].
    """
    factors = {"all": strength} if isinstance(strength, (int, float)) else dict(strength)
    for name, value in factors.items():
        if not 0 <= value <= MAX_STRENGTH:
            raise InputError(f"strength {value} of {name} is outside 0 to {MAX_STRENGTH}")
        if name not in ("all", *GROUPS, *motion.names):
            raise InputError(f"unknown strength {name!r}; use a number or {', '.join((*GROUPS, *motion.names))}")
    vector = torch.full((len(motion),), float(factors.get("all", 1.0)))
    for group in GROUPS:
        if group in factors:
            members = [motion.names.index(name) for name in GROUPS[group] if name in motion.names]
            if not members:
                raise InputError(f"this bundle has no coordinates of the {group}; it has {', '.join(motion.names)}")
            vector[members] = float(factors[group])
    for index, name in enumerate(motion.names):
        if name in factors:
            vector[index] = float(factors[name])
    return vector


def motion_change(
    source: torch.Tensor,
    driver: torch.Tensor,
    reference: torch.Tensor | None = None,
    strength: torch.Tensor | float = 1.0,
) -> torch.Tensor:
    """Δq (B, k) that takes the source towards the driver; `within_range` cuts it.

    Absolute: Δq = strength · (q_driver − q_source). Relative: Δq = strength · (q_driver − q_reference).

    Args:
        source: (1, k) coordinates of the source.
        driver: (B, k) coordinates of the driver's frames.
        reference: (1, k) coordinates of the driver's reference frame, or None for absolute driving.
        strength: factor per coordinate, (k,).
    """
    return strength * (driver - (source if reference is None else reference))


def within_range(motion: MotionSpace, source: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
    """Δq (B, k) cut to where the source (1, k) stays in the trained range; one outside by itself may stay.

    What is done by turning the picture (`mien.face3d.leaning`) has no limit.
    """
    (target, turn), (start, _) = (take_lean(motion, q) for q in (source + change, source))
    least, greatest = motion.limits().to(source)
    low, high = torch.minimum(start, least), torch.maximum(start, greatest)
    return give_lean(motion, torch.minimum(torch.maximum(target, low), high), turn) - source


def spelt_out(motion: MotionSpace, targets: Mapping[str, T]) -> dict[str, T]:
    """Targets by coordinate, where short names such as smile and blink stand for the coordinates they mean."""
    named: dict[str, T] = {}
    for name, value in targets.items():
        members = SHORT_NAMES.get(name, ()) if name not in motion.names else (name,)
        named |= dict.fromkeys([member for member in members if member in motion.names] or [name], value)
    return named


def edit_change(
    motion: MotionSpace, source: torch.Tensor, targets: Mapping[str, float], bounded: bool = True
) -> torch.Tensor:
    """Δq (1, k) that takes named coordinates to absolute targets and leaves the others.

    Args:
        source: (1, k) coordinates of the source.
        targets: coordinate or short name → degrees for yaw, pitch and roll, unit weight for expressions.
        bounded: cut the change with `within_range`; as `DirectionMatrix.is_bounded` says of the matrix that reads it.

    Raises:
        InputError: unknown name, or a value that is not finite.
    """
    targets = spelt_out(motion, targets)
    values = motion.denormalise(source).clone()
    for name, value in targets.items():
        if name not in motion.names:
            raise InputError(f"unknown coordinate {name!r}; known: {', '.join(motion.names)}")
        if not torch.isfinite(torch.tensor(float(value))):
            raise InputError(f"{name} = {value} is not a number")
        values[:, motion.names.index(name)] = float(value)
    named = torch.tensor([name in targets for name in motion.names], device=source.device)
    change = motion_change(source, motion.normalise(values))
    change = within_range(motion, source, change) if bounded else change
    return torch.where(named, change, 0.0)
