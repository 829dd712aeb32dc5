"""The coefficient encoder of DECA (Feng et al. 2021): ResNet-50 (He et al. 2016) and two linear layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from mien.images import resize

EXPANSION = 4


class DecaCode(NamedTuple):
    """Coefficients of B faces.

    Attributes:
        shape: (B, 100) FLAME identity.
        texture: (B, 50) albedo.
        expression: (B, 50) FLAME expression.
        pose: (B, 6) axis-angle in radians: head (x, y, z), jaw (x, y, z).
        camera: (B, 3) scale and translation (x, y) of the orthographic camera of the 224-px crop.
        light: (B, 9, 3) spherical harmonics by colour channel.
    """

    shape: torch.Tensor
    texture: torch.Tensor
    expression: torch.Tensor
    pose: torch.Tensor
    camera: torch.Tensor
    light: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class DecaNetConfig:
    """Input side, blocks per stage, width of the first stage, width of the hidden layer, and the sizes of the parts."""

    resolution: int = 224
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    hidden: int = 1024
    parts: tuple[int, ...] = (100, 50, 50, 6, 3, 27)


class Bottleneck(nn.Module):
    """1×1 convolution, strided 3×3 convolution, 1×1 convolution to four times the width, plus a shortcut."""

    def __init__(self, in_dim: int, width: int, stride: int) -> None:
        super().__init__()
        out_dim = width * EXPANSION
        self.conv0 = nn.Conv2d(in_dim, width, 1, bias=False)
        self.conv1 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, out_dim, 1, bias=False)
        self.norm0, self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width), nn.BatchNorm2d(out_dim)
        self.project = None
        if stride > 1 or in_dim != out_dim:
            conv = nn.Conv2d(in_dim, out_dim, 1, stride=stride, bias=False)
            self.project = nn.Sequential(conv, nn.BatchNorm2d(out_dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.norm0(self.conv0(x)))
        out = F.relu(self.norm1(self.conv1(out)))
        return F.relu(self.norm2(self.conv2(out)) + (x if self.project is None else self.project(x)))


class DecaNet(nn.Module):
    """Face crops (B, 3, 224, 224), RGB in **[0, 1]** without mean subtraction → `DecaCode`. Other sides are resized."""

    def __init__(self, config: DecaNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        stages, in_dim = [], width
        for index, count in enumerate(config.blocks):
            inner, strides = width * 2**index, [1 if index == 0 else 2] + [1] * (count - 1)
            dims = [in_dim] + [inner * EXPANSION] * (count - 1)
            stages.append(nn.Sequential(*(Bottleneck(d, inner, s) for d, s in zip(dims, strides, strict=True))))
            in_dim = inner * EXPANSION
        self.stages = nn.ModuleList(stages)
        self.hidden = nn.Linear(in_dim, config.hidden)
        self.out = nn.Linear(config.hidden, sum(config.parts))

    def features(self, image: torch.Tensor) -> torch.Tensor:
        """Crops (B, 3, S, S) in [0, 1] → means of the last feature map (B, 2048)."""
        x = self.stem(resize(image, self.config.resolution))
        for stage in self.stages:
            x = stage(x)
        return x.mean((2, 3))

    def coefficients(self, features: torch.Tensor) -> torch.Tensor:
        """Features (B, 2048) → all coefficients (B, 236) in the order of `DecaCode`."""
        return self.out(F.relu(self.hidden(features)))

    def coded(self, features: torch.Tensor) -> DecaCode:
        """Features (B, 2048) → the coefficients by name."""
        *others, light = self.coefficients(features).split(self.config.parts, 1)
        return DecaCode._make([*others, light.unflatten(1, (-1, 3))])

    def forward(self, image: torch.Tensor) -> DecaCode:
        return self.coded(self.features(image))
