"""Equalised-learning-rate layers: weights are stored with unit variance and scaled at run time."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from mien.stylegan2.ops import (
    LEAKY_GAIN,
    Prepared,
    clipped,
    leaky_relu,
    modulated_conv_reference,
    modulated_rgb,
    prepare,
    scaled_leaky_relu,
    styled_conv,
    styled_conv_reference,
)


class EqualLinear(nn.Module):
    """y = x · (W · lr/√in)ᵀ + b · lr, optionally followed by the scaled leaky ReLU."""

    def __init__(self, in_dim: int, out_dim: int, *, bias: float = 0.0, lr: float = 1.0, act: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim) / lr)
        self.bias = nn.Parameter(torch.full((out_dim,), float(bias)))
        self.scale, self.lr, self.act = lr / math.sqrt(in_dim), lr, act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bias = self.bias.to(x.dtype) * self.lr
        out = torch.addmm(bias, x.flatten(0, -2), self.weight.to(x.dtype).T, alpha=self.scale).unflatten(
            0, x.shape[:-1]
        )
        return leaky_relu(out) if self.act else out


class EqualConv(nn.Module):
    """Convolution with weights scaled by 1/√fan_in and zero padding.

    With `act`, a bias and the scaled leaky ReLU follow, clipped to ± `limit` if there is one; the gain √2 is folded
    into weights and bias.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        kernel: int,
        *,
        stride: int = 1,
        pad: int | None = None,
        act: bool = True,
        limit: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_dim)) if act else None
        self.scale = (LEAKY_GAIN if act else 1.0) / math.sqrt(in_dim * kernel**2)
        self.stride, self.pad, self.limit = stride, kernel // 2 if pad is None else pad, limit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = (self.weight * self.scale).to(x.dtype)
        if self.bias is None:
            return F.conv2d(x, weight, stride=self.stride, padding=self.pad)
        out = F.conv2d(x, weight, (self.bias * LEAKY_GAIN).to(x.dtype), self.stride, self.pad)
        return clipped(scaled_leaky_relu(out), self.limit)


class StyledConv(nn.Module):
    """Modulated 3×3 convolution, noise, bias, leaky ReLU, perhaps a limit: one layer of the synthesis network."""

    noise: torch.Tensor

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        style_dim: int,
        *,
        up: str | None,
        noise_size: int,
        limit: float | None = None,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_dim, in_dim, 3, 3))
        self.affine = EqualLinear(style_dim, in_dim, bias=1.0)
        self.noise_strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(out_dim))
        self.register_buffer("noise", torch.randn(noise_size, noise_size))
        self.scale, self.up, self.limit = 1 / math.sqrt(in_dim * 9), up, limit
        self._kept: tuple[torch.Tensor, tuple, Prepared] | None = None

    def forward(self, x: torch.Tensor, style: torch.Tensor, noise: torch.Tensor | None, fast: bool) -> torch.Tensor:
        style = style * self.scale
        if noise is not None:
            noise = noise * self.noise_strength
        if fast:
            out = styled_conv(x, self._prepared(x.dtype) or self.weight, style, noise, self.bias, self.up)
        else:
            out = styled_conv_reference(x, self.weight, style, noise, self.bias, self.up)
        return clipped(out, self.limit)

    def _prepared(self, dtype: torch.dtype) -> Prepared | None:
        """The prepared weight, kept while the weights are frozen and as they were; None where they may move."""
        weight = self.weight
        if weight.requires_grad or self.training or weight.is_inference():
            return None
        mark = (dtype, weight.data_ptr(), weight._version)
        if self._kept is None or self._kept[0] is not weight or self._kept[1] != mark:
            with torch.inference_mode(False), torch.no_grad():
                self._kept = weight, mark, prepare(weight, self.up, dtype)
        return self._kept[2]

    def _apply(self, fn: Callable, recurse: bool = True) -> StyledConv:
        """Every change of device or type comes through here."""
        self._kept = None
        return super()._apply(fn, recurse)


class ToRGB(nn.Module):
    """Modulated 1×1 convolution to RGB without demodulation, perhaps with a limit."""

    def __init__(self, in_dim: int, style_dim: int, limit: float | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, in_dim, 1, 1))
        self.affine = EqualLinear(style_dim, in_dim, bias=1.0)
        self.bias = nn.Parameter(torch.zeros(3))
        self.scale, self.limit = 1 / math.sqrt(in_dim), limit

    def forward(self, x: torch.Tensor, style: torch.Tensor, fast: bool) -> torch.Tensor:
        style = style * self.scale
        if fast:
            out = modulated_rgb(x, self.weight, style, self.bias)
        else:
            out = modulated_conv_reference(x, self.weight, style, False) + self.bias.to(x.dtype).reshape(1, -1, 1, 1)
        return clipped(out, self.limit)
