"""LPIPS with AlexNet (Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

SHIFT = (-0.030, -0.088, -0.188)
SCALE = (0.458, 0.448, 0.450)
"""Mean and spread of the pictures that AlexNet was trained on, on the scale −1…1."""


@dataclass(frozen=True, kw_only=True)
class LpipsConfig:
    """Channels after each of AlexNet's five convolutions."""

    widths: tuple[int, ...] = (64, 192, 384, 256, 256)


class Lpips(nn.Module):
    """Distance (B,) of pictures (B, 3, H, W) in [−1, 1] twice; 0 for equal ones.

    d = Σ_l mean_xy Σ_c w_lc (f̂_lc(a) − f̂_lc(b))², f̂ the activations after each ReLU, of length 1 over channels.
    """

    def __init__(self, config: LpipsConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c, d, e = config.widths
        self.convs = nn.ModuleList(
            [
                nn.Conv2d(3, a, 11, stride=4, padding=2),
                nn.Conv2d(a, b, 5, padding=2),
                nn.Conv2d(b, c, 3, padding=1),
                nn.Conv2d(c, d, 3, padding=1),
                nn.Conv2d(d, e, 3, padding=1),
            ]
        )
        self.weights = nn.ParameterList(nn.Parameter(torch.rand(1, width, 1, 1)) for width in config.widths)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Unit-length activations of the five layers, finest first."""
        x = (image - image.new_tensor(SHIFT).view(3, 1, 1)) / image.new_tensor(SCALE).view(3, 1, 1)
        maps = []
        for i, conv in enumerate(self.convs):
            x = conv(F.max_pool2d(x, 3, stride=2) if i in (1, 2) else x).relu()
            maps.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        return maps

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        pairs = zip(self.features(first), self.features(second), self.weights, strict=True)
        return torch.stack([((a - b).square() * w).sum(1).mean((1, 2)) for a, b, w in pairs]).sum(0)
