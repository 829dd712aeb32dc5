"""The network of FID: Inception v3, weights and quirks of 2015 (Szegedy et al. 2016; Heusel et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from mien.perception.branches import Block, Chain, Conv

INPUT_PX = 299
FEATURES = 2048
HALVED_AFTER = (2, 4)
"""Blocks of the stem after which maps are halved by a maximum over 3 × 3 places."""


def _same(width: int, height: int, side: int) -> Conv:
    return Conv(width, (height, side), padding=(height // 2, side // 2))


def _stem() -> list[tuple[Chain, ...]]:
    layers = (Conv(32, (3, 3), 2), Conv(32, (3, 3)), _same(64, 3, 3), Conv(80), Conv(192, (3, 3)))
    return [(Chain((conv,)),) for conv in layers]


def _first(pool_width: int) -> tuple[Chain, ...]:
    return (
        Chain((Conv(64),)),
        Chain((Conv(48), _same(64, 5, 5))),
        Chain((Conv(64), _same(96, 3, 3), _same(96, 3, 3))),
        Chain((Conv(pool_width),), "mean"),
    )


def _second(width: int) -> tuple[Chain, ...]:
    return (
        Chain((Conv(192),)),
        Chain((Conv(width), _same(width, 1, 7), _same(192, 7, 1))),
        Chain((Conv(width), _same(width, 7, 1), _same(width, 1, 7), _same(width, 7, 1), _same(192, 1, 7))),
        Chain((Conv(192),), "mean"),
    )


def _third(pool: str) -> tuple[Chain, ...]:
    forks = _same(384, 1, 3), _same(384, 3, 1)
    return (
        Chain((Conv(320),)),
        Chain((Conv(384), *forks), forks=2),
        Chain((Conv(448), _same(384, 3, 3), *forks), forks=2),
        Chain((Conv(192),), pool),
    )


_HALVE = (
    (Chain((Conv(384, (3, 3), 2),)), Chain((Conv(64), _same(96, 3, 3), Conv(96, (3, 3), 2))), Chain((), "max", 2)),
    (
        Chain((Conv(192), Conv(320, (3, 3), 2))),
        Chain((Conv(192), _same(192, 1, 7), _same(192, 7, 1), Conv(192, (3, 3), 2))),
        Chain((), "max", 2),
    ),
)


@dataclass(frozen=True, kw_only=True)
class InceptionConfig:
    """The network has but one size; `in_dim` is the number of colours."""

    in_dim: int = 3


class FidInception(nn.Module):
    """Pictures (B, 3, H, W) in [−1, 1] → features (B, 2048) of the last mean pooling; any size is brought to 299².

    Quirks that FID's numbers rest on: padding does not count in mean pools, and the last block pools by the maximum.
    """

    def __init__(self, config: InceptionConfig) -> None:
        super().__init__()
        self.config = config
        table = [*_stem(), *(_first(width) for width in (32, 64, 64)), _HALVE[0]]
        table += [*(_second(width) for width in (128, 160, 160, 192)), _HALVE[1], _third("mean"), _third("max")]
        blocks, width = [], config.in_dim
        for chains in table:
            blocks.append(Block(width, chains))
            width = blocks[-1].width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = F.interpolate(image, (INPUT_PX, INPUT_PX), mode="bilinear", align_corners=False)
        for i, block in enumerate(self.blocks):
            x = block(x)
            x = F.max_pool2d(x, 3, 2) if i in HALVED_AFTER else x
        return x.mean((2, 3))
