"""From MediaPipe's scale to the scale of the ICT head, so that one scale serves renders and photographs.

Both speak of the same 51 coefficients, but MediaPipe answers a smile of ICT weight .25 with a score of .1 and closed
eyes with .55. The tables were measured on renders with known weights (1500 frames of 500 procedural people, and a
study with photo-textured heads) and are read backwards. MediaPipe reads painted brows badly; their rows are estimates.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from mien.face3d.params import ARKIT_NAMES, FaceParams

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
SCORES_AT_WEIGHTS: dict[str, tuple[float, float, float, float, float]] = {
    "browDown": (0.02, 0.20, 0.40, 0.55, 0.70),
    "browInnerUp": (0.02, 0.30, 0.55, 0.72, 0.87),
    "browOuterUp": (0.02, 0.30, 0.55, 0.75, 0.90),
    "eyeBlink": (0.02, 0.18, 0.30, 0.42, 0.55),
    "eyeLookDown": (0.15, 0.42, 0.60, 0.70, 0.80),
    "eyeLookIn": (0.03, 0.18, 0.32, 0.45, 0.60),
    "eyeLookOut": (0.06, 0.25, 0.45, 0.60, 0.75),
    "jawOpen": (0.00, 0.17, 0.42, 0.60, 0.75),
    "mouthLeft": (0.00, 0.03, 0.20, 0.40, 0.60),
    "mouthPucker": (0.02, 0.16, 0.32, 0.55, 0.78),
    "mouthRight": (0.00, 0.03, 0.20, 0.40, 0.60),
    "mouthSmile": (0.00, 0.10, 0.43, 0.72, 0.95),
    "mouthUpperUp": (0.00, 0.06, 0.22, 0.38, 0.60),
}
"""MediaPipe's median score at each of `WEIGHTS`, by coefficient, Left and Right alike."""
_DOUBTFUL = {
    "browDown": 0.4,
    "browInnerUp": 0.6,
    "browOuterUp": 0.5,
    "eyeLookDown": 0.6,
    "mouthLeft": 0.5,
    "mouthRight": 0.5,
}

ANGLE_SCALE = (1.08, 0.97, 0.98)
ANGLE_SHIFT_DEG = (0.0, -1.2, 0.0)
"""True angle = scale · MediaPipe's angle + shift: it under-reads yaw and its zero of pitch lies 1.2 degrees lower."""


def _stem(name: str) -> str:
    return name if name in SCORES_AT_WEIGHTS else name.removesuffix("Left").removesuffix("Right")


def known_coefficients(silent: float = 0.0) -> np.ndarray:
    """(51,) how far MediaPipe's score says something about the ICT weight: 0 to 1.

    Args:
        silent: what the coefficients get whose scores are not in the tables.
    """
    stems = [_stem(name) for name in ARKIT_NAMES]
    return np.array([_DOUBTFUL.get(stem, 1.0) if stem in SCORES_AT_WEIGHTS else silent for stem in stems])


def to_ict_scale(params: FaceParams) -> FaceParams:
    """Faces measured by MediaPipe, with angles and expression (piecewise linear) on the ICT head's scale."""
    scores = params.expression.numpy()
    columns = []
    for i, name in enumerate(ARKIT_NAMES):
        row = SCORES_AT_WEIGHTS.get(_stem(name))
        columns.append(scores[:, i] if row is None else np.interp(scores[:, i], row, WEIGHTS))
    scale, shift = torch.tensor(ANGLE_SCALE), torch.deg2rad(torch.tensor(ANGLE_SHIFT_DEG))
    return replace(
        params,
        angles=params.angles * scale + shift,
        expression=torch.from_numpy(np.stack(columns, 1)).to(params.expression),
    )
