"""`self`, `cross` and `large-pose` on real videos, where no true parameters are known: one tracker on both sides.

self: the first frame of a video is the source, all its frames are targets. large-pose: of those, targets turned by more
than 15 degrees on average. cross: the first frame of one person's video, driven by another's; there is no true picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch

from mien.benchmark.clips import Clip, draw_cross_pairs
from mien.benchmark.heads import LARGE_TURN_DEG
from mien.benchmark.instruments import (
    Instruments,
    Look,
    Scores,
    identity_scores,
    landmark_scores,
    largest_face,
    motion_scores,
    picture_scores,
)
from mien.benchmark.protocol import Driver, framed, run_driver
from mien.benchmark.records import Record
from mien.errors import InputError
from mien.face3d.params import FaceParams
from mien.images import to_tensor
from mien.metrics.frechet import GaussianStream, frechet_distance
from mien.metrics.motion import angle_difference_deg

VideoProtocol = Literal["self", "cross", "large-pose"]
CLIP_LENGTH = 16
"""Frames of a clip whose features enter FVD (Unterthiner et al. 2018)."""


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """How much of the videos is used.

    Attributes:
        frames: of each video at most; None takes all.
        cross_pairs: pairs of the protocol `cross` (the literature's 35).
        large_pose_pairs: targets of each video in `large-pose`, evenly among those turned enough.
        size: side at which everything is measured, in pixels.
        seed: of the draw of pairs.
    """

    frames: int | None = 64
    cross_pairs: int = 35
    large_pose_pairs: int = 5
    size: int = 256
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Question:
    """One source and the frames that drive it.

    Attributes:
        label: names of the clips.
        source: uint8 (H, W, 3).
        targets: driver frames uint8 (H, W, 3).
        has_truth: whether the driver frames are the true pictures.
    """

    label: str
    source: np.ndarray
    targets: Sequence[np.ndarray]
    has_truth: bool


@dataclass(kw_only=True)
class MeasuredVideos:
    """What a run found.

    Attributes:
        records: one for each driver and frame.
        distances: driver → name of a Fréchet distance → (value, frames or clips on each side).
        examples: (question, driver or "source", "target") → one picture of it.
        left_out: questions that could not be asked, with the reason.
    """

    records: list[Record] = field(default_factory=list)
    distances: dict[str, dict[str, tuple[float, int]]] = field(default_factory=dict)
    examples: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


class FeatureStreams:
    """Fits Gaussians to the features of true and resulting frames, and of clips of 16 successive ones."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._streams: dict[str, tuple[GaussianStream, GaussianStream]] = {}
        self._counts: dict[str, int] = {}

    @torch.no_grad()
    def update(self, truth: Sequence[Look], results: Sequence[Look]) -> None:
        """Adds successive frames of one video; both sides must be equally many."""
        for name, features in self._instruments.frame_features.items():
            for a, b in zip(truth, results, strict=True):
                self._add(name, features(to_tensor(a.picture)), features(to_tensor(b.picture)))
        for name in self._instruments.identities:
            pairs = [(a.embeddings.get(name), b.embeddings.get(name)) for a, b in zip(truth, results, strict=True)]
            for a, b in pairs:
                if a is not None and b is not None:
                    self._add(f"Fréchet distance of {name} embeddings (instead of FID)", a[None], b[None])
        for name, features in self._instruments.clip_features.items():
            for start in range(0, len(truth) - CLIP_LENGTH + 1, CLIP_LENGTH):
                sides = (_clip_tensor(side[start : start + CLIP_LENGTH]) for side in (truth, results))
                self._add(name, *(features(side) for side in sides))

    def _add(self, name: str, truth: torch.Tensor, result: torch.Tensor) -> None:
        first, second = self._streams.setdefault(name, (GaussianStream(), GaussianStream()))
        first.update(truth)
        second.update(result)
        self._counts[name] = self._counts.get(name, 0) + len(truth)

    def result(self) -> dict[str, tuple[float, int]]:
        """Distance and number of samples on each side, for every network that saw at least two."""
        return {
            name: (frechet_distance(first.result(), second.result()), self._counts[name])
            for name, (first, second) in self._streams.items()
            if self._counts[name] > 1
        }


def _clip_tensor(looks: Sequence[Look]) -> torch.Tensor:
    return to_tensor([look.picture for look in looks])[None]


def questions(
    protocol: VideoProtocol, clips: Sequence[Clip], instruments: Instruments, settings: VideoSettings
) -> list[tuple[str, Callable[[], Question]]]:
    """Label of each question, and the function that reads its frames.

    Raises:
        InputError: cross pairs of a single person.
    """
    if protocol == "cross":
        rng = np.random.default_rng(settings.seed)
        drawn = draw_cross_pairs(clips, settings.cross_pairs, rng)
        return [(f"{a.name} by {b.name}", lambda a=a, b=b: _cross(a, b, settings)) for a, b in drawn]
    if protocol == "self":
        return [(clip.name, lambda clip=clip: _self(clip, settings)) for clip in clips]
    return [(clip.name, lambda clip=clip: _large_pose(clip, instruments, settings)) for clip in clips]


def _self(clip: Clip, settings: VideoSettings) -> Question:
    frames = clip.frames(settings.frames)
    return Question(label=clip.name, source=frames[0], targets=frames, has_truth=True)


def _cross(source: Clip, driver: Clip, settings: VideoSettings) -> Question:
    first, targets = source.frames(1)[0], driver.frames(settings.frames)
    return Question(label=f"{source.name} by {driver.name}", source=first, targets=targets, has_truth=False)


def _large_pose(clip: Clip, instruments: Instruments, settings: VideoSettings) -> Question:
    frames = clip.frames(settings.frames)
    tracker = instruments.judges[0].tracker
    faces = FaceParams.cat([largest_face(tracker, frame) for frame in frames])
    turn = angle_difference_deg(faces.angles, faces.angles[:1].expand_as(faces.angles)).mean(1)
    turned = np.flatnonzero(((turn > LARGE_TURN_DEG) & faces.valid & faces.valid[0]).numpy())
    if not len(turned):
        raise InputError(f"no frame is turned by more than {LARGE_TURN_DEG:g} degrees from the first")
    chosen = turned[np.linspace(0, len(turned) - 1, min(settings.large_pose_pairs, len(turned))).round().astype(int)]
    return Question(label=clip.name, source=frames[0], targets=[frames[i] for i in chosen], has_truth=True)


def measure_videos(
    protocol: VideoProtocol,
    drivers: Sequence[Driver],
    clips: Sequence[Clip],
    instruments: Instruments,
    settings: VideoSettings | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> MeasuredVideos:
    """Runs each driver on each question of a protocol and measures its results, every frame with the same weight.

    Videos that cannot be read, or in which the protocol finds nothing to ask, are left out and listed.

    Raises:
        InputError: a driver breaks the protocol, or nothing could be measured.
    """
    settings = settings or VideoSettings()
    measured = MeasuredVideos()
    streams = {driver.name: FeatureStreams(instruments) for driver in drivers}
    asked = questions(protocol, clips, instruments, settings)
    for done, (label, read) in enumerate(asked, start=1):
        try:
            question = read()
        except InputError as error:
            measured.left_out.append(f"{label}: {error}")
        else:
            for driver in drivers:
                _measure(driver, question, instruments, settings.size, measured, streams[driver.name])
        if progress is not None:
            progress(done, len(asked))
    if not measured.records:
        raise InputError(f"nothing could be measured; {'; '.join(measured.left_out[:3])}")
    measured.distances = {name: stream.result() for name, stream in streams.items()}
    return measured


def _measure(
    driver: Driver,
    question: Question,
    instruments: Instruments,
    size: int,
    measured: MeasuredVideos,
    stream: FeatureStreams,
) -> None:
    tracker, question = instruments.judges[0].tracker, _squared(driver, question, instruments, size)
    source = _framed_look(question.source, driver, size, instruments)
    looks: list[tuple[Look, Look]] = []
    results = run_driver(driver, question.source, question.targets, size)
    for number, (target, result) in enumerate(zip(question.targets, results, strict=True)):
        truth = framed(target, largest_face(tracker, target), driver.framing, size)
        scores: Scores = {"answered": float(result is not None)}
        if result is not None and truth is not None and source is not None:
            ours, theirs = instruments.look(result), instruments.look(truth)
            looks.append((theirs, ours))
            scores |= _scores(ours, theirs, source, question.has_truth, instruments)
        record = Record(driver=driver.name, groups=("all",), label=f"{question.label} {number}", scores=scores)
        measured.records.append(record)
    stream.update([a for a, _ in looks], [b for _, b in looks])
    if looks and source is not None:
        theirs, ours = looks[len(looks) // 2]
        shown = {"source": source.picture, "target": theirs.picture, driver.name: ours.picture}
        measured.examples |= {(question.label, name): picture for name, picture in shown.items()}


def _squared(driver: Driver, question: Question, instruments: Instruments, size: int) -> Question:
    """The question itself; for a driver that frames like its source, the `head` crops of frames that are not square
    (those without a face are left out)."""
    if driver.framing != "source" or question.source.shape[0] == question.source.shape[1]:
        return question
    tracker = instruments.judges[0].tracker
    source, *targets = (framed(f, largest_face(tracker, f), "head", size) for f in (question.source, *question.targets))
    if source is None:
        return replace(question, targets=[])
    return replace(question, source=source, targets=[target for target in targets if target is not None])


def _framed_look(picture: np.ndarray, driver: Driver, size: int, instruments: Instruments) -> Look | None:
    face = largest_face(instruments.judges[0].tracker, picture)
    cut = framed(picture, face, driver.framing, size)
    return None if cut is None else instruments.look(cut)


def _scores(result: Look, target: Look, source: Look, has_truth: bool, instruments: Instruments) -> Scores:
    scores = motion_scores(result, target.faces, instruments) | identity_scores("identity_source", result, source)
    if has_truth:
        wanted = {name: face.landmarks for name, face in target.faces.items() if bool(face.valid[0])}
        scores |= picture_scores(result.picture, target.picture, instruments.distances)
        scores |= identity_scores("identity_truth", result, target) | landmark_scores(result, wanted)
    return scores
