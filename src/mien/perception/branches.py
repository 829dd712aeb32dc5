"""Inception blocks: parallel chains of convolutions whose outputs are stacked (Szegedy et al. 2015), in two or three
dimensions; described by tables, so that a whole network is a few lines of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

NORM_EPS = 1e-3


@dataclass(frozen=True)
class Conv:
    """A convolution with batch normalisation and ReLU.

    Attributes:
        width: channels that come out.
        side: kernel sides.
        stride: in every direction.
        padding: on both sides of every direction; None keeps ⌈size / stride⌉ places, the odd one of them at the end.
    """

    width: int
    side: tuple[int, ...] = (1, 1)
    stride: int = 1
    padding: tuple[int, ...] | None = (0, 0)


@dataclass(frozen=True)
class Chain:
    """Layers one after the other behind a pooling; the last `forks` of them read the same input and are stacked.

    Attributes:
        layers: convolutions.
        pool: "", "mean" (padding does not count) or "max" of 3 places in every direction, before the convolutions.
        pool_stride: 1 keeps the size; 2 halves it without padding.
    """

    layers: tuple[Conv, ...] = ()
    pool: str = ""
    pool_stride: int = 1
    forks: int = 0


class ConvUnit(nn.Module):
    """`Conv` as a module, on maps (B, C, H, W) or (B, C, T, H, W)."""

    def __init__(self, in_dim: int, conv: Conv) -> None:
        super().__init__()
        kind: Any = nn.Conv2d if len(conv.side) == 2 else nn.Conv3d
        norm = nn.BatchNorm2d if len(conv.side) == 2 else nn.BatchNorm3d
        self.same = conv.padding is None
        self.conv = kind(in_dim, conv.width, conv.side, stride=conv.stride, padding=conv.padding or 0, bias=False)
        self.norm = norm(conv.width, eps=NORM_EPS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.same:
            x = pad_same(x, self.conv.kernel_size, self.conv.stride)
        return self.norm(self.conv(x)).relu()


def pad_same(x: torch.Tensor, side: Sequence[int], stride: Sequence[int]) -> torch.Tensor:
    """Zeros around (B, C, …) so that a window of `side` in steps of `stride` has ⌈size / stride⌉ places."""
    padding: list[int] = []
    for size, window, step in zip(reversed(x.shape[2:]), reversed(side), reversed(stride), strict=True):
        missing = max(window - (size % step or step), 0)
        padding += [missing // 2, missing - missing // 2]
    return F.pad(x, padding)


class Branch(nn.Module):
    """`Chain` as a module."""

    def __init__(self, in_dim: int, chain: Chain) -> None:
        super().__init__()
        self.chain = chain
        layers, width = [], in_dim
        for i, conv in enumerate(chain.layers):
            layers.append(ConvUnit(width, conv))
            if i < len(chain.layers) - chain.forks:
                width = conv.width
        self.layers = nn.ModuleList(layers)
        self.width = sum(c.width for c in chain.layers[-chain.forks :]) if chain.forks else width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self._pooled(x)
        straight = len(self.layers) - self.chain.forks
        for i in range(straight):
            x = self.layers[i](x)
        forks = [self.layers[i](x) for i in range(straight, len(self.layers))]
        return torch.cat(forks, 1) if forks else x

    def _pooled(self, x: torch.Tensor) -> torch.Tensor:
        padding = 1 if self.chain.pool_stride == 1 else 0
        if self.chain.pool == "mean":
            return F.avg_pool2d(x, 3, 1, padding, count_include_pad=False)
        if self.chain.pool == "max" and x.ndim == 4:
            return F.max_pool2d(x, 3, self.chain.pool_stride, padding)
        return F.max_pool3d(F.pad(x, (1,) * 6), 3, 1) if self.chain.pool == "max" else x


class Block(nn.Module):
    """Branches side by side; a block of a single branch is a plain chain."""

    def __init__(self, in_dim: int, chains: Sequence[Chain]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(Branch(in_dim, chain) for chain in chains)
        self.width = sum(branch.width for branch in self.branches)  # type: ignore[misc]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)
