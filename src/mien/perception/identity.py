"""The default identity net: a small residual network trained on rendered people (recipe `identity`)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from mien.images import shrink_to


@dataclass(frozen=True, kw_only=True)
class IdentityConfig:
    """Input side, width of the first stage, and width of the embedding."""

    resolution: int = 64
    width: int = 32
    embedding: int = 128


class _Stage(nn.Module):
    """Halve the side: two 3×3 convolutions with group normalisation, and a mean-pooled shortcut."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(in_dim, out_dim, 3, stride=2, padding=1, bias=False)
        self.conv1 = nn.Conv2d(out_dim, out_dim, 3, padding=1, bias=False)
        self.norm0, self.norm1 = nn.GroupNorm(8, out_dim), nn.GroupNorm(8, out_dim)
        self.skip = nn.Conv2d(in_dim, out_dim, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.norm0(self.conv0(x)))
        return F.relu(self.norm1(self.conv1(out)) + self.skip(F.avg_pool2d(x, 2)))


class IdentityNet(nn.Module):
    """Head crops (B, 3, S, S) in [−1, 1] → unit embeddings (B, E). Any S; resized to the input side."""

    def __init__(self, config: IdentityConfig) -> None:
        super().__init__()
        self.config = config
        stages = int(math.log2(config.resolution)) - 2
        widths = [config.width * min(2**i, 8) for i in range(stages + 1)]
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1)
        self.stages = nn.ModuleList(_Stage(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.embed = nn.Linear(widths[-1] * 16, config.embedding)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Maps after every stage, finest first."""
        x = shrink_to(image, self.config.resolution).contiguous(memory_format=torch.channels_last)
        x, maps = F.relu(self.stem(x)), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return F.normalize(self.embed(self.features(image)[-1].flatten(1)).float())
