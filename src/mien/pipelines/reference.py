"""The driver's reference frame for relative driving: the most neutral one, a numbered one, or another picture."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from mien.errors import InputError, NoFaceError
from mien.face3d.motion import MotionSpace
from mien.face3d.params import FaceParams
from mien.pipelines.watching import Seen


def distance_from_neutral(motion: MotionSpace, params: FaceParams) -> torch.Tensor:
    """|q − q_neutral| (B,) of B faces; neutral is the head straight ahead with every coefficient at zero.

    q itself is zero in the middle of each range, where a mouth is half open; so the neutral face's q is taken off.
    """
    neutral = motion.normalise(torch.zeros(len(motion)))
    return (motion.encode(params.to("cpu")) - neutral).norm(dim=1)


def neutral_face(watch: Iterable[Seen], motion: MotionSpace) -> FaceParams:
    """The face of a driver's most neutral frame, length 1; reads the driver to its end, in constant memory.

    Raises:
        NoFaceError: no frame shows a face.
    """
    best, least, count = None, float("inf"), 0
    for seen in watch:
        count += 1
        if seen.is_found and (distance := float(distance_from_neutral(motion, seen.params))) < least:
            best, least = seen.params, distance
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
