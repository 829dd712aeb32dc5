"""Distances between pictures, per sample. Pictures are (B, 3, H, W) in [−1, 1]."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F


def weighted_l1(result: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Mean of |result − truth|, optionally weighted by (B, 1, H, W) maps of mean one."""
    distance = (result - truth).abs()
    return (distance if weight is None else distance * weight).mean((1, 2, 3))


def pyramid_l1(
    result: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor, levels: int = 3, finest: float = 1.0
) -> torch.Tensor:
    """Sum of weighted L1 over a mean pyramid, plus L1 of the finest finite differences (edges).

    The finest level and the edges count `finest` times: where they cannot be foretold, they ask for blur.
    """
    along_x = weighted_l1(result.diff(dim=3), truth.diff(dim=3), weight[..., 1:])
    along_y = weighted_l1(result.diff(dim=2), truth.diff(dim=2), weight[..., 1:, :])
    total = finest * (along_x + along_y + weighted_l1(result, truth, weight))
    for _ in range(1, levels):
        result, truth, weight = (F.avg_pool2d(x, 2) for x in (result, truth, weight))
        total = total + weighted_l1(result, truth, weight)
    return total


def feature_l1(result: Sequence[torch.Tensor], truth: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean over layers of |f(result) − f(truth)| / mean |f(truth)|: a perceptual distance in any feature net."""
    distances = []
    for ours, theirs in zip(result, truth, strict=True):
        theirs = theirs.detach().float()
        scale = theirs.abs().mean((1, 2, 3)) + 1e-4
        distances.append((ours.float() - theirs).abs().mean((1, 2, 3)) / scale)
    return torch.stack(distances).mean(0)
