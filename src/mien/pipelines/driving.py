"""From a driver's motion to the change of coordinates that moves the source (METHODS sections 1 and 2)."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mien.errors import InputError
from mien.face3d.motion import GROUPS, Q_LIMIT, MotionSpace

Strength = float | Mapping[str, float]
MAX_STRENGTH = 3


def strength_vector(motion: MotionSpace, strength: Strength) -> torch.Tensor:
    """Factor on each coordinate's change, (k,).

    Args:
        strength: one factor for all, or factors by group (pose, mouth, brows, eyes) or coordinate name; the latter win,
            what is not named keeps 1.

    Raises:
        InputError: a name that is neither, or a factor outside [0, 3].
    """
    factors = {"all": strength} if isinstance(strength, (int, float)) else dict(strength)
    for name, value in factors.items():
        if not 0 <= value <= MAX_STRENGTH:
            raise InputError(f"strength {value} of {name} is outside 0 to {MAX_STRENGTH}")
        if name not in ("all", *GROUPS, *motion.names):
            raise InputError(f"unknown strength {name!r}; use a number or {', '.join((*GROUPS, *motion.names))}")
    vector = torch.full((len(motion),), float(factors.get("all", 1.0)))
    for group, members in GROUPS.items():
        if group in factors:
            vector[[motion.names.index(name) for name in members if name in motion.names]] = float(factors[group])
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
    """Δq (B, k) that takes the source towards the driver.

    Absolute: Δq = strength · (q_driver − q_source). Relative: Δq = strength · (q_driver − q_reference). Where the
    source would then leave the trained range [−6, 6] the change is cut; a source outside by itself may stay there.

    Args:
        source: (1, k) coordinates of the source.
        driver: (B, k) coordinates of the driver's frames.
        reference: (1, k) coordinates of the driver's reference frame, or None for absolute driving.
        strength: factor per coordinate, (k,).
    """
    change = strength * (driver - (source if reference is None else reference))
    low, high = source.clamp(max=-Q_LIMIT), source.clamp(min=Q_LIMIT)
    return torch.minimum(torch.maximum(source + change, low), high) - source


def edit_change(motion: MotionSpace, source: torch.Tensor, targets: Mapping[str, float]) -> torch.Tensor:
    """Δq (1, k) that takes named coordinates to absolute targets and leaves the others.

    Args:
        source: (1, k) coordinates of the source.
        targets: coordinate name → degrees for yaw, pitch and roll, unit weight for expressions.

    Raises:
        InputError: unknown name, or a value that is not finite.
    """
    values = motion.denormalise(source).clone()
    for name, value in targets.items():
        if name not in motion.names:
            raise InputError(f"unknown coordinate {name!r}; known: {', '.join(motion.names)}")
        if not torch.isfinite(torch.tensor(float(value))):
            raise InputError(f"{name} = {value} is not a number")
        values[:, motion.names.index(name)] = float(value)
    named = torch.tensor([name in targets for name in motion.names], device=source.device)
    return torch.where(named, motion_change(source, motion.normalise(values)), 0.0)
