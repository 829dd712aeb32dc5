"""Accumulators `update(batch)` / `result()`: exact at every batch size, also with a partial last batch."""

from mien.metrics.action_units import ActionUnitDistance, action_units
from mien.metrics.frechet import Gaussian, GaussianStream, frechet_distance
from mien.metrics.identity import IdentityCosine, cosine, verification
from mien.metrics.image import ImageQuality, l1, ms_ssim, psnr, ssim
from mien.metrics.jitter import Jitter
from mien.metrics.motion import (
    AngleError,
    Correlation,
    ExpressionError,
    LandmarkError,
    angle_difference_deg,
    landmark_errors,
)
from mien.metrics.running import RunningMean, Summary

__all__ = [
    "ActionUnitDistance",
    "AngleError",
    "Correlation",
    "ExpressionError",
    "Gaussian",
    "GaussianStream",
    "IdentityCosine",
    "ImageQuality",
    "Jitter",
    "LandmarkError",
    "RunningMean",
    "Summary",
    "action_units",
    "angle_difference_deg",
    "cosine",
    "frechet_distance",
    "l1",
    "landmark_errors",
    "ms_ssim",
    "psnr",
    "ssim",
    "verification",
]
