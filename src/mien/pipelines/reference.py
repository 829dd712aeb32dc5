"""The driver's reference frame for relative driving: the most neutral one, a numbered one, or another picture."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from mien.errors import InputError, NoFaceError
from mien.face3d.motion import MotionSpace
from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.pipelines.watching import Seen

LIDS = ("blink_left", "blink_right")


def offset_from_neutral(motion: MotionSpace, params: FaceParams) -> torch.Tensor:
    """q − q_neutral (B, k) of B faces; neutral is the head straight ahead with every coefficient at zero.

    q itself is zero in the middle of each range, where a mouth is half open; so the neutral face's q is taken off.
    """
    return motion.encode(params.to("cpu")) - motion.normalise(torch.zeros(len(motion)))


def neutral_face(watch: Iterable[Seen], motion: MotionSpace) -> FaceParams:
    """The face of a driver's most neutral frame, eyes open, length 1; reads the driver to its end in constant memory.

    Lids do not count in the choice, and are set to where the driver opened them most: a blink comes and goes whatever
    the face does, and a frame that is neutral but for a blink would keep every blink from arriving.

    Raises:
        NoFaceError: no frame shows a face.
    """
    still = [i for i, name in enumerate(motion.names) if name not in LIDS]
    lids = [ARKIT_NAMES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
    best, opened, least, count = None, None, float("inf"), 0
    for seen in watch:
        count += 1
        if not seen.is_found:
            continue
        closed = seen.params.expression[:, lids]
        opened = closed if opened is None else torch.minimum(opened, closed)
        distance = float(offset_from_neutral(motion, seen.params)[:, still].norm())
        if best is None or distance < least:
            best, least = seen.params, distance
    if best is None or opened is None:
        raise NoFaceError(f"no face was found in any of the {count} driver frames")
    if best.model != "arkit":
        return best
    expression = best.expression.clone()
    expression[:, lids] = opened
    return replace(best, expression=expression)


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
