"""Action units of the face (FACS) as switches, and how many of them differ between two faces (AU-H)."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from mien.errors import InputError
from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.metrics.running import RunningMean, Summary

ACTION_UNITS: Mapping[int, tuple[str, ...]] = {
    1: ("browInnerUp",),
    2: ("browOuterUp",),
    4: ("browDown",),
    5: ("eyeWide",),
    6: ("cheekSquint",),
    7: ("eyeSquint",),
    9: ("noseSneer",),
    10: ("mouthUpperUp",),
    12: ("mouthSmile",),
    14: ("mouthDimple",),
    15: ("mouthFrown",),
    16: ("mouthLowerDown",),
    17: ("mouthShrugLower",),
    18: ("mouthPucker",),
    20: ("mouthStretch",),
    22: ("mouthFunnel",),
    24: ("mouthPress",),
    26: ("jawOpen",),
    28: ("mouthRollLower", "mouthRollUpper"),
    45: ("eyeBlink",),
}
"""Number of an action unit → the ARKit coefficients that show it, without Left and Right; the largest counts."""

THRESHOLD = 0.25
"""Coefficient from which an action unit counts as shown."""


def action_units(params: FaceParams, threshold: float = THRESHOLD) -> torch.Tensor:
    """Which of `ACTION_UNITS` (B, 20) faces show, bool.

    Args:
        threshold: coefficient from which a unit counts as shown.

    Raises:
        InputError: parameters that are not ARKit coefficients.
    """
    if params.model != "arkit":
        raise InputError(f"Action units are read from ARKit coefficients, not from {params.model} parameters.")
    columns = [
        [i for i, name in enumerate(ARKIT_NAMES) if name.removesuffix("Left").removesuffix("Right") in stems]
        for stems in ACTION_UNITS.values()
    ]
    strongest = [params.expression[:, indices].amax(1) for indices in columns]
    return torch.stack(strongest, 1) >= threshold


class ActionUnitDistance:
    """Share of action units that are shown by one face and not by the other (normalised Hamming distance, AU-H).

    The literature's AU-H reads the units with a classifier of its own; ours come from a tracker's coefficients, so
    numbers compare only where the tracker is the same.
    """

    def __init__(self, threshold: float = THRESHOLD) -> None:
        self._threshold = threshold
        self._distances = RunningMean()

    def update(self, result: FaceParams, target: FaceParams) -> None:
        """Adds B faces and their targets; pairs in which either is not valid are left out.

        Raises:
            InputError: other parameters than ARKit coefficients, or unequal numbers of faces.
        """
        if len(result) != len(target):
            raise InputError(f"{len(result)} faces cannot be compared with {len(target)}.")
        differ = action_units(result, self._threshold) != action_units(target, self._threshold)
        self._distances.update(differ.double().mean(1), result.valid & target.valid)

    def result(self) -> Summary:
        """Summary of the share (scalars), 0 the same units .. 1 all different.

        Raises:
            InputError: no valid pair has been seen.
        """
        return self._distances.result()
