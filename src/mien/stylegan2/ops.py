"""The operations of StyleGAN2: a readable reference and a fast path with the same signature, tested equal.

The filter everywhere is [1, 3, 3, 1] / 8 along each axis; depthwise convolutions proved fastest on CPUs.
"""

from __future__ import annotations

import math

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


def _depthwise(x: torch.Tensor, taps: tuple[float, ...], pad: int) -> torch.Tensor:
    """Filter every channel of (B, C, H, W) by the outer product of `taps`, normalised to sum one."""
    axis = torch.tensor(taps, device=x.device) / sum(taps)
    kernel = torch.outer(axis, axis).to(x.dtype).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, kernel, padding=pad, groups=x.shape[1])


def blur(x: torch.Tensor, pad: int) -> torch.Tensor:
    """Filter (B, C, H, W) by [1, 3, 3, 1] / 8 along both axes after zero padding; the side grows by 2·pad − 3."""
    return _depthwise(x, (1.0, 3.0, 3.0, 1.0), pad)


def downsample(x: torch.Tensor) -> torch.Tensor:
    """Halve the side of (B, C, H, W): [1, 3, 3, 1] / 8 filter with zero padding, then every second sample.

    Computed as [1, 2, 1] / 4 followed by means of two, which is the same filter.
    """
    return F.avg_pool2d(_depthwise(x, (1.0, 2.0, 1.0), 1), 2)


def upsample(x: torch.Tensor) -> torch.Tensor:
    """Double the side of (B, C, H, W): zero insertion, then the [1, 3, 3, 1] filter with gain 4, zero padding.

    Computed as repetition of every sample followed by [1, 2, 1] / 4, which is the same filter.
    """
    return _depthwise(F.interpolate(x, scale_factor=2, mode="nearest"), (1.0, 2.0, 1.0), 1)


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


def modulated_conv(
    x: torch.Tensor, weight: torch.Tensor, style: torch.Tensor, demodulate: bool, up: str | None = None
) -> torch.Tensor:
    """Fast path of `modulated_conv_reference`: scale the input channels, convolve once, scale the output channels."""
    dtype = x.dtype
    out = x * style.to(dtype)[:, :, None, None]
    if up == "published":
        out = F.conv_transpose2d(out, weight.to(dtype).transpose(0, 1), stride=2)
    else:
        out = F.conv2d(out, weight.to(dtype), padding=weight.shape[-1] // 2)
    if demodulate:
        power = weight.float().square().sum((2, 3))
        norm = (style.float().square() @ power.T).add(1e-8).rsqrt()
        out = out * norm.to(out.dtype)[:, :, None, None]
    if up == "published":
        return blur(out, 1) * 4
    return upsample(out) if up == "coarse" else out
