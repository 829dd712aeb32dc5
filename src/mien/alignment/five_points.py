"""Alignment of a face by five points, as the published identity losses want it.

A similarity takes the template's eyes, nose tip and mouth corners to those of the face; sampling along it gives the
aligned face. Everything is batched and differentiable.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

FACE_PX = 112
TEMPLATE_HEIGHT_PX, TEMPLATE_WIDTH_PX = 112, 96
TEMPLATE_POINTS = (
    (30.2946, 51.6963),
    (65.5318, 51.5014),
    (48.0252, 71.7366),
    (33.5493, 92.3655),
    (62.7299, 92.2041),
)
"""Eyes, nose tip, mouth corners in a 96 × 112 face (Liu et al. 2017); widened to a square where they are used."""


def five_points(landmarks: torch.Tensor) -> torch.Tensor:
    """68 points (..., 68, 2) → (..., 5, 2): middles of the two eyes, nose tip, two mouth corners."""
    eyes = landmarks[..., 36:42, :].mean(-2), landmarks[..., 42:48, :].mean(-2)
    return torch.stack([*eyes, *(landmarks[..., i, :] for i in (30, 48, 54))], -2)


def fit_similarity(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The similarity (no mirroring) that takes `source` to `target` with the least squared distance.

    Args:
        source, target: (..., N, 2) points; `source` must not be a single point.

    Returns:
        (..., 2, 3) matrices [[a, −b, t_x], [b, a, t_y]].
    """
    source_mean, target_mean = source.mean(-2), target.mean(-2)
    x, y = (source - source_mean[..., None, :]).unbind(-1)
    u, v = (target - target_mean[..., None, :]).unbind(-1)
    spread = (x * x + y * y).sum(-1)
    a, b = (x * u + y * v).sum(-1) / spread, (x * v - y * u).sum(-1) / spread
    linear = torch.stack([torch.stack([a, -b], -1), torch.stack([b, a], -1)], -2)
    offset = target_mean - (linear @ source_mean[..., None]).squeeze(-1)
    return torch.cat([linear, offset[..., None]], -1)


def sampling_matrix(landmarks: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Where the pixels of the aligned face lie in the picture, as `torch.nn.functional.affine_grid` reads it.

    Both sides are scaled to −1…1 by n = 2·x/width − 1, the published formula.

    Args:
        landmarks: (..., 68, 2) pixels of the picture.
        size: (height, width) of the picture.

    Returns:
        (..., 2, 3) maps from normalised places in the aligned face to normalised places in the picture.
    """
    template = landmarks.new_tensor(TEMPLATE_POINTS) * (
        2 / landmarks.new_tensor([TEMPLATE_WIDTH_PX, TEMPLATE_HEIGHT_PX])
    )
    half = landmarks.new_tensor([size[1], size[0]]) / 2
    face = (template - 1) * (FACE_PX / 2)  # pixels from the middle of the aligned face
    matrix = fit_similarity(face.expand(*landmarks.shape[:-2], 5, 2), five_points(landmarks))
    centred = torch.cat([matrix[..., :2] * (FACE_PX / 2), matrix[..., 2:] - half[:, None]], -1)
    return centred / half[:, None]


def align_faces(images: torch.Tensor, landmarks: torch.Tensor) -> torch.Tensor:
    """Aligned faces: bilinear samples, zero outside the picture.

    Args:
        images: (B, C, H, W).
        landmarks: (B, 68, 2) pixels of these pictures.

    Returns:
        (B, C, 112, 112) for `ArcFaceNet.embed_aligned`.
    """
    theta = sampling_matrix(landmarks.to(images), (images.shape[-2], images.shape[-1]))
    grid = F.affine_grid(theta, [len(images), images.shape[1], FACE_PX, FACE_PX], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
