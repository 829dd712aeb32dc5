"""Distances between images of equal size, one value per image.

All take float NCHW images in [-1, 1] and measure on the scale 0..1, so that a full swing from black to white is 1.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from mien.errors import InputError
from mien.metrics.running import RunningMean

# Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity" (2004)
SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K1, SSIM_K2 = 0.01, 0.03
# Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment" (2003)
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_SIDE = SSIM_WINDOW * 2 ** (len(MS_SSIM_WEIGHTS) - 1)


def l1(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference (B,) of images (B, C, H, W) in [-1, 1], 0 equal .. 1 opposite.

    Raises:
        InputError: the shapes differ.
    """
    a, b = _unit_pair(first, second)
    return (a - b).abs().mean((1, 2, 3))


def psnr(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Peak signal-to-noise ratio (B,) in decibels of images (B, C, H, W) in [-1, 1]: -10 log10 of the mean squared
    difference at peak 1; infinite for equal images.

    Raises:
        InputError: the shapes differ.
    """
    a, b = _unit_pair(first, second)
    return -10 * torch.log10((a - b).square().mean((1, 2, 3)))


def ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Structural similarity (B,) in [-1, 1] of images (B, C, H, W) in [-1, 1], 1 for equal images.

    Wang et al. 2004: Gaussian window of 11 pixels, sigma 1.5, K1 .01, K2 .03, peak 1, weighted population moments,
    whole windows only (no padding), mean over channels and positions.

    Raises:
        InputError: the shapes differ or an image is smaller than the window.
    """
    a, b = _unit_pair(first, second)
    if min(a.shape[2:]) < SSIM_WINDOW:
        raise InputError(f"SSIM needs images of at least {SSIM_WINDOW} pixels, not {tuple(a.shape[2:])}.")
    light, structure = _similarity(a, b)
    return (light * structure).mean((1, 2, 3))


def ms_ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Multi-scale structural similarity (B,) in [0, 1] of images (B, C, H, W) in [-1, 1], 1 for equal images.

    Wang, Simoncelli and Bovik 2003: Π_j c_j^w_j over five scales halved by 2 × 2 means, c_j the mean contrast-structure
    term, at the coarsest scale the whole SSIM; negative means count as zero; mean over channels of the products.

    Raises:
        InputError: the shapes differ or an image is smaller than 176 pixels.
    """
    a, b = _unit_pair(first, second)
    if min(a.shape[2:]) < MS_SSIM_SIDE:
        raise InputError(f"MS-SSIM needs images of at least {MS_SSIM_SIDE} pixels, not {tuple(a.shape[2:])}.")
    product = torch.ones(a.shape[:2], dtype=a.dtype, device=a.device)
    for level, weight in enumerate(MS_SSIM_WEIGHTS):
        light, structure = _similarity(a, b)
        is_last = level == len(MS_SSIM_WEIGHTS) - 1
        term = (light * structure if is_last else structure).mean((2, 3))
        product = product * term.clamp_min(0) ** weight
        a, b = (functional.avg_pool2d(x, 2) for x in (a, b))
    return product.mean(1)


class ImageQuality:
    """Mean L1, PSNR and SSIM over images. PSNR is the mean of the images' PSNR; equal images are capped at 100 dB."""

    def __init__(self) -> None:
        self._values = RunningMean()

    def update(self, result: torch.Tensor, target: torch.Tensor, valid: torch.Tensor | None = None) -> None:
        """Adds images (B, C, H, W) in [-1, 1] and their targets; pairs with `valid` (B,) False are left out.

        Raises:
            InputError: the shapes differ or the images are smaller than the SSIM window.
        """
        values = [l1(result, target), psnr(result, target).clamp_max(100), ssim(result, target)]
        self._values.update(torch.stack(values, 1), valid)

    def result(self) -> dict[str, float]:
        """`{"l1", "psnr", "ssim", "count"}`.

        Raises:
            InputError: no valid pair has been seen.
        """
        summary = self._values.result()
        return dict(zip(("l1", "psnr", "ssim", "count"), [*summary.mean.tolist(), summary.count]))


def _unit_pair(first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if first.shape != second.shape or first.ndim != 4:
        raise InputError(f"Images must be (B, C, H, W) twice, not {tuple(first.shape)} and {tuple(second.shape)}.")
    return (first.double() + 1) / 2, (second.double() + 1) / 2


def _similarity(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Maps of the luminance term and of the contrast-structure term; their product is SSIM."""
    mean_a, mean_b = _blur(a), _blur(b)
    variance_a, variance_b = _blur(a * a) - mean_a.square(), _blur(b * b) - mean_b.square()
    covariance = _blur(a * b) - mean_a * mean_b
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    light = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
    return light, (2 * covariance + c2) / (variance_a + variance_b + c2)


def _blur(images: torch.Tensor) -> torch.Tensor:
    offsets = torch.arange(SSIM_WINDOW, dtype=images.dtype, device=images.device) - SSIM_WINDOW // 2
    weights = torch.exp(-offsets.square() / (2 * SSIM_SIGMA**2))
    weights = weights / weights.sum()
    channels = images.shape[1]
    columns = functional.conv2d(images, weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return functional.conv2d(columns, weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)
