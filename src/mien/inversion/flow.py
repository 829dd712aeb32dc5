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
REACHES = (3, 2)
"""How many cells to each side a flow is corrected by comparing places: at half the side of the map, then at its own."""


def places_of(features: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """(H, W, 2) coordinates (x, y) of the places of maps (B, C, H, W), from −1 to 1 between their outer edges."""
    axes = [(2 * torch.arange(n, device=like.device, dtype=like.dtype) + 1) / n - 1 for n in features.shape[-2:]]
    y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y], -1)


def warp(features: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Sample maps (B, C, H, W) at each place plus flow (B, 2, H, W): (x, y) in half sides; zero outside, bilinear."""
    places = places_of(features, flow).expand(len(features), -1, -1, -1) + flow.permute(0, 2, 3, 1)
    return F.grid_sample(features, places, padding_mode="zeros", align_corners=False)


def distinct(source: torch.Tensor) -> torch.Tensor:
    """One source that was expanded for many frames, alone; any other batch as it is."""
    return source[:1] if len(source) > 1 and source.stride(0) == 0 else source


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
        here, there = self._described(moved), self._described(distinct(source))
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


def correlation(here: torch.Tensor, there: torch.Tensor, reach: int) -> torch.Tensor:
    """How alike places are to those around them in another map: (B, C, H, W) twice → (B, (2·reach + 1)², H, W).

    Mean products over channels; zero beyond the edges. Shifts come row by row, from the upper left.
    """
    height, width = here.shape[-2:]
    here, around = here.contiguous(), F.pad(there.contiguous(), (reach,) * 4)  # one layout: products run along rows
    rows, columns = range(2 * reach + 1), range(2 * reach + 1)
    shifted = (around[..., top : top + height, left : left + width] for top in rows for left in columns)
    return torch.stack([(here * other).mean(1) for other in shifted], 1)


class Correction(nn.Module):
    """One look at what a flow leaves: places, what it brings there, what lies around that → what to add to it."""

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()
        self.reach = reach
        self.read = EqualConv(2 * width + (2 * reach + 1) ** 2 + 2, width, 3)
        self.inner = EqualConv(width, width, 3)
        self.write = EqualConv(width, 2, 3, act=False)
        nn.init.zeros_(self.write.weight)

    def forward(self, here: torch.Tensor, there: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """Descriptions (B, W, H, W) of the moved map and of the source's, and a flow; the answer is like the flow."""
        brought = warp(there.float(), flow).to(here.dtype)
        cells = here.shape[-1] / 2 * flow
        alike = correlation(F.normalize(here.float(), dim=1), F.normalize(brought.float(), dim=1), self.reach)
        x = torch.cat([here, brought, (len(here[0]) * alike).to(here.dtype), cells.to(here.dtype)], 1)
        return self.write(self.inner(self.read(x))).float() * (2 / here.shape[-1])


class Tracing(nn.Module):
    """What is to be added to a rough flow, found by comparing both maps along it: pyramid, warping, cost volume (Sun et
    al. 2018, PWC-Net), here at half the side of the map and at its own. Begins at zero."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.read = EqualConv(channels, width, 1)
        self.describe = EqualConv(width, width, 3)
        self.down = ResidualDown(width, width)
        self.corrections = nn.ModuleList(Correction(width, reach) for reach in REACHES)

    def forward(self, source: torch.Tensor, moved: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
        """Maps (B, C, R, R) and a flow (B, 2, R, R) between them; the answer is like the flow."""
        here, there = self._described(moved), self._described(distinct(source))
        begun = flow
        for correct, to, back in zip(self.corrections, here, there, strict=True):
            rough = F.interpolate(begun, size=to.shape[-2:], mode="bilinear", align_corners=False)
            added = correct(to, back.expand(len(to), -1, -1, -1), rough)
            begun = begun + F.interpolate(added, size=flow.shape[-2:], mode="bilinear", align_corners=False)
        return begun - flow

    def _described(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        fine = self.describe(self.read(features))
        return self.down(fine), fine
