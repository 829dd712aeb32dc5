"""`heads`: pairs of rendered people with the true picture of the answer.

Even pairs show one person twice (self): the driver is the true answer itself. Odd pairs show two (cross): the driver
is somebody else, and the true answer is the source's own scene rendered with the driver's pose, expression and gaze.
Pair k depends on version, seed and k alone, so a short run measures the first pairs of a long one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.benchmark.people import STUDIOS, Studio
from mien.errors import InputError, OutputError
from mien.face3d.params import FaceParams
from mien.metrics.motion import angle_difference_deg
from mien.synth.motion import random_angles, random_expression

LARGE_TURN_DEG = 15.0
"""Mean |Δ angle| between source and driver from which a pair belongs to the large-pose set (METHODS section 6)."""

KINDS = ("self", "cross")
_PARTS = ("source", "driver", "truth")


@dataclass(frozen=True, kw_only=True)
class HeadsConfig:
    """Which pairs; together with the number of a pair this decides its pixels.

    Attributes:
        version: who is rendered, a key of `mien.benchmark.people.STUDIOS` or of `photographed`.
        seed: another seed is other people and motion.
        size: side of the pictures in pixels.
        pairs: how many; the first of them are the same at every number.
    """

    version: str = next(iter(STUDIOS))
    seed: int = 0
    size: int = 256
    pairs: int = 200

    def content(self) -> dict[str, Any]:
        """What decides the pixels of a pair, as it is stored."""
        return {key: value for key, value in asdict(self).items() if key != "pairs"}


FAST_PAIRS = 20


@dataclass(frozen=True, kw_only=True)
class HeadPair:
    """One question and its true answer.

    Attributes:
        index: number of the pair.
        kind: "self" or "cross".
        source, driver, truth: uint8 (S, S, 3), framed by the `head` crop of their true landmarks.
        source_face, true_face: parameters (1) of source and answer; landmarks in pixels of those pictures.
        turn_deg: mean |Δ angle| between source and answer.
    """

    index: int
    kind: str
    source: np.ndarray
    driver: np.ndarray
    truth: np.ndarray
    source_face: FaceParams
    true_face: FaceParams
    turn_deg: float

    @property
    def groups(self) -> tuple[str, ...]:
        """The sets it is counted in."""
        return ("all", self.kind, *(("large pose",) if self.turn_deg > LARGE_TURN_DEG else ()))


class HeadPairs:
    """Pairs that `render_pairs` wrote, read from disk one at a time.

    Args:
        config: which pairs.
        folder: where they are.
    """

    def __init__(self, config: HeadsConfig, folder: Path) -> None:
        self.config, self._folder = config, folder

    def __len__(self) -> int:
        return self.config.pairs

    def __iter__(self) -> Iterator[HeadPair]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> HeadPair:
        if not 0 <= index < len(self):
            raise IndexError(index)
        path = _file(self._folder, index)
        try:
            with np.load(path) as stored:
                return _pair(index, dict(stored))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(f"{path}: no readable pair there ({error}); delete it and run again") from error

    def sha256(self) -> str:
        """Digest of all pictures: equal where two runs were asked the same questions, pixel by pixel."""
        digest = hashlib.sha256()
        for pair in self:
            for picture in (pair.source, pair.driver, pair.truth):
                digest.update(picture.tobytes())
        return digest.hexdigest()


def render_pairs(
    config: HeadsConfig,
    folder: Path,
    progress: Callable[[int, int | None], None] | None = None,
    studios: Mapping[str, Callable[[int], Studio]] = STUDIOS,
) -> HeadPairs:
    """Makes sure that the pairs lie in a folder, rendering those that are missing; each appears only when it is whole.

    Args:
        folder: made if absent; holds pairs of one version, seed and size.
        progress: called with the pairs that are there and their number.
        studios: what renders each version.

    Raises:
        InputError: unknown version, or no pairs asked for.
        OutputError: the folder holds pairs of another version, seed or size, or cannot be written.
        MissingDataError, MissingExtraError, RenderError: rendering is not possible here.
    """
    if config.version not in studios:
        raise InputError(f"unknown version {config.version!r} of the heads; known: {', '.join(studios)}")
    if config.pairs < 1:
        raise InputError(f"the number of pairs must be at least 1, not {config.pairs}")
    _claim(config, folder)
    missing = [index for index in range(config.pairs) if not _file(folder, index).exists()]
    done = config.pairs - len(missing)
    if missing:
        studio = studios[config.version](config.size)
        try:
            for count, index in enumerate(missing, start=done + 1):
                _write(_file(folder, index), _render(studio, config, index))
                if progress is not None:
                    progress(count, config.pairs)
        finally:
            studio.close()
    return HeadPairs(config, folder)


def _claim(config: HeadsConfig, folder: Path) -> None:
    note = folder / "heads.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if note.exists():
            if json.loads(note.read_text(encoding="utf-8")) != config.content():
                raise OutputError(f"{folder} holds heads of another version, seed or size; choose another folder")
            return
        note.write_text(json.dumps(config.content()) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise OutputError(f"{folder}: cannot keep rendered pairs there ({error})") from error


def _file(folder: Path, index: int) -> Path:
    return folder / f"pair_{index:05d}.npz"


def _write(path: Path, arrays: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            np.savez_compressed(file, **arrays)
        partial.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


def _render(studio: Studio, config: HeadsConfig, index: int) -> dict[str, Any]:
    """Person 2k of pair k is the source; person 2k + 1 drives a cross pair."""
    rng = np.random.default_rng([config.seed, index, 0x8EAD5])
    angles = studio.reach * np.stack([random_angles(rng) for _ in range(2)])
    expression = np.stack([random_expression(rng) for _ in range(2)])
    first = 2 * (config.seed * 1_000_003 + index)
    source, truth = studio.render(first, angles, expression)
    driver = studio.render(first + 1, angles[1:], expression[1:])[0] if _kind(index) == "cross" else truth
    frames = dict(zip(_PARTS, (source, driver, truth), strict=True))
    known = {f"{part}_image": frame.image for part, frame in frames.items()}
    for part in ("source", "truth"):
        known |= {f"{part}_{name}": getattr(frames[part], name) for name in ("angles", "expression", "landmarks")}
    return known


def _kind(index: int) -> str:
    return KINDS[index % len(KINDS)]


def _pair(index: int, arrays: Mapping[str, np.ndarray]) -> HeadPair:
    faces = {part: _face(part, arrays) for part in ("source", "truth")}
    turn = angle_difference_deg(faces["source"].angles, faces["truth"].angles).mean()
    return HeadPair(
        index=index,
        kind=_kind(index),
        source=arrays["source_image"],
        driver=arrays["driver_image"],
        truth=arrays["truth_image"],
        source_face=faces["source"],
        true_face=faces["truth"],
        turn_deg=float(turn),
    )


def _face(part: str, arrays: Mapping[str, np.ndarray]) -> FaceParams:
    angles, expression, landmarks = (
        torch.from_numpy(arrays[f"{part}_{name}"])[None].float() for name in ("angles", "expression", "landmarks")
    )
    return FaceParams(angles, expression, landmarks, torch.ones(1, dtype=torch.bool), torch.ones(1))
