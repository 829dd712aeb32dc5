"""How much two faces are one person, by the embeddings of an identity network."""

from __future__ import annotations

import torch
from scipy.stats import rankdata

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


def verification(embeddings: torch.Tensor, person: torch.Tensor) -> dict[str, float]:
    """How well embeddings (N, D) tell persons (N,) apart, over all pairs of two different pictures.

    Returns:
        `same` and `different`: mean cosines; `spread`: standard deviation of the latter; `auc`: probability that a
        same-person pair is nearer than a pair of two people, ties half (area under the ROC curve, by ranks); `rank1`:
        share of pictures whose nearest other picture shows the same person.

    Raises:
        InputError: no person with two pictures, or no two people.
    """
    unit = torch.nn.functional.normalize(embeddings.double(), dim=1)
    is_same = person[:, None] == person[None]
    above = torch.triu(torch.ones_like(is_same), 1)
    cosines = unit @ unit.T
    same, different = cosines[is_same & above], cosines[~is_same & above]
    if not len(same) or not len(different):
        raise InputError("Verification needs a person with two pictures, and two people.")
    ranks = torch.from_numpy(rankdata(torch.cat([same, different]).numpy()))
    wins = ranks[: len(same)].sum() - len(same) * (len(same) + 1) / 2
    nearest = cosines.fill_diagonal_(-2.0).argmax(1)
    return {
        "same": float(same.mean()),
        "different": float(different.mean()),
        "spread": float(different.std(correction=0)),
        "auc": float(wins / (len(same) * len(different))),
        "rank1": float((person[nearest] == person).double().mean()),
    }


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
