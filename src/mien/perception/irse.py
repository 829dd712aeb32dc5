"""The IR-SE50 trunk: improved residual units with squeeze-and-excitation (Deng et al. 2019, Hu et al. 2018).

The identity network of the published losses and the published W+ encoder stand on the same trunk.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

WIDTHS = (64, 128, 256, 512)
UNITS = (3, 4, 14, 3)
REDUCTION = 16


class ChannelGate(nn.Module):
    """Squeeze-and-excitation: every channel times a factor in (0, 1) computed from the means of all channels."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, width // REDUCTION, 1, bias=False)
        self.excite = nn.Conv2d(width // REDUCTION, width, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * self.excite(self.squeeze(means).relu()).sigmoid()


class ResidualUnit(nn.Module):
    """x → norm → conv → PReLU → conv (stride) → norm → gate, plus a shortcut.

    The shortcut takes every stride-th pixel; where the width changes it is a strided 1×1 convolution with a norm.
    """

    def __init__(self, in_dim: int, out_dim: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.project = None
        if in_dim != out_dim:
            conv = nn.Conv2d(in_dim, out_dim, 1, stride=stride, bias=False)
            self.project = nn.Sequential(conv, nn.BatchNorm2d(out_dim))
        self.norm0 = nn.BatchNorm2d(in_dim)
        self.conv0 = nn.Conv2d(in_dim, out_dim, 3, padding=1, bias=False)
        self.act = nn.PReLU(out_dim)
        self.conv1 = nn.Conv2d(out_dim, out_dim, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_dim)
        self.gate = ChannelGate(out_dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.project is None else self.project(x)
        out = self.conv1(self.act(self.conv0(self.norm0(x))))
        return self.gate(self.norm1(out)) + shortcut


class IrseTrunk(nn.Module):
    """Pictures (B, 3, S, S) in [−1, 1] → one feature map per stage, each of half the side of the one before.

    Args:
        widths: channels of each stage; the stem has those of the first.
        units: residual units of each stage; the first of a stage halves the side.
    """

    def __init__(self, widths: Sequence[int] = WIDTHS, units: Sequence[int] = UNITS) -> None:
        super().__init__()
        if len(widths) != len(units):
            raise ValueError(f"{len(widths)} widths but {len(units)} numbers of units")
        conv = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.stem = nn.Sequential(conv, nn.BatchNorm2d(widths[0]), nn.PReLU(widths[0]))
        stages, width = [], widths[0]
        for out_dim, count in zip(widths, units, strict=True):
            first = ResidualUnit(width, out_dim, 2)
            stages.append(nn.Sequential(first, *(ResidualUnit(out_dim, out_dim, 1) for _ in range(count - 1))))
            width = out_dim
        self.stages = nn.ModuleList(stages)

    def features(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Maps after every stage, finest first: sides S/2, S/4, …"""
        x, maps = self.stem(image), []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.features(image)[-1]
