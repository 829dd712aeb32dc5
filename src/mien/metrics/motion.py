"""How well the pose and the expression of a target arrive in a result."""

from __future__ import annotations

import math

import torch

from mien.errors import InputError
from mien.metrics.running import RunningMean, Summary, kept

EYE_CORNERS = (36, 45)  # outer corners in the 68-point order


def angle_difference_deg(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Absolute differences in degrees (0..180) of angles in radians of equal shape, the short way round the circle."""
    turn = torch.remainder(first.double() - second.double() + math.pi, 2 * math.pi) - math.pi
    return torch.rad2deg(turn.abs())


def landmark_errors(result: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean distance (B,) of landmarks (B, 68, 2) over the target's distance of outer eye corners, float64.

    Raises:
        InputError: the eye corners of a target coincide.
    """
    points, truth = result.double(), target.double()
    eyes = (truth[:, EYE_CORNERS[0]] - truth[:, EYE_CORNERS[1]]).norm(dim=-1)
    if (eyes == 0).any():
        raise InputError("The eye corners of a target coincide.")
    return (points - truth).norm(dim=-1).mean(1) / eyes


class AngleError:
    """Mean absolute error of (yaw, pitch, roll) in degrees; their mean is the literature's ARD, APD or "Pose"."""

    def __init__(self) -> None:
        self._errors = RunningMean()

    def update(self, result: torch.Tensor, target: torch.Tensor, valid: torch.Tensor | None = None) -> None:
        """Adds angles (B, 3) of results and of their targets in radians; samples with `valid` (B,) False are left out.

        Raises:
            InputError: the shapes are not (B, 3) twice.
        """
        if result.shape != target.shape or result.ndim != 2 or result.shape[1] != 3:
            raise InputError(f"Angles must be (B, 3) twice, not {tuple(result.shape)} and {tuple(target.shape)}.")
        self._errors.update(angle_difference_deg(result, target), valid)

    def result(self) -> Summary:
        """Summary with values (3,): yaw, pitch, roll in degrees.

        Raises:
            InputError: no valid sample has been seen.
        """
        return self._errors.result()


class ExpressionError:
    """Mean absolute error of expression coordinates as a share of each coordinate's range (the literature's "Exp")."""

    def __init__(self, ranges: torch.Tensor) -> None:
        """`ranges` (k, 2) holds [low, high] of each coordinate in the units that `update` will be given.

        Raises:
            InputError: a range is empty.
        """
        self._span = (ranges[:, 1] - ranges[:, 0]).detach().to("cpu", torch.float64)
        if not (self._span > 0).all():
            raise InputError("Every coordinate needs a range with high > low.")
        self._errors = RunningMean()

    def update(self, result: torch.Tensor, target: torch.Tensor, valid: torch.Tensor | None = None) -> None:
        """Adds coordinates (B, k) of results and targets; samples with `valid` (B,) False are left out.

        Raises:
            InputError: the shapes are not (B, k) twice.
        """
        if result.shape != target.shape or result.shape[1:] != self._span.shape:
            raise InputError(
                f"Expected (B, {len(self._span)}) twice, not {tuple(result.shape)}, {tuple(target.shape)}."
            )
        difference = result.detach().cpu().double() - target.detach().cpu().double()
        self._errors.update(difference.abs() / self._span, valid)

    def result(self) -> Summary:
        """Summary with values (k,), shares of the range (1 = the whole range).

        Raises:
            InputError: no valid sample has been seen.
        """
        return self._errors.result()


class LandmarkError:
    """Mean distance of 68 landmarks divided by the target's distance of outer eye corners (NME, a ratio)."""

    def __init__(self) -> None:
        self._errors = RunningMean()

    def update(self, result: torch.Tensor, target: torch.Tensor, valid: torch.Tensor | None = None) -> None:
        """Adds landmarks (B, 68, 2) in pixels of one frame; samples with `valid` (B,) False are left out.

        Raises:
            InputError: the shapes differ or the eye corners of a target coincide.
        """
        if result.shape != target.shape or result.shape[1:] != (68, 2):
            raise InputError(f"Landmarks must be (B, 68, 2) twice, not {tuple(result.shape)}, {tuple(target.shape)}.")
        self._errors.update(landmark_errors(kept(result, valid), kept(target, valid)))

    def result(self) -> Summary:
        """Summary of the error (scalars).

        Raises:
            InputError: no valid sample has been seen.
        """
        return self._errors.result()


class Correlation:
    """Pearson correlation of two streams of coordinates, column by column."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._scatter = torch.zeros(())

    def update(self, first: torch.Tensor, second: torch.Tensor, valid: torch.Tensor | None = None) -> None:
        """Adds coordinates (B, k) and (B, k); samples with `valid` (B,) False are left out of both.

        Raises:
            InputError: the shapes differ.
        """
        if first.shape != second.shape or first.ndim != 2:
            raise InputError(f"Expected (B, k) twice, not {tuple(first.shape)} and {tuple(second.shape)}.")
        both = torch.stack([kept(first, valid), kept(second, valid)])  # (2, n, k)
        count = both.shape[1]
        if count == 0:
            return
        mean = both.mean(1)  # (2, k)
        off = both - mean[:, None]
        scatter = torch.einsum("ink,jnk->ijk", off, off)  # (2, 2, k)
        if self._count:
            total, delta = self._count + count, mean - self._mean
            scatter = self._scatter + scatter + delta[:, None] * delta[None] * (self._count * count / total)
            mean = self._mean + delta * (count / total)
        self._count, self._mean, self._scatter = self._count + count, mean, scatter

    def result(self) -> torch.Tensor:
        """Correlations (k,) in [-1, 1], float64; NaN where one of the two streams does not vary.

        Raises:
            InputError: fewer than two valid samples have been seen.
        """
        spread = self.spread()
        product = spread[0] * spread[1]
        r = self._scatter[0, 1] / self._count / product.clamp_min(torch.finfo(torch.float64).tiny)
        still = spread <= 1e-12 * self._mean.abs().clamp_min(1)
        return torch.where(still.any(0), torch.full_like(r, torch.nan), r.clamp(-1, 1))

    def spread(self) -> torch.Tensor:
        """Population standard deviations (2, k) of the first and the second stream.

        Raises:
            InputError: fewer than two valid samples have been seen.
        """
        if self._count < 2:
            raise InputError("A correlation needs at least two valid samples.")
        return torch.stack([self._scatter[0, 0], self._scatter[1, 1]]).div(self._count).sqrt()
