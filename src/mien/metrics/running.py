"""Mean and spread of a stream of per-sample values."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mien.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What is known of a stream of samples: each field but `count` has the shape of one sample, float64."""

    count: int
    mean: torch.Tensor
    std: torch.Tensor  # population value, divisor `count`
    low: torch.Tensor
    high: torch.Tensor


class RunningMean:
    """Mean, standard deviation and extremes over samples, each sample with the same weight whatever its batch.

    Moments are merged pairwise in float64 (Chan, Golub and LeVeque 1979), which stays exact where the sum of squares
    would cancel.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._squares = self._low = self._high = torch.zeros(())

    def update(self, values: torch.Tensor, valid: torch.Tensor | None = None) -> None:
        """Adds one batch.

        Args:
            values: (B, ...) real numbers; the shape after B must be the same in every call.
            valid: (B,) bool; samples marked False are left out. None counts all.

        Raises:
            InputError: a valid sample is not finite, or the shape changed.
        """
        batch = kept(values, valid)
        if len(batch) == 0:
            return
        if not torch.isfinite(batch).all():
            raise InputError("A metric was fed a value that is not finite; mark such samples as not valid.")
        mean, squares = batch.mean(0), (batch - batch.mean(0)).square().sum(0)
        low, high = batch.amin(0), batch.amax(0)
        if self._count == 0:
            self._count, self._mean, self._squares, self._low, self._high = len(batch), mean, squares, low, high
            return
        if mean.shape != self._mean.shape:
            raise InputError(f"A metric was fed samples of shape {tuple(mean.shape)} after {tuple(self._mean.shape)}.")
        total, delta = self._count + len(batch), mean - self._mean
        self._squares = self._squares + squares + delta.square() * (self._count * len(batch) / total)
        self._mean = self._mean + delta * (len(batch) / total)
        self._low, self._high = torch.minimum(self._low, low), torch.maximum(self._high, high)
        self._count = total

    def result(self) -> Summary:
        """The summary of all samples so far.

        Raises:
            InputError: no valid sample has been seen.
        """
        if self._count == 0:
            raise InputError("No valid sample has been measured.")
        std = (self._squares / self._count).sqrt()
        return Summary(count=self._count, mean=self._mean, std=std, low=self._low, high=self._high)


def kept(values: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
    """The valid rows of `values` (B, ...) as float64 on the CPU; `valid` is (B,) bool or None for all.

    Raises:
        InputError: `valid` does not have one entry per sample.
    """
    batch = values.detach().to("cpu", torch.float64)
    if valid is None:
        return batch
    if valid.shape != batch.shape[:1]:
        raise InputError(f"{tuple(valid.shape)} flags were given for {len(batch)} samples.")
    return batch[valid.detach().cpu().bool()]
