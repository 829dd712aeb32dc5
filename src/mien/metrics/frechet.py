"""Fréchet distance between the Gaussians of two feature streams."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mien.errors import InputError
from mien.metrics.running import kept


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Mean (D,) and unbiased covariance (D, D) of `count` feature vectors, float64."""

    count: int
    mean: torch.Tensor
    covariance: torch.Tensor


class GaussianStream:
    """Fits a Gaussian to features that arrive in batches; moments are merged in float64, so order and size of the
    batches do not matter beyond rounding."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = self._scatter = torch.zeros(())

    def update(self, features: torch.Tensor) -> None:
        """Adds features (B, D), any real dtype and device.

        Raises:
            InputError: the features are not a matrix of the width seen so far, or not finite.
        """
        if features.ndim != 2 or (self._count and features.shape[1] != len(self._mean)):
            raise InputError(f"Features must be (samples, width) of one width, not {tuple(features.shape)}.")
        batch = kept(features, None)
        if len(batch) == 0:
            return
        if not torch.isfinite(batch).all():
            raise InputError("Features must be finite.")
        mean = batch.mean(0)
        scatter = (batch - mean).T @ (batch - mean)
        if self._count == 0:
            self._count, self._mean, self._scatter = len(batch), mean, scatter
            return
        total, delta = self._count + len(batch), mean - self._mean
        self._scatter = self._scatter + scatter + torch.outer(delta, delta) * (self._count * len(batch) / total)
        self._mean = self._mean + delta * (len(batch) / total)
        self._count = total

    def result(self) -> Gaussian:
        """The Gaussian of all features so far.

        Raises:
            InputError: fewer than two samples were seen.
        """
        if self._count < 2:
            raise InputError("A covariance needs at least two samples.")
        return Gaussian(count=self._count, mean=self._mean, covariance=self._scatter / (self._count - 1))


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """Squared Fréchet (Wasserstein-2) distance of two Gaussians, >= 0, in squared feature units.

    |m1 - m2|² + tr(C1 + C2 - 2 (C1^½ C2 C1^½)^½)  (Dowson and Landau 1982; Heusel et al. 2017). The symmetric
    product inside the root is positive semi-definite, so its eigenvalues give the trace without complex numbers.
    Small samples bias the estimate upwards: compare only distances of equal sample counts.

    Raises:
        InputError: the widths differ.
    """
    if first.mean.shape != second.mean.shape:
        raise InputError(f"Features of width {len(first.mean)} and {len(second.mean)} cannot be compared.")
    values, vectors = torch.linalg.eigh(first.covariance)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    product = root @ second.covariance @ root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    spread = first.covariance.trace() + second.covariance.trace() - 2 * cross
    return float((first.mean - second.mean).square().sum() + spread.clamp_min(0))
