"""The W+ encoder of the published weights: encoder for editing on an IR-SE50 feature pyramid (Tov et al. 2021).

The first head gives a code for all rows, the others what their row differs by. Rows 0–2 read the coarsest map, 3–6 the
middle one, the rest the finest: each map is the enlarged coarser one plus a 1×1 convolution of the trunk's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from mien.images import shrink_to
from mien.perception.irse import UNITS, WIDTHS, IrseTrunk
from mien.stylegan2.layers import EqualLinear

MIDDLE_ROW, FINE_ROW = 3, 7
SLOPE = 0.01


@dataclass(frozen=True, kw_only=True)
class E4eConfig:
    """Input side, trunk, rows and width of the code, and whether a stored mean code is added to the result."""

    resolution: int = 256
    widths: tuple[int, ...] = WIDTHS
    units: tuple[int, ...] = UNITS
    num_rows: int = 14
    style_dim: int = 512
    add_mean: bool = False

    @property
    def pose_free(self) -> bool:
        """False: the code holds the head's pose (see `mien.inversion.EncoderConfig`)."""
        return False

    def side(self, row: int) -> int:
        """Side of the feature map that the head of a row reads."""
        return self.resolution // (16 if row < MIDDLE_ROW else 8 if row < FINE_ROW else 4)


class StyleHead(nn.Module):
    """Feature map (B, C, S, S) → one row (B, D): strided 3×3 convolutions down to one pixel, then a linear layer."""

    def __init__(self, in_dim: int, style_dim: int, side: int) -> None:
        super().__init__()
        count = int(math.log2(side))
        dims = [in_dim] + [style_dim] * count
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in zip(dims, dims[1:]))
        self.linear = EqualLinear(style_dim, style_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
        return self.linear(x.flatten(1))


class E4eEncoder(nn.Module):
    """Pictures (B, 3, S, S) in [−1, 1] → W+ codes (B, num_rows, style_dim). Any S; resized to the input side.

    With `config.add_mean` the buffer `latent_mean` (num_rows, style_dim) is part of the result.
    """

    latent_mean: torch.Tensor

    def __init__(self, config: E4eConfig) -> None:
        super().__init__()
        self.config = config
        fine, middle, coarse = config.widths[-3:]
        self.trunk = IrseTrunk(config.widths, config.units)
        self.lateral_middle = nn.Conv2d(middle, coarse, 1)
        self.lateral_fine = nn.Conv2d(fine, coarse, 1)
        rows = range(config.num_rows)
        self.heads = nn.ModuleList(StyleHead(coarse, config.style_dim, config.side(row)) for row in rows)
        if config.add_mean:
            self.register_buffer("latent_mean", torch.zeros(config.num_rows, config.style_dim))

    def pyramid(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Maps for the coarse, middle and fine rows: sides 16, 32 and 64 at an input of 256."""
        fine, middle, coarse = self.trunk.features(shrink_to(image, self.config.resolution))[-3:]
        middle = _enlarged(coarse, middle) + self.lateral_middle(middle)
        return coarse, middle, _enlarged(middle, fine) + self.lateral_fine(fine)

    def split(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Base code (B, D) and row offsets (B, L, D), the first of them zero; without the mean code."""
        coarse, middle, fine = self.pyramid(image)
        base = self.heads[0](coarse)
        offsets = [torch.zeros_like(base)]
        for row, head in enumerate(self.heads[1:], start=1):
            offsets.append(head(coarse if row < MIDDLE_ROW else middle if row < FINE_ROW else fine))
        return base, torch.stack(offsets, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        base, offsets = self.split(image)
        code = base[:, None] + offsets
        return code + self.latent_mean if self.config.add_mean else code


def _enlarged(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=True)
