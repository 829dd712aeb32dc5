"""The network of FVD: I3D trained on Kinetics-400 (Carreira and Zisserman 2017; Unterthiner et al. 2018)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from mien.perception.branches import Block, Chain, Conv, pad_same

INPUT_PX = 224
FEWEST_FRAMES = 9

_CUBE, _POINT = (3, 3, 3), (1, 1, 1)
_MIXED = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)
"""Channels of each mixed block: plain; before and in the first cube; the same of the second; after the pooling."""
_POOLS = {0: ((1, 3, 3), (1, 2, 2)), 2: ((1, 3, 3), (1, 2, 2)), 4: (_CUBE, (2, 2, 2)), 9: ((2, 2, 2), (2, 2, 2))}
"""Number of a block → window and steps of the maximum after it."""


def _conv(width: int, side: tuple[int, ...] = _POINT, stride: int = 1) -> Conv:
    return Conv(width, side, stride, None)


def _mixed(widths: tuple[int, ...]) -> tuple[Chain, ...]:
    a, b0, b1, c0, c1, d = widths
    return (
        Chain((_conv(a),)),
        Chain((_conv(b0), _conv(b1, _CUBE))),
        Chain((_conv(c0), _conv(c1, _CUBE))),
        Chain((_conv(d),), "max"),
    )


@dataclass(frozen=True, kw_only=True)
class I3dConfig:
    """Number of classes, which is the width of the features."""

    classes: int = 400


class I3d(nn.Module):
    """Clips (B, T, 3, H, W) in [−1, 1], T ≥ 9 → logits (B, 400), their mean over time; any size is brought to 224²."""

    def __init__(self, config: I3dConfig) -> None:
        super().__init__()
        self.config = config
        stem = (_conv(64, (7, 7, 7), 2), _conv(64), _conv(192, _CUBE))
        blocks, width = [], 3
        for chains in (*((Chain((conv,)),) for conv in stem), *(_mixed(widths) for widths in _MIXED)):
            blocks.append(Block(width, chains))
            width = blocks[-1].width
        self.blocks = nn.ModuleList(blocks)
        self.logits = nn.Conv3d(width, config.classes, 1)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        count, length = clip.shape[:2]
        frames = F.interpolate(clip.flatten(0, 1), (INPUT_PX, INPUT_PX), mode="bilinear", align_corners=False)
        x = frames.unflatten(0, (count, length)).transpose(1, 2)
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _POOLS:
                side, stride = _POOLS[i]
                x = F.max_pool3d(pad_same(x, side, stride), side, stride)
        return self.logits(F.avg_pool3d(x, (2, 7, 7), 1)).mean((2, 3, 4))
