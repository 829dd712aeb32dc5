"""The operations of StyleGAN2: a readable reference and a fast path with the same signature, tested equal.

The filter everywhere is [1, 3, 3, 1] / 8 along each axis; depthwise convolutions proved fastest on CPUs.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch.nn import functional as F

LEAKY_SLOPE = 0.2
LEAKY_GAIN = math.sqrt(2.0)


def leaky_relu(x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """√2 · leaky_relu(x + b, 0.2); the gain keeps unit variance. `bias` is (C,) for (B, C, ...) inputs."""
    if bias is not None:
        x = x + bias.to(x.dtype).reshape(1, -1, *([1] * (x.ndim - 2)))
    return F.leaky_relu(x, LEAKY_SLOPE) * LEAKY_GAIN


def scaled_leaky_relu(x: torch.Tensor) -> torch.Tensor:
    """leaky_relu(x, 0.2) for inputs that already carry the gain: √2 · f(x) = f(√2 · x)."""
    return F.leaky_relu(x, LEAKY_SLOPE)


def clipped(x: torch.Tensor, limit: float | None) -> torch.Tensor:
    """x clipped to ± limit; unchanged where there is none."""
    return x if limit is None else x.clamp(-limit, limit)


def _depthwise(
    x: torch.Tensor, taps: tuple[float, ...], pad: int, gain: float = 1.0, bias: torch.Tensor | None = None
) -> torch.Tensor:
    """Filter every channel of (B, C, H, W) by the outer product of `taps`, normalised to sum `gain`; add bias (C,)."""
    axis = torch.tensor(taps, device=x.device) / sum(taps)
    kernel = (torch.outer(axis, axis) * gain).to(x.dtype).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, kernel, bias, padding=pad, groups=x.shape[1])


def blur(x: torch.Tensor, pad: int, gain: float = 1.0, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Filter (B, C, H, W) by [1, 3, 3, 1] / 8 along both axes after zero padding; the side grows by 2·pad − 3.

    The result is multiplied by `gain`, and `bias` (C,) is added.
    """
    return _depthwise(x, (1.0, 3.0, 3.0, 1.0), pad, gain, bias)


def downsample(x: torch.Tensor) -> torch.Tensor:
    """Halve the side of (B, C, H, W): [1, 3, 3, 1] / 8 filter with zero padding, then every second sample.

    Computed as [1, 2, 1] / 4 followed by means of two, which is the same filter.
    """
    return F.avg_pool2d(_depthwise(x, (1.0, 2.0, 1.0), 1), 2)


