"""Accumulators `update(batch)` / `result()`: exact at every batch size, also with a partial last batch."""

from mien.metrics.frechet import Gaussian, GaussianStream, frechet_distance
from mien.metrics.identity import IdentityCosine, cosine, verification
from mien.metrics.image import ImageQuality, l1, psnr, ssim
from mien.metrics.motion import AngleError, Correlation, ExpressionError, LandmarkError, angle_difference_deg
from mien.metrics.running import RunningMean, Summary

__all__ = [
    "AngleError",
    "Correlation",
    "ExpressionError",
    "Gaussian",
    "GaussianStream",
    "IdentityCosine",
    "ImageQuality",
    "LandmarkError",
    "RunningMean",
    "Summary",
    "angle_difference_deg",
    "cosine",
    "frechet_distance",
    "l1",
    "psnr",
    "ssim",
    "verification",
]
