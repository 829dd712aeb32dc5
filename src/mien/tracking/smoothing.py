"""The One-Euro filter (Casiez, Roussel and Vogel 2012) on what a tracker measures: calm at rest, quick in motion.

x̂ ← α(f, Δt)·x + (1 − α)·x̂ with α(f, Δt) = 1/(1 + 1/(2π·f·Δt)) and f = f_min + β·|ẋ̂|, where ẋ̂ is (x − x̂)/Δt, low-passed
at a fixed cutoff. Δt comes from the frames' time stamps, so variable rates and lost frames need no care.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch

from mien.alignment.crop import Crop
from mien.errors import InputError
from mien.face3d.params import FaceParams

SLOPE_CUTOFF_HZ = 1.0


@dataclass(frozen=True, kw_only=True)
class Smoothing:
    """How strongly tracks are smoothed; the defaults were measured on real clips (docs/results.md).

    A cutoff is that of what stands still, in hertz: less is calmer. A beta says how much motion raises it, in hertz per
    unit per second: more follows faster.

    Attributes:
        angle_cutoff_hz, angle_beta: of the head's angles; the unit is a degree.
        expression_cutoff_hz, expression_beta: of expression coefficients; the unit is 1, an ARKit coefficient's range.
        crop_cutoff_hz, crop_beta: of a crop that follows the driver; the unit is its side.

    Raises:
        InputError: a cutoff is not positive, or a beta is negative.
    """

    angle_cutoff_hz: float = 2.5
    angle_beta: float = 0.5
    expression_cutoff_hz: float = 4.0
    expression_beta: float = 16.0
    crop_cutoff_hz: float = 2.5
    crop_beta: float = 20.0

    def __post_init__(self) -> None:
        cutoffs = (self.angle_cutoff_hz, self.expression_cutoff_hz, self.crop_cutoff_hz)
        betas = (self.angle_beta, self.expression_beta, self.crop_beta)
        if not (all(0 < cutoff < math.inf for cutoff in cutoffs) and all(0 <= beta < math.inf for beta in betas)):
            raise InputError("smoothing needs positive cutoffs in hertz and betas of zero or more")


class OneEuro:
    """The filter of one stream of vectors, each component on its own; it holds the last estimate and slope.

    Args:
        cutoff_hz: f_min.
        beta: β, in hertz per unit of the components per second.
        slope_cutoff_hz: cutoff of the slope's low-pass.
    """

    def __init__(self, cutoff_hz: float, beta: float, slope_cutoff_hz: float = SLOPE_CUTOFF_HZ) -> None:
        self._cutoff_hz, self._beta, self._slope_cutoff_hz = cutoff_hz, beta, slope_cutoff_hz
        self._value: torch.Tensor | None = None
        self._slope = torch.zeros(())
        self._time_s = 0.0

    def __call__(self, value: torch.Tensor, time_s: float | Fraction) -> torch.Tensor:
        """The estimate at a time, of the shape of `value`; the first one is the value itself.

        Args:
            value: the measurement, any shape, the same in every call.
            time_s: seconds, later than in the call before.

        Raises:
            InputError: time does not advance.
        """
        previous, elapsed = self._value, float(time_s) - self._time_s
        self._time_s = float(time_s)
        if previous is None:
            self._value, self._slope = value, torch.zeros_like(value)
            return value
        if elapsed <= 0:
            raise InputError(f"a filter needs times that increase; {float(time_s):.6f} s does not follow the last one")
        fixed = torch.tensor(self._slope_cutoff_hz)
        self._slope = torch.lerp(self._slope, (value - previous) / elapsed, weight(fixed, elapsed).to(value))
        self._value = torch.lerp(previous, value, weight(self._cutoff_hz + self._beta * self._slope.abs(), elapsed))
        return self._value


def weight(cutoff_hz: torch.Tensor, elapsed_s: float) -> torch.Tensor:
    """α of a first-order low-pass for a sample that comes `elapsed_s` after the last, 0 to 1."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * elapsed_s))


class FaceSmoother:
    """Smooths the angles and the expression of one face; landmarks stay where they were seen (see `CropSmoother`)."""

    def __init__(self, smoothing: Smoothing) -> None:
        self._angles = OneEuro(smoothing.angle_cutoff_hz, smoothing.angle_beta)
        self._expression = OneEuro(smoothing.expression_cutoff_hz, smoothing.expression_beta)

    def __call__(self, params: FaceParams, time_s: float | Fraction) -> FaceParams:
        """The smoothed face, length 1; a face that is not valid passes through and leaves no trace.

        Raises:
            InputError: time does not advance from one valid face to the next.
        """
        if not bool(params.valid[0]):
            return params
        angles = torch.deg2rad(self._angles(torch.rad2deg(params.angles), time_s))
        return replace(params, angles=angles, expression=self._expression(params.expression, time_s))


class CropSmoother:
    """Smooths where a crop lies: centre in sides of the crop, logarithm of its side, and turn."""

    def __init__(self, smoothing: Smoothing) -> None:
        self._filter = OneEuro(smoothing.crop_cutoff_hz, smoothing.crop_beta)
        self._unit_px = 0.0

    def __call__(self, crop: Crop, time_s: float | Fraction) -> Crop:
        """The smoothed crop; its size and pixel rule stay.

        Raises:
            InputError: time does not advance.
        """
        centre, side, turn = _placed(crop)
        self._unit_px = self._unit_px or side
        seen = torch.tensor([*(centre / self._unit_px), math.log(side), math.cos(turn), math.sin(turn)])
        x, y, log_side, cosine, sine = self._filter(seen.double(), time_s).tolist()
        return _crop_at(np.array([x, y]) * self._unit_px, math.exp(log_side), math.atan2(sine, cosine), crop)


def _placed(crop: Crop) -> tuple[np.ndarray, float, float]:
    """Centre (x, y) and side of a crop in pixels of the full picture, and its turn in radians."""
    corners = np.array([[-0.5, -0.5], [crop.size - 0.5, -0.5], [crop.size - 0.5, crop.size - 0.5]])
    inverse = crop.inverse
    first, second, third = corners @ inverse[:, :2].T + inverse[:, 2]
    across = second - first
    return (first + third) / 2, float(np.hypot(*across)), float(np.arctan2(across[1], across[0]))


def _crop_at(centre: np.ndarray, side: float, turn: float, like: Crop) -> Crop:
    scale, cosine, sine = like.size / side, math.cos(turn), math.sin(turn)
    linear = scale * np.array([[cosine, sine], [-sine, cosine]])
    offset = (like.size - 1) / 2 - linear @ centre
    return replace(like, matrix=np.hstack([linear, offset[:, None]]))
