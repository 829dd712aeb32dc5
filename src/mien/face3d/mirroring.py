"""Which landmark and which coefficient of a face is which in a mirror."""

from __future__ import annotations

import numpy as np

from mien.face3d.params import ARKIT_NAMES


def _mirrored_landmarks() -> np.ndarray:
    order = np.arange(68)
    order[:17] = order[:17][::-1]
    order[17:27] = order[17:27][::-1]
    order[31:36] = order[31:36][::-1]
    order[36:48] = [45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40]
    order[48:55], order[55:60] = order[48:55][::-1], order[55:60][::-1]
    order[60:65], order[65:68] = order[60:65][::-1], order[65:68][::-1]
    return order


def _mirrored_coefficients() -> np.ndarray:
    swap = {"Left": "Right", "Right": "Left"}
    names = list(ARKIT_NAMES)
    mirrored = []
    for name in names:
        side = next((s for s in swap if name.endswith(s)), None)
        mirrored.append(names.index(name[: -len(side)] + swap[side]) if side else names.index(name))
    return np.array(mirrored)


MIRRORED_LANDMARKS = _mirrored_landmarks()
"""(68,) Point i of a mirrored face is point MIRRORED_LANDMARKS[i] of the original."""
MIRRORED_COEFFICIENTS = _mirrored_coefficients()
"""(51,) The same for ARKit coefficients."""
