"""Leaning in the picture plane: the part of a head's rotation that turning the picture makes exactly.

A rotation is a swing after which the picture is turned: R = Rz(−t)·S, where S has no turn about the line of sight
(swing–twist decomposition) and t is the lean, clockwise. Generators have seen heads lean by some degrees only
(`MotionSpace.lean_deg`). Up to these all of the lean is drawn, and shoulders and background stay where they are. Beyond
them the drawn part falls back until, at twice as many, the head is drawn upright: the less A has to do, the more
likeness is kept. The rest is taken out of the coordinates here and put back by turning the picture about its centre.
The `head` crop is centred on the head, so the turned picture is the crop of the leaning head.
"""

from __future__ import annotations

import torch

from mien.face3d.motion import ANGLE_NAMES, MotionSpace
from mien.geometry import lean_of, turned_angles


def take_lean(motion: MotionSpace, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What is drawn of faces, and by how much the picture is then turned; `give_lean` is the way back.

    Args:
        motion: of model "arkit" where it has a `lean_deg`; without one nothing is taken.
        q: (B, k) coordinates of the faces.

    Returns:
        (B, k) coordinates whose lean is at most that, and clockwise turns (B,) in radians, zero for most faces.
    """
    if motion.lean_deg is None:
        return q, torch.zeros(len(q))
    lean, limit = _lean(motion, q), torch.deg2rad(torch.tensor(motion.lean_deg))
    drawn = lean.sign() * lean.abs().minimum(2 * limit - lean.abs()).clamp(min=0)
    return give_lean(motion, q, drawn - lean), lean - drawn


def give_lean(motion: MotionSpace, q: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Coordinates (B, k) of the same faces in a picture turned clockwise by (B,) radians."""
    if not turn.any():
        return q
    columns, values = _columns(motion), motion.denormalise(q)
    values[:, columns] = torch.rad2deg(turned_angles(torch.deg2rad(values[:, columns]), turn))
    return torch.where((turn == 0)[:, None], q, motion.normalise(values))


def _lean(motion: MotionSpace, q: torch.Tensor) -> torch.Tensor:
    return lean_of(torch.deg2rad(motion.denormalise(q)[:, _columns(motion)]))


def _columns(motion: MotionSpace) -> list[int]:
    return [motion.index(name) for name in ANGLE_NAMES]
