"""Scores of single pictures, and what remains of them: means, spreads and counts by driver and group."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch

from mien.errors import InputError
from mien.metrics.running import RunningMean


@dataclass(frozen=True, kw_only=True)
class Record:
    """The scores of one result.

    Attributes:
        driver: who made it.
        groups: the sets it is counted in.
        label: which question it answers, such as the number of a pair.
        scores: score → value; lacks what could not be measured.
    """

    driver: str
    groups: tuple[str, ...]
    label: str
    scores: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Mean of a score over `count` results, and half the width of its 95 % interval (1.96 standard errors)."""

    mean: float
    spread: float
    count: int

    @property
    def half_width(self) -> float:
        """1.96 · s / √n with the unbiased s; infinite for a single result."""
        if self.count < 2:
            return math.inf
        return 1.96 * self.spread * math.sqrt(self.count / (self.count - 1)) / math.sqrt(self.count)


Means = dict[str, dict[str, dict[str, Mean]]]
"""Driver → group → score → mean; in the order in which they were met."""


def means_of(records: Iterable[Record]) -> Means:
    """Means by driver, group and score; every result weighs the same."""
    running: dict[tuple[str, str, str], RunningMean] = {}
    for record in records:
        for group in record.groups:
            for score, value in record.scores.items():
                metric = running.setdefault((record.driver, group, score), RunningMean())
                metric.update(torch.tensor([value], dtype=torch.float64))
    means: Means = {}
    for (driver, group, score), metric in running.items():
        summary = metric.result()
        found = Mean(mean=float(summary.mean), spread=float(summary.std), count=summary.count)
        means.setdefault(driver, {}).setdefault(group, {})[score] = found
    return means


def as_json(means: Means) -> dict[str, object]:
    """The means as plain values."""
    return {
        driver: {
            group: {
                score: {"mean": value.mean, "ci95": _finite(value.half_width), "count": value.count}
                for score, value in scores.items()
            }
            for group, scores in groups.items()
        }
        for driver, groups in means.items()
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def paired_differences(records: Sequence[Record], score: str, first: str, second: str, group: str) -> Mean:
    """Mean of (first − second) of one score over the questions that both drivers answered.

    Differences of the same questions are far surer than those of two means.

    Raises:
        InputError: no such question.
    """
    values: dict[str, dict[str, float]] = {first: {}, second: {}}
    for record in records:
        if record.driver in values and group in record.groups and score in record.scores:
            values[record.driver][record.label] = record.scores[score]
    shared = values[first].keys() & values[second].keys()
    if not shared:
        raise InputError(f"{first!r} and {second!r} share no question with the score {score!r}")
    metric = RunningMean()
    metric.update(torch.tensor([values[first][k] - values[second][k] for k in sorted(shared)], dtype=torch.float64))
    summary = metric.result()
    return Mean(mean=float(summary.mean), spread=float(summary.std), count=summary.count)
