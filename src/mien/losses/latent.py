"""Regularisers of latent codes, per sample, and distances between clouds of them."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional as F


def offset_energy(offsets: torch.Tensor) -> torch.Tensor:
    """Mean square of the row offsets of a W+ code (e4e's delta regularisation). (B, L, D) → (B,)."""
    return offsets.float().square().mean((1, 2))


def code_distance(wp: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean square distance of W+ codes. (B, L, D) → (B,)."""
    return (wp.float() - truth.float()).square().mean((1, 2))


def row_spread(wp: torch.Tensor) -> torch.Tensor:
    """Mean square of what the rows of W+ codes differ from their mean. (B, L, D) → (B,)."""
    wp = wp.float()
    return (wp - wp.mean(1, keepdim=True)).square().mean((1, 2))


def centre_distance(wp: torch.Tensor, w_mean: torch.Tensor) -> torch.Tensor:
    """Mean square distance of the mean row of W+ codes (B, L, D) from w̄ (D,) → (B,)."""
    return (wp.float().mean(1) - w_mean).square().mean(1)


def sliced_wasserstein(codes: torch.Tensor, truth: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Squared 2-Wasserstein distance of two point clouds, averaged over projections (Bonneel et al. 2015); a scalar.

    Args:
        codes, truth: (N, D), equally many points.
        directions: (D, P) unit vectors.
    """
    ours, theirs = (points.float() @ directions for points in (codes, truth))
    return (ours.sort(0).values - theirs.sort(0).values).square().mean()


def random_directions(dim: int, count: int, draws: torch.Generator) -> torch.Tensor:
    """(D, P) unit vectors, uniformly distributed over the sphere, one in each column."""
    return F.normalize(torch.randn(dim, count, generator=draws), dim=0)


def transport_distance(codes: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean distance of codes to the points that they are assigned to, one to one, over √D; a scalar.

    The assignment moves all codes together least (smallest sum of squared distances); it has no gradient.

    Args:
        codes, truth: (N, D), equally many points.
    """
    cost = torch.cdist(codes.detach(), truth).square()
    _, assigned = linear_sum_assignment(cost.cpu().double().numpy())
    chosen = truth[torch.from_numpy(assigned).to(truth.device)]
    return (codes - chosen).norm(dim=1).mean() / codes.shape[1] ** 0.5
