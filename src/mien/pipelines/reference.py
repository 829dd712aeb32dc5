"""The driver's reference frame for relative driving: the most neutral one, a numbered one, or another picture."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from mien.errors import InputError, NoFaceError
from mien.face3d.motion import MotionSpace
from mien.face3d.params import FaceParams
from mien.pipelines.watching import Seen

CLOSED = 0.3
"""Weight of a lid's blink from which an eye does not count as open."""


def distance_from_neutral(motion: MotionSpace, params: FaceParams) -> torch.Tensor:
    """|q − q_neutral| (B,) of B faces; neutral is the head straight ahead with every coefficient at zero.

    q itself is zero in the middle of each range, where a mouth is half open; so the neutral face's q is taken off.
    """
    neutral = motion.normalise(torch.zeros(len(motion)))
    return (motion.encode(params.to("cpu")) - neutral).norm(dim=1)


def is_blinking(motion: MotionSpace, params: FaceParams) -> bool:
    """Whether the lids of one face are closed by more than CLOSED; False where the motion space has no lids."""
    lids = [motion.index(name) for name in ("blink_left", "blink_right") if name in motion.names]
    return bool((motion.read(params.to("cpu"))[0, lids] > CLOSED).any())


def neutral_face(watch: Iterable[Seen], motion: MotionSpace) -> FaceParams:
    """The face of a driver's most neutral frame, length 1; reads the driver to its end, in constant memory.

    A frame with open eyes goes before one with closed eyes, whatever their distances: somebody who smiles throughout is
    least far from neutral in a blink, and with that as the reference no blink would arrive.

    Raises:
        NoFaceError: no frame shows a face.
    """
    best, least, count = None, (True, float("inf")), 0
    for seen in watch:
        count += 1
        if not seen.is_found:
            continue
        rank = is_blinking(motion, seen.params), float(distance_from_neutral(motion, seen.params))
        if best is None or rank < least:
            best, least = seen.params, rank
    if best is None:
        raise NoFaceError(f"no face was found in any of the {count} driver frames")
    return best


def numbered_face(watch: Iterable[Seen], number: int) -> FaceParams:
    """The face of a driver's frame, counted from 0; reads no further than there, and by one batch ahead.

    Raises:
        InputError: the driver has no such frame.
        NoFaceError: no face in it.
    """
    count = 0
    for count, seen in enumerate(watch, start=1):
        if count <= number:
            continue
        if not seen.is_found:
            raise NoFaceError(f"frame {number} of the driver, which is to be the reference, shows no face")
        return seen.params
    raise InputError(f"the driver has no frame {number}; its {count} frames count from 0")
