"""From a square crop around a face to landmarks, head angles, expression and whether a face is there at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from mien.face3d.params import ARKIT_NAMES
from mien.tracking.layers import ConvNorm, ResidualBlock

_EXPRESSIONS = len(ARKIT_NAMES)
_DETAIL_CHANNELS, _DETAIL_HIDDEN = 8, 96
_FINE_STAGES = 4  # of the trunk: up to 1/8 of the crop
_OUTPUTS = 68 * 2 + 3 + _EXPRESSIONS + 1


@dataclass(frozen=True, kw_only=True)
class RegressorConfig:
    """Size of the face regressor.

    Attributes:
        crop_px: side of the crop; a multiple of 16.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of the crop.
        squeeze: channels that reach the dense layers.
        hidden: width of the dense layer.
    """

    crop_px: int = 96
    widths: tuple[int, int, int, int] = (24, 40, 80, 160)
    squeeze: int = 32
    hidden: int = 256


class FaceReading(NamedTuple):
    """What the regressor says about B crops.

    Attributes:
        landmarks: (B, 68, 2) x, y in half-sides from the crop's middle: -1 to 1 inside the crop.
        angles: (B, 3) yaw, pitch, roll in radians, of the face as it lies in the crop.
        expression: (B, 51) logits of the ARKit coefficients.
        presence: (B,) logit of a face being there.
    """

    landmarks: torch.Tensor
    angles: torch.Tensor
    expression: torch.Tensor
    presence: torch.Tensor


class FaceRegressor(nn.Module):
    """A small residual network; about 1.5 M parameters and 100 M multiplications per crop.

    One dense head answers everything; a second one, on the map at 1/8 of the crop where irises and lids are still
    apart, adds to the expression.

    Args:
        config: its size.
        mean_landmarks: (68, 2) where the points lie on average, in the units of `FaceReading`; zeros when None.
    """

    def __init__(self, config: RegressorConfig, mean_landmarks: torch.Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        a, b, c, d = config.widths
        self.trunk = nn.Sequential(
            ConvNorm(3, a, stride=2),
            ResidualBlock(a, b, 2),
            ResidualBlock(b, c, 2),
            ResidualBlock(c, c),
            ResidualBlock(c, d, 2),
            ResidualBlock(d, d),
            ConvNorm(d, config.squeeze, kernel=1),
        )
        cells = (config.crop_px // 16) ** 2
        self.dense = nn.Sequential(nn.Linear(cells * config.squeeze, config.hidden), nn.ReLU())
        self.output = nn.Linear(config.hidden, _OUTPUTS)
        correction = nn.Linear(_DETAIL_HIDDEN, _EXPRESSIONS)
        self.detail = nn.Sequential(
            ConvNorm(c, _DETAIL_CHANNELS, kernel=1),
            nn.Flatten(),
            nn.Linear((config.crop_px // 8) ** 2 * _DETAIL_CHANNELS, _DETAIL_HIDDEN),
            nn.ReLU(),
            correction,
        )
        with torch.no_grad():
            self.output.weight.mul_(0.3)
            self.output.bias.zero_()
            self.output.bias[139:190] = -2.0
            correction.weight.mul_(0.3)
            if mean_landmarks is not None:
                self.output.bias[:136] = mean_landmarks.flatten()

    def forward(self, crops: torch.Tensor) -> FaceReading:
        """Read (B, 3, crop_px, crop_px) crops in [-1, 1]."""
        fine = self.trunk[:_FINE_STAGES](crops)
        hidden = self.dense(self.trunk[_FINE_STAGES:](fine).flatten(1))
        landmarks, angles, expression, presence = self.output(hidden).float().split([136, 3, _EXPRESSIONS, 1], 1)
        expression = expression + self.detail(fine).float()
        return FaceReading(landmarks.unflatten(1, (68, 2)), angles, expression, presence[:, 0])
