"""Adaptive discriminator augmentation (Karras et al. 2020, "Training GANs with limited data"), for finite data sets.

Geometric and colour changes, each applied with probability p, to true and made pictures alike. p follows the share of
true pictures that the discriminator calls true: r = E[sign D(x)], target 0.6.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

TARGET = 0.6


class AdaptiveAugment(nn.Module):
    """Augments (B, 3, H, W) in [−1, 1], differentiably.

    Args:
        speed_images: pictures over which p may move by one.
        limit: largest p.
    """

    p: torch.Tensor

    def __init__(self, speed_images: float = 500_000.0, limit: float = 0.8) -> None:
        super().__init__()
        self.register_buffer("p", torch.zeros(()))
        self.speed_images, self.limit = speed_images, limit

    def update(self, real_logits: torch.Tensor) -> None:
        """Move p after a discriminator step on (B, 1) logits of true pictures."""
        direction = torch.sign(real_logits.detach().float().sign().mean() - TARGET)
        self.p.add_(direction * len(real_logits) / self.speed_images).clamp_(0, self.limit)

    def forward(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if float(self.p) == 0:
            return images
        count, device = len(images), images.device

        def draw(spread: float) -> torch.Tensor:
            chosen = torch.rand(count, generator=generator) < float(self.p.cpu())
            return (torch.randn(count, generator=generator) * spread * chosen).to(device)

        angle, zoom = draw(math.pi / 18), torch.exp(draw(0.15))
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        theta = torch.stack([torch.stack([cos, -sin, draw(0.1)], 1), torch.stack([sin, cos, draw(0.1)], 1)], 1)
        field = F.affine_grid(theta, list(images.shape), align_corners=False)
        warped = F.grid_sample(images.float(), field, padding_mode="reflection", align_corners=False)
        shape = (count, 1, 1, 1)
        contrast, light = torch.exp(draw(0.3)).reshape(shape), draw(0.2).reshape(shape)
        grey = warped.mean(1, keepdim=True)
        saturation = torch.exp(draw(0.5)).reshape(shape)
        return (grey + (warped - grey) * saturation) * contrast + light
