"""Regularisers of latent codes, per sample."""

from __future__ import annotations

import torch


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
