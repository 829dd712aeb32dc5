"""Directions (BMVC 2022): w_r = w_s + A·Δq, a linear map from motion coordinates to shifts in W+."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mien.face3d.motion import Q_LIMIT


@dataclass(frozen=True, kw_only=True)
class DirectionConfig:
    """k coordinates in, the first `rows` rows of `dim` channels out.

    Published weights carry a bias and take every Δq as it comes; ours have none and are kept within their trained
    range.

    Attributes:
        bounded: whether coordinates are cut to the trained range; None, as in files older than this setting, means yes.
    """

    coordinates: int = 26
    rows: int = 8
    dim: int = 512
    bias: bool = False
    bounded: bool | None = None


class DirectionMatrix(nn.Module):
    """A: Δq (B, k) → shift (B, rows, dim) of the first W+ rows. Initialised N(0, 0.03²)."""

    def __init__(self, config: DirectionConfig) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.Linear(config.coordinates, config.rows * config.dim, bias=config.bias)
        nn.init.normal_(self.linear.weight, std=0.03)

    @property
    def is_bounded(self) -> bool:
        """Whether coordinates stay within the range that A was trained on; published weights know no such limit."""
        return self.config.bounded is not False

    def forward(self, dq: torch.Tensor) -> torch.Tensor:
        return self.linear(dq).unflatten(1, (self.config.rows, self.config.dim))

    def shift(self, wp: torch.Tensor, dq: torch.Tensor) -> torch.Tensor:
        """w+ (B, L, D) moved by Δq (B, k): rows 0 … rows − 1 shifted, the others untouched."""
        moved = wp[:, : self.config.rows] + self(dq)
        return torch.cat([moved, wp[:, self.config.rows :]], 1)


def move_code(
    matrix: DirectionMatrix, wp: torch.Tensor, dq: torch.Tensor, centre: torch.Tensor, truncation: float
) -> torch.Tensor:
    """w' = w̄ + ψ · (w_s + A·Δq − w̄): truncation is applied after the shift (METHODS section 2).

    Args:
        wp: (B, L, D) source codes.
        dq: (B, k) change of coordinates; a bounded matrix clamps it to the widest change within its range, ±12.
        centre: (D,) w̄ stored with the generator, or (L, D), its W+ code (`Generator.centre`).
        truncation: ψ, 1 leaves the code as it is.
    """
    moved = matrix.shift(wp, dq.clamp(-2 * Q_LIMIT, 2 * Q_LIMIT) if matrix.is_bounded else dq)
    return torch.lerp(centre.to(moved).expand_as(moved), moved, truncation)
