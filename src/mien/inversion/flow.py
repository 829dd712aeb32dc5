"""Where things went: flows between two feature maps of a generator.

A flow (B, 2, H, W) says of each place of one map where it lay in the other: a displacement (x, y) in half sides, which
is the same at every resolution.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional as F

from mien.stylegan2.discriminator import ResidualDown
from mien.stylegan2.layers import EqualConv

MATCHED_SIDE = 16
"""Side of the grid on which places are matched, each with each."""


def places_of(features: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(H, W, 2) coordinates (x, y) of the places of maps (B, C, H, W), from −1 to 1 between their outer edges."""
    axes = [(2 * torch.arange(n, device=like.device, dtype=like.dtype) + 1) / n - 1 for n in features.shape[-2:]]
    y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y], -1)


def warp(features: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Sample maps (B, C, H, W) at each place plus flow (B, 2, H, W): (x, y) in half sides; zero outside, bilinear."""
    places = places_of(features, flow).expand(len(features), -1, -1, -1) + flow.permute(0, 2, 3, 1)
    return F.grid_sample(features, places, padding_mode="zeros", align_corners=False)


class Matching(nn.Module):
    """Where each place of a map lay in another: the mean place of its soft matches, on a grid of at most 16 by 16.

    Both maps (B, C, R, R) are described by the same few layers, which also see where they are; places match by the
    cosine of their descriptions. The answer (B, 2, R, R) is a displacement (x, y) in half sides.
    """

    def __init__(self, resolution: int, channels: int, width: int) -> None:
        super().__init__()
        halvings = int(math.log2(resolution // min(resolution, MATCHED_SIDE)))
        self.read = EqualConv(channels + 2, width, 1)
        self.down = nn.ModuleList(ResidualDown(width, width) for _ in range(halvings))
        self.describe = EqualConv(width, width, 3, act=False)
        self.sharpness = nn.Parameter(torch.tensor(math.log(8.0)))

    def forward(self, source: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        is_shared = len(source) > 1 and source.stride(0) == 0  # one source for many frames is described once
        here, there = self._described(moved), self._described(source[:1] if is_shared else source)
        side = here.shape[-1]
        with torch.autocast(here.device.type, enabled=False):
            first, second = (F.normalize(x.float().flatten(2), dim=1) for x in (here, there))
            share = (first.mT @ second * self.sharpness.exp()).softmax(-1)
            places = places_of(here, share).flatten(0, 1)
            flow = (share @ places - places).mT.unflatten(2, (side, side))
            return F.interpolate(flow, size=moved.shape[-2:], mode="bilinear", align_corners=False)

    def _described(self, features: torch.Tensor) -> torch.Tensor:
        places = places_of(features, features).permute(2, 0, 1).expand(len(features), -1, -1, -1)
        x = self.read(torch.cat([features, places], 1))
        for block in self.down:
            x = block(x)
        return self.describe(x)
