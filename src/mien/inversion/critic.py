"""A discriminator of latent codes (e4e, Tov et al. 2021)."""

from __future__ import annotations

import torch
from torch import nn

from mien.stylegan2.layers import EqualLinear


class CodeCritic(nn.Module):
    """Tells codes of the mapping network from codes of an encoder: (B, D) → logits (B, 1)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        layers = [EqualLinear(dim, dim, act=True) for _ in range(3)]
        self.layers = nn.Sequential(*layers, EqualLinear(dim, 1))

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        return self.layers(w)
