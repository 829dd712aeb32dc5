"""Net3D looks twice, as in use: at the upright square of a face, then at mouth and eyes enlarged; differentiable.

Where faces, mouths and eyes lie is read without gradients; what they show passes gradients on to the pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from mien.face3d import FaceParams
from mien.tracking.closeup import EYE_SHARE, LEFT_EYE, MOUTH, MOUTH_SHARE, RIGHT_EYE, CloseUpNet, CloseUps
from mien.tracking.framing import upright_frame
from mien.tracking.regressor import FaceReading, FaceRegressor

Square = tuple[np.ndarray, float, float]
"""Centre (x, y), side in pixels and tilt in radians, clockwise > 0."""


def cut(images: torch.Tensor, squares: Sequence[Square], size: int) -> torch.Tensor:
    """One square of each picture (B, 3, S, S), upright: (B, 3, size, size), bilinear; differentiable in the pixels."""
    picture = images.shape[-1]
    rows = []
    for centre, side, tilt in squares:
        cosine, sine = np.cos(tilt) * side / picture, np.sin(tilt) * side / picture
        x, y = (2 * np.asarray(centre) + 1) / picture - 1
        rows.append([[cosine, -sine, x], [sine, cosine, y]])
    field = F.affine_grid(images.new_tensor(rows), [len(images), 3, size, size], align_corners=False)
    return F.grid_sample(images, field, padding_mode="reflection", align_corners=False)


def look_closer(
    regressor: FaceRegressor, closeup: CloseUpNet, images: torch.Tensor, first: FaceParams, landmarks: np.ndarray
) -> FaceParams:
    """What a first look read of (B, 3, S, S) pictures, with the expression of a second one and of close-ups.

    Args:
        regressor, closeup: the networks.
        images: in [−1, 1].
        first: of the same faces; angles, landmarks and score stay.
        landmarks: (B, 68, 2) in pixels of the pictures.
    """
    images = images.float()
    frames = [upright_frame(points) for points in landmarks]
    reading: FaceReading = regressor(cut(images, frames, regressor.config.crop_px))

    def part(points: slice, share: float, size: int) -> torch.Tensor:
        middles = landmarks[:, points].mean(1)
        squares = [(xy, share * max(side, 1.0), tilt) for xy, (_, side, tilt) in zip(middles, frames, strict=True)]
        return cut(images, squares, size)

    config = closeup.config
    right, left = (part(eye, EYE_SHARE, config.eye_px) for eye in (RIGHT_EYE, LEFT_EYE))
    seen = CloseUps(part(MOUTH, MOUTH_SHARE, config.mouth_px), torch.stack([right, left.flip(3)], 1))
    expression = (reading.expression + closeup(seen, reading).correction).sigmoid()
    return replace(first, expression=expression)
