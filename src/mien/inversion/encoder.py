"""The default W+ encoder: a residual trunk, one base code for all rows and a learned offset per row.

Base plus offsets follows e4e (Tov et al. 2021): offsets start at zero and can be kept small, which keeps codes
editable. The encoder of the published weights is another class with the same call signature.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from mien.images import shrink_to
from mien.stylegan2 import behind_new_block
from mien.stylegan2.discriminator import ResidualDown
from mien.stylegan2.layers import EqualConv, EqualLinear


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes of the encoder: input side, trunk widths min(channel_base / r, channel_max), rows and width of the code.

    A `pose_free` encoder finds what does not move; the code of a picture is then E(I) + A·q, with q from the tracker.
    """

    resolution: int = 128
    channel_base: int = 2048
    channel_max: int = 256
    hidden: int = 512
    num_rows: int = 12
    style_dim: int = 256
    pose_free: bool = False

    def channels(self, resolution: int) -> int:
        """Width of the feature maps at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)


class Encoder(nn.Module):
    """Pictures (B, 3, S, S) in [−1, 1] → W+ codes (B, num_rows, style_dim). Any S; resized to the input side."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        resolutions = [2**i for i in range(int(math.log2(config.resolution)), 2, -1)]
        first, last = config.channels(config.resolution), config.channels(4)
        self.from_rgb = EqualConv(3, first, 3)
        self.blocks = nn.ModuleList(ResidualDown(config.channels(r), config.channels(r // 2)) for r in resolutions)
        self.hidden = EqualLinear(last * 16, config.hidden, act=True)
        self.base = EqualLinear(config.hidden, config.style_dim)
        self.offsets = EqualLinear(config.hidden, config.num_rows * config.style_dim)
        nn.init.zeros_(self.offsets.weight)

    def split(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Base code (B, D) and row offsets (B, L, D); their sum is the W+ code."""
        x = shrink_to(image, self.config.resolution).contiguous(memory_format=torch.channels_last)
        x = self.from_rgb(x)
        for block in self.blocks:
            x = block(x)
        x = self.hidden(x.flatten(1))
        return self.base(x), self.offsets(x).unflatten(1, (self.config.num_rows, -1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        base, offsets = self.split(image)
        return base[:, None] + offsets


def grow_encoder(encoder: Encoder, num_rows: int) -> Encoder:
    """The same encoder with more rows; the offsets of the new rows start at zero."""
    grown = Encoder(replace(encoder.config, num_rows=num_rows))
    state = encoder.state_dict()
    for name in ("offsets.weight", "offsets.bias"):
        full = torch.zeros_like(grown.state_dict()[name])
        full[: len(state[name])] = state[name]
        state[name] = full
    grown.load_state_dict(state)
    return grown


def refine_encoder(encoder: Encoder) -> Encoder:
    """An encoder that looks at pictures of twice the side: one new block in front, the old input layer is dropped."""
    refined = Encoder(replace(encoder.config, resolution=2 * encoder.config.resolution))
    refined.load_state_dict(behind_new_block(encoder.state_dict()), strict=False)
    return refined
