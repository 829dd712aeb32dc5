"""The residual StyleGAN2 discriminator with minibatch standard deviation."""

from __future__ import annotations

import math

import torch
from torch import nn

from mien.stylegan2.config import DiscriminatorConfig
from mien.stylegan2.layers import EqualConv, EqualLinear
from mien.stylegan2.ops import blur, downsample


class ResidualDown(nn.Module):
    """(B, I, H, W) → (B, O, H/2, W/2): two 3×3 convolutions plus a 1×1 shortcut, summed at unit variance."""

    def __init__(self, in_dim: int, out_dim: int, limit: float | None = None) -> None:
        super().__init__()
        self.conv0 = EqualConv(in_dim, in_dim, 3, limit=limit)
        self.conv1 = EqualConv(in_dim, out_dim, 3, stride=2, pad=0, limit=limit)
        self.skip = EqualConv(in_dim, out_dim, 1, act=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.conv1(blur(self.conv0(x), 2))
        return (out + self.skip(downsample(x))) * math.sqrt(0.5)


def minibatch_std(x: torch.Tensor, group_size: int) -> torch.Tensor:
    """Append one channel: the standard deviation over groups of samples, averaged over channels and pixels."""
    batch, channels, height, width = x.shape
    group = math.gcd(batch, group_size)
    grouped = x.float().reshape(group, batch // group, channels, height, width)
    spread = grouped.var(0, unbiased=False).add(1e-8).sqrt().mean((1, 2, 3))
    plane = spread.repeat(group).to(x.dtype)[:, None, None, None].expand(-1, 1, height, width)
    return torch.cat([x, plane], 1)


class Discriminator(nn.Module):
    """Image (B, 3, R, R) in [−1, 1] → logits (B, 1); `features` gives the maps of every block as well."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        resolutions = [2**i for i in range(int(math.log2(config.resolution)), 2, -1)]
        limit, width = config.activation_limit, config.channels
        self.from_rgb = EqualConv(3, width(config.resolution), 1, limit=limit)
        self.blocks = nn.ModuleList(ResidualDown(width(r), width(r // 2), limit) for r in resolutions)
        last = width(4)
        self.final_conv = EqualConv(last + 1, last, 3, limit=limit)
        self.hidden = EqualLinear(last * 16, last, act=True)
        self.logit = EqualLinear(last, 1)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Maps after every block, finest first."""
        x = self.from_rgb(image.contiguous(memory_format=torch.channels_last))
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps

    def judge(self, last: torch.Tensor) -> torch.Tensor:
        """Logits (B, 1) from the coarsest map, in full precision: what matters is small differences of large logits."""
        with torch.autocast(last.device.type, enabled=False):
            last = last if last.dtype == torch.float64 else last.float()
            x = self.final_conv(minibatch_std(last, self.config.group_size))
            return self.logit(self.hidden(x.flatten(1)))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.judge(self.features(image)[-1])
