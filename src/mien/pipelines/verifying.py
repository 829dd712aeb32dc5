"""Did an edit arrive? The tracker reads the edited pictures back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mien.errors import InputError
from mien.face3d.motion import MotionSpace
from mien.pipelines.driving import spelt_out
from mien.pipelines.faces import Face, measure_face
from mien.tracking import Tracker


@dataclass(frozen=True)
class Reading:
    """What was asked of one coordinate in one picture, and what the tracker saw there.

    Attributes:
        picture: number of the picture within the edit, from 0.
        name: the coordinate.
        asked: degrees for angles, unit weights for expressions.
        given: the same after it was cut to the range that the bundle was trained on.
        measured: the same as the tracker read it from the result; None where it found no face.
    """

    picture: int
    name: str
    asked: float
    given: float
    measured: float | None


def read_back(
    tracker: Tracker,
    motion: MotionSpace,
    pictures: Mapping[int, np.ndarray],
    asked: Sequence[Mapping[str, float]],
    given: torch.Tensor,
) -> list[Reading]:
    """Measure some pictures of an edit; readings in the order of pictures and, within one, of names.

    The tracker may be the one that the directions were trained with, which makes it a lenient judge.

    Args:
        pictures: number within the edit → uint8 (S, S, 3), one person each.
        asked: the targets of all P pictures of the edit, coordinates or short names.
        given: (P, k) coordinates q that they were drawn for.
    """
    readings, values = [], motion.denormalise(given)
    for index, picture in sorted(pictures.items()):
        seen = _natural_values(tracker, motion, picture)
        for name, target in spelt_out(motion, asked[index]).items():
            column = motion.index(name)
            measured = None if seen is None else float(seen[column])
            readings.append(Reading(index, name, float(target), float(values[index, column]), measured))
    return readings


def _natural_values(tracker: Tracker, motion: MotionSpace, picture: np.ndarray) -> torch.Tensor | None:
    face: Face = "largest"
    try:
        return motion.read(measure_face(tracker, picture, face).to("cpu"))[0]
    except InputError:
        return None