def upsample(x: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Double the side of (B, C, H, W): zero insertion, then the [1, 3, 3, 1] filter with gain 4, zero padding.

    Computed as repetition of every sample followed by [1, 2, 1] / 4, which is the same filter. `bias` (C,) is added.
    """
    return _depthwise(F.interpolate(x, scale_factor=2, mode="nearest"), (1.0, 2.0, 1.0), 1, bias=bias)


def modulated_conv_reference(
    x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, demodulate: bool, up: str | None = None
) -> torch.Tensor:
    """Modulated convolution by its definition: one set of weights per sample.

    w'_oikl = s_i · w_oikl;  w'' = w' / √(Σ_ikl w'² + 1e-8)  (Karras et al. 2020, equations 1 and 3).

    Args:
        x: (B, I, H, W).
        weight: (O, I, K, K), already scaled by 1/√fan_in.
        style: (B, I).
        demodulate: divide each output channel by its expected norm.
        up: None, "published" or "coarse" (see `GeneratorConfig`).
    """
    batch, channels, height, width = x.shape
    per_sample = weight[None] * style[:, None, :, None, None]
    if demodulate:
        per_sample = per_sample * per_sample.square().sum((2, 3, 4), keepdim=True).add(1e-8).rsqrt()
    x = x.reshape(1, batch * channels, height, width)
    if up == "published":
        kernel = per_sample.transpose(1, 2).flatten(0, 1)
        out = F.conv_transpose2d(x, kernel, stride=2, groups=batch)
    else:
        out = F.conv2d(x, per_sample.flatten(0, 1), padding=weight.shape[-1] // 2, groups=batch)
    out = out.reshape(batch, -1, *out.shape[-2:])
    if up == "published":
        return blur(out, 1) * 4
    return upsample(out) if up == "coarse" else out


def styled_conv_reference(
    x: torch.Tensor,
    weight: torch.Tensor,
    style: torch.Tensor,
    noise: torch.Tensor | None,
    bias: torch.Tensor,
    up: str | None = None,
) -> torch.Tensor:
    """One layer of the synthesis network by its definition: √2 · leaky_relu(modulated convolution + noise + bias).

    Args:
        x: (B, I, H, W).
        weight: (O, I, 3, 3).
        style: (B, I), which carries the factor 1/√fan_in of equalised learning rates.
        noise: anything that can be added to the result (B, O, H', W'), or None.
        bias: (O,).
        up: None, "published" or "coarse" (see `GeneratorConfig`).
    """
    out = modulated_conv_reference(x, weight, style, True, up)
    return leaky_relu(out if noise is None else out + noise.to(out.dtype), bias)


class Prepared(NamedTuple):
    """What the fast path computes from a weight alone.

    Attributes:
        kernel: (O, I, 3, 3), or (I, O, 3, 3) for transposed convolutions, with channels last in memory.
        power: (O, I) sums of squares.
    """

    kernel: torch.Tensor
    power: torch.Tensor


def prepare(weight: torch.Tensor, up: str | None, dtype: torch.dtype) -> Prepared:
    """The weight (O, I, 3, 3) of `styled_conv` as its convolution in `dtype` wants it."""
    kernel = weight.transpose(0, 1) if up == "published" else weight
    kernel = kernel.to(dtype).contiguous(memory_format=torch.channels_last)
    return Prepared(kernel, _single(weight).square().sum((2, 3)))


def styled_conv(
    x: torch.Tensor,
    weight: torch.Tensor | Prepared,
    style: torch.Tensor,
    noise: torch.Tensor | None,
    bias: torch.Tensor,
    up: str | None = None,
) -> torch.Tensor:
    """Fast path of `styled_conv_reference`; what depends on the weight alone may come prepared.

    The gain √2 goes through the leaky ReLU into what stands before it. A single sample with more pixels than weights
    gets weights of its own, so that no pass over the pixels is spent on styles; else channels are scaled twice.
    """
    kernel, power = weight if isinstance(weight, Prepared) else prepare(weight, up, x.dtype)
    norm = (_single(style).square() @ power.T).add(1e-8).rsqrt() * LEAKY_GAIN
    bias = (bias * LEAKY_GAIN).to(x.dtype)
    if len(x) == 1 and kernel.numel() < (kernel.shape[0] + kernel.shape[1]) * x[0, 0].numel():
        factor = norm[0][:, None] * style[0]
        factor = factor.T if up == "published" else factor
        out = _convolve(x, (kernel * factor[:, :, None, None]).to(x.dtype), up, bias)
    else:
        out = _convolve(x * style.to(x.dtype)[:, :, None, None], kernel, up)
        out = _scaled(out, norm.to(out.dtype)[:, :, None, None], bias.to(out.dtype)[:, None, None])
    if noise is not None:
        out = out.add_((noise * LEAKY_GAIN).to(out.dtype))
    return F.leaky_relu_(out, LEAKY_SLOPE)


def _single(x: torch.Tensor) -> torch.Tensor:
    """x in single precision, or in double where it is that."""
    return x if x.dtype == torch.float64 else x.float()


def _convolve(x: torch.Tensor, kernel: torch.Tensor, up: str | None, bias: torch.Tensor | None = None) -> torch.Tensor:
    """3×3 convolution in one of the orders of `GeneratorConfig.upsample`; bias (O,) is added at the very end."""
    if up == "published":
        return blur(F.conv_transpose2d(x, kernel, stride=2), 1, 4.0, bias)
    if up == "coarse":
        return upsample(F.conv2d(x, kernel, padding=1), bias)
    return F.conv2d(x, kernel, bias, padding=1)


def _scaled(x: torch.Tensor, factor: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """x · factor + shift, in the memory of x where no gradient is asked for."""
    if torch.is_grad_enabled() and (x.requires_grad or factor.requires_grad or shift.requires_grad):
        return torch.addcmul(shift, x, factor)
    return torch.addcmul(shift, x, factor, out=x)


def modulated_rgb(x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Fast path of the 1×1 convolution to RGB: modulated weights times pixels, one matrix product per sample.

    Args:
        x: (B, I, H, W).
        weight: (3, I, 1, 1).
        style: (B, I), which carries the factor 1/√fan_in.
        bias: (3,).
    """
    batch, _, height, width = x.shape
    pixels = x.permute(0, 2, 3, 1).reshape(batch, height * width, -1)
    kernel = (weight[:, :, 0, 0] * style[:, None]).to(x.dtype)
    out = torch.baddbmm(bias.to(x.dtype), pixels, kernel.transpose(1, 2))
    return out.reshape(batch, height, width, -1).permute(0, 3, 1, 2)
