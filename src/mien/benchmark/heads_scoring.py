"""Measures drivers on `heads`: every result against the true picture and the true parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from mien.benchmark.heads import HeadPair, HeadPairs
from mien.benchmark.instruments import (
    Instruments,
    Look,
    Scores,
    identity_scores,
    landmark_scores,
    motion_scores,
    picture_scores,
)
from mien.benchmark.protocol import Driver, framed, moved_landmarks, run_driver
from mien.benchmark.records import Record

TRUTH = "truth"
"""Row of the true picture itself: what the instruments read off a perfect result."""


@dataclass(kw_only=True)
class Measured:
    """What a run found.

    Attributes:
        records: one for each driver and pair.
        results: (driver, pair) → its picture; lacks those without a result.
    """

    records: list[Record] = field(default_factory=list)
    results: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)


def measure_heads(
    drivers: Sequence[Driver],
    pairs: HeadPairs | Sequence[HeadPair],
    instruments: Instruments,
    progress: Callable[[int, int | None], None] | None = None,
) -> Measured:
    """Runs each driver on each pair and measures its results, and beside them the true pictures (`TRUTH`).

    Args:
        drivers: their names must differ.
        pairs: read one at a time.
        progress: called with the pairs done and their number.

    Raises:
        InputError: a driver breaks the protocol.
    """
    measured = Measured()
    for done in range(len(pairs)):
        pair = pairs[done]
        source, truth = instruments.look(pair.source), instruments.look(pair.truth)
        _keep(measured, TRUTH, pair, pair.truth, _scores(pair, truth, source, truth, instruments))
        for driver in drivers:
            (result,) = run_driver(driver, pair.source, [pair.driver], pair.truth.shape[0])
            if result is None:
                _keep(measured, driver.name, pair, None, {"answered": 0.0})
                continue
            scores = _driver_scores(driver, pair, result, source, truth, instruments)
            _keep(measured, driver.name, pair, result, {"answered": 1.0} | scores)
        if progress is not None:
            progress(done + 1, len(pairs))
    return measured


def _keep(measured: Measured, name: str, pair: HeadPair, result: np.ndarray | None, scores: Scores) -> None:
    if result is not None:
        measured.results[name, pair.index] = result
    measured.records.append(Record(driver=name, groups=pair.groups, label=str(pair.index), scores=scores))


def _driver_scores(
    driver: Driver, pair: HeadPair, result: np.ndarray, source: Look, truth: Look, instruments: Instruments
) -> Scores:
    """Scores of a result; where it is framed otherwise than the renders are, so is the truth."""
    if driver.framing not in ("source", "head"):
        picture = framed(pair.truth, pair.true_face, driver.framing, pair.truth.shape[0])
        assert picture is not None  # true faces are valid
        truth = Look(picture=picture, faces=truth.faces, embeddings=truth.embeddings)
    return _scores(pair, instruments.look(result), source, truth, instruments, driver)


def _scores(
    pair: HeadPair,
    result: Look,
    source: Look,
    truth: Look,
    instruments: Instruments,
    driver: Driver | None = None,
) -> Scores:
    framing = "source" if driver is None or driver.framing == "head" else driver.framing
    side = pair.truth.shape[0]
    points = moved_landmarks(pair.true_face, framing, side, side)
    judges = [judge.name for judge in instruments.judges]
    return (
        picture_scores(result.picture, truth.picture, instruments.distances)
        | identity_scores("identity_truth", result, truth)
        | identity_scores("identity_source", result, source)
        | motion_scores(result, dict.fromkeys(judges, pair.true_face), instruments)
        | landmark_scores(result, dict.fromkeys(judges, points))
    )
