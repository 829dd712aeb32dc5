"""How much two faces are one person, by the embeddings of an identity network."""

from __future__ import annotations

import torch

from mien.errors import InputError
from mien.metrics.running import RunningMean, Summary


def cosine(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Cosine (B,) in [-1, 1] of embeddings (B, D) and (B, D), float64; lengths do not matter.

    Raises:
        InputError: the shapes differ, or an embedding is zero.
    """
    if first.shape != second.shape or first.ndim != 2:
        raise InputError(f"Embeddings must be two (B, D) batches, not {tuple(first.shape)} and {tuple(second.shape)}.")
    a, b = first.double(), second.double()
    lengths = a.norm(dim=1) * b.norm(dim=1)
    if (lengths == 0).any():
        raise InputError("An embedding of length zero has no direction.")
    return ((a * b).sum(1) / lengths).clamp(-1, 1)


class IdentityCosine:
    """Mean identity cosine over a set (CSIM when the backbone is named beside it; docs/methods.md)."""

    def __init__(self) -> None:
        self._cosines = RunningMean()

    def update(self, first: torch.Tensor, second: torch.Tensor, valid: torch.Tensor | None = None) -> None:
        """Adds pairs of embeddings (B, D) and (B, D); pairs with `valid` (B,) False are left out.

        Raises:
            InputError: see `cosine`.
        """
        if valid is not None:
            rows = valid.bool()
            first, second = first[rows.to(first.device)], second[rows.to(second.device)]
        self._cosines.update(cosine(first, second))

    def result(self) -> Summary:
        """Summary of the cosines (scalars).

        Raises:
            InputError: no valid pair has been seen.
        """
        return self._cosines.result()
