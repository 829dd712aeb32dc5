"""Driving with a whole video: one pass, batched inside, constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from mien.alignment.crop import Crop
from mien.errors import InputError, NoFaceError
from mien.face3d.motion import Q_LIMIT, MotionSpace
from mien.face3d.params import FaceParams
from mien.media.reader import Frame
from mien.pipelines.driving import Strength, strength_vector
from mien.pipelines.faces import Face
from mien.pipelines.moving import MIXING, Method, single_strength
from mien.pipelines.watching import Seen, Watch
from mien.tracking import CropSmoother, Smoothing

if TYPE_CHECKING:
    from mien.pipelines.identity import Identity
    from mien.pipelines.reenactor import Reenactor

Missing = Literal["hold", "source"]
NOTABLE_CUT = 0.05 * 2 * Q_LIMIT
"""A movement counts as cut where a twentieth of a coordinate's range is missing."""


class StreamOptions(TypedDict, total=False):
    """The keywords of `Reenactor.stream`."""

    relative: bool
    strength: Strength
    face: Face
    missing: Missing
    batch: int
    reference: FaceParams | None
    method: Method | None
    smoothing: Smoothing | None


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """How a driver moves the source; see `Reenactor.stream`."""

    relative: bool = False
    strength: Strength = 1.0
    face: Face = "largest"
    missing: Missing = "hold"
    batch: int = 8
    reference: FaceParams | None = None
    method: Method | None = None
    smoothing: Smoothing | None = field(default_factory=Smoothing)

    def check(self, motion: MotionSpace) -> None:
        """Make sure that the settings make sense together.

        Raises:
            InputError: they do not.
        """
        if self.missing not in ("hold", "source"):
            raise InputError(f"missing is 'hold' or 'source', not {self.missing!r}")
        if self.batch < 1:
            raise InputError(f"batch must be at least 1, not {self.batch}")
        if self.method not in MIXING:
            strength_vector(motion, self.strength)
            return
        single_strength(self.strength)
        if self.relative or self.reference is not None:
            raise InputError(f"{self.method} takes the driver's pose itself; relative driving needs directions")


@dataclass(frozen=True)
class Driven:
    """One result with the frame it belongs to.

    Attributes:
        frame: what came in.
        image: uint8 (S, S, 3) result.
        found: False when the driver's face was not found and the result stands in for one.
        is_source: True when the source itself stands in.
    """

    frame: Frame | np.ndarray
    image: np.ndarray
    found: bool
    is_source: bool = False


class Stream(Iterator[np.ndarray]):
    """A running reenactment: iterate it for the pictures, or `results()` for pictures with their frames.

    Args:
        model: draws the results.
        identity: the source.
        watch: the driver's face; the same frames may be handed to several streams.
        settings: how the face moves the source.
        seen: what the watch has seen, where several streams share it; the watch itself if it is not given.

    Attributes:
        num_frames: frames delivered so far.
        num_missing: those among them in which the driver's face was not found.
        num_cut: those in which a movement was cut at the trained range.
        clock: seconds spent on decode, track and generate so far.
    """

    def __init__(
        self,
        model: Reenactor,
        identity: Identity,
        watch: Watch,
        settings: StreamSettings,
        seen: Iterable[Seen] | None = None,
    ) -> None:
        self.num_frames = 0
        self.num_missing = 0
        self.num_cut = 0
        self.clock = watch.clock
        self._model, self._identity, self._settings, self._watch = model, identity, settings, watch
        self._reference = settings.reference
        self._crops = CropSmoother(settings.smoothing) if settings.smoothing is not None else None
        self._results = self._run(iter(watch if seen is None else seen))

    def __next__(self) -> np.ndarray:
        return next(self._results).image

    def results(self) -> Iterator[Driven]:
        """Results with the frames they belong to, in order."""
        return self._results

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know about the driver so far, one sentence each."""
        notices = list(self._watch.notices)
        if self.num_missing:
            shown = "the last good result" if self._settings.missing == "hold" else "the source"
            notices.append(f"no face in {self.num_missing} of {self.num_frames} driver frames; {shown} is shown there")
        if self.num_cut:
            limit = "movements were cut at the range that the bundle was trained on"
            notices.append(f"in {self.num_cut} of {self.num_frames} driver frames {limit}")
        return tuple(notices)

    def _run(self, seen: Iterator[Seen]) -> Iterator[Driven]:
        last: np.ndarray | None = None
        while batch := list(islice(seen, self._settings.batch)):
            with self.clock.stage("generate"):
                images = self._generate([one for one in batch if one.is_found])
            for one in batch:
                last = next(images) if one.is_found else last
                is_source = last is None or not (one.is_found or self._settings.missing == "hold")
                self.num_frames += 1
                self.num_missing += not one.is_found
                shown = self._identity.image if last is None or is_source else last
                yield Driven(one.frame, shown, one.is_found, is_source)
        if self.num_frames and self.num_missing == self.num_frames:
            face = f"face number {self._watch.face}" if isinstance(self._watch.face, int) else "face"
            raise NoFaceError(f"no {face} was found in any of the {self.num_frames} driver frames")

    def _generate(self, seen: Sequence[Seen]) -> Iterator[np.ndarray]:
        """Results of frames that have a face."""
        if not seen:
            return iter(())
        settings, params = self._settings, FaceParams.cat([one.params for one in seen])
        if settings.method in MIXING:
            pictures, crops = [one.picture for one in seen], self._framed(seen)
            return iter(self._model.swap(self._identity, pictures, params, settings.strength, crops, settings.method))
        if settings.relative and self._reference is None:
            self._reference = params[0]
        reference = self._reference if settings.relative else None
        wanted = self._model.change(self._identity, params, settings.strength, reference, bounded=False)
        change = self._model.change(self._identity, params, settings.strength, reference)
        self.num_cut += int(((wanted - change).abs() > NOTABLE_CUT).any(1).sum())
        method = "one-shot" if settings.method == "one-shot" else "directions"
        return iter(self._model.render(self._identity, change, method))

    def _framed(self, seen: Sequence[Seen]) -> list[Crop] | None:
        """Smoothed crops of the driver's frames; None leaves them to the landmarks of each."""
        if self._crops is None:
            return None
        framed = [(self._model.frame(one.params)[0], one.time_s) for one in seen]
        return [self._crops(crop, time_s) for crop, time_s in framed]
