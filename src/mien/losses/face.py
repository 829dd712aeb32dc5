"""Losses on the geometry and identity of faces, per sample (METHODS section 2)."""

from __future__ import annotations

import torch

from mien.face3d.shape import PosedHead

EYE_PAIRS = ((36, 39), (37, 41), (38, 40), (42, 45), (43, 47), (44, 46))
MOUTH_PAIRS = ((48, 54), (49, 59), (50, 58), (51, 57), (52, 56), (53, 55), (60, 64), (61, 67), (62, 66), (63, 65))


def shape_loss(result: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """L_sh: mean L1 over the shape vertices (B, V, 3), pixels → (B,)."""
    return (result - truth).abs().mean((1, 2))


def pair_loss(result: torch.Tensor, truth: torch.Tensor, pairs: tuple[tuple[int, int], ...]) -> torch.Tensor:
    """L_eye, L_mouth: mean over landmark pairs and both axes of the L1 between per-axis absolute pair distances.

    Args:
        result, truth: (B, 68, 2 or 3) pixels.
        pairs: EYE_PAIRS or MOUTH_PAIRS.
    """
    first, second = (list(side) for side in zip(*pairs, strict=True))

    def spread(points: torch.Tensor) -> torch.Tensor:
        return (points[:, first, :2] - points[:, second, :2]).abs()

    return (spread(result) - spread(truth)).abs().mean((1, 2))


def geometry_losses(result: PosedHead, truth: PosedHead) -> dict[str, torch.Tensor]:
    """L_sh, L_eye and L_mouth of heads of any shape model, each (B,), as "shape", "eye", "mouth"."""
    return {
        "shape": shape_loss(result.vertices, truth.vertices),
        "eye": pair_loss(result.landmarks, truth.landmarks, EYE_PAIRS),
        "mouth": pair_loss(result.landmarks, truth.landmarks, MOUTH_PAIRS),
    }


def identity_loss(result: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """L_id = 1 − cosine of unit embeddings (B, E) → (B,)."""
    return 1 - (result * truth).sum(1)
