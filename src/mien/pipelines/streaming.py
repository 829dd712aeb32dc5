"""Driving with a whole video: one pass, batched inside, constant memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np
import torch

from mien.errors import InputError, NoFaceError
from mien.face3d.motion import MotionSpace
from mien.face3d.params import FaceParams
from mien.media.reader import Frame
from mien.pipelines.driving import Strength, strength_vector
from mien.pipelines.faces import Face, FaceCounter, describe_faces
from mien.pipelines.moving import Method, landmarker_of, single_strength
from mien.pipelines.timing import StageClock
from mien.tracking.follow import follow

if TYPE_CHECKING:
    from mien.pipelines.identity import Identity
    from mien.pipelines.reenactor import Reenactor

Missing = Literal["hold", "source"]


class StreamOptions(TypedDict, total=False):
    """The keywords of `Reenactor.stream`."""

    relative: bool
    strength: Strength
    face: Face
    missing: Missing
    batch: int
    reference: FaceParams | None
    method: Method | None


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

    def check(self, motion: MotionSpace) -> None:
        """Make sure that the settings make sense together.

        Raises:
            InputError: they do not.
        """
        if self.missing not in ("hold", "source"):
            raise InputError(f"missing is 'hold' or 'source', not {self.missing!r}")
        if self.batch < 1:
            raise InputError(f"batch must be at least 1, not {self.batch}")
        if self.method != "stylemask":
            strength_vector(motion, self.strength)
            return
        single_strength(self.strength)
        if self.relative or self.reference is not None:
            raise InputError("stylemask takes the driver's pose itself; relative driving needs directions")


@dataclass(frozen=True)
class Driven:
    """One result with the frame it belongs to.

    Attributes:
        frame: what came in.
        image: uint8 (S, S, 3) result.
        found: False when the driver's face was not found and the result stands in for one.
    """

    frame: Frame | np.ndarray
    image: np.ndarray
    found: bool


class Stream(Iterator[np.ndarray]):
    """A running reenactment: iterate it for the pictures, or `results()` for pictures with their frames.

    Attributes:
        num_frames: frames delivered so far.
        num_missing: those among them in which the driver's face was not found.
        clock: seconds spent on decode, track and generate so far.
    """

    def __init__(
        self,
        model: Reenactor,
        identity: Identity,
        frames: Iterable[np.ndarray] | Iterable[Frame],
        settings: StreamSettings,
    ) -> None:
        self.num_frames = 0
        self.num_missing = 0
        self.clock = StageClock()
        self._model, self._identity, self._settings = model, identity, settings
        is_mixing = settings.method == "stylemask"
        self._tracker = FaceCounter(landmarker_of(model.tracker) if is_mixing else model.tracker)
        self._reference = settings.reference
        self._results = self._run(frames)

    def __next__(self) -> np.ndarray:
        return next(self._results).image

    def results(self) -> Iterator[Driven]:
        """Results with the frames they belong to, in order."""
        return self._results

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know about the driver so far, one sentence each."""
        notices = []
        if len(self._tracker.boxes) > 1:
            chosen = f"the {self._settings.face} one" if isinstance(self._settings.face, str) else self._settings.face
            notices.append(
                f"the driver shows {describe_faces(self._tracker.boxes)}; following {chosen} (--driver-face)"
            )
        if self.num_missing:
            shown = "the last good result" if self._settings.missing == "hold" else "the source"
            notices.append(f"no face in {self.num_missing} of {self.num_frames} driver frames; {shown} is shown there")
        return tuple(notices)

    def _run(self, frames: Iterable[np.ndarray] | Iterable[Frame]) -> Iterator[Driven]:
        settings, clock = self._settings, self.clock
        waiting: deque[Frame | np.ndarray] = deque()
        pictures = _noting(clock.each("decode", frames), waiting)
        tracked = clock.each("track", follow(self._tracker, pictures, settings.face, settings.batch))
        last: np.ndarray | None = None
        while batch := list(islice(tracked, settings.batch)):
            params = FaceParams.cat(batch)
            with clock.stage("generate"):
                images = self._generate(params, [_picture(frame) for frame in islice(waiting, len(batch))])
            for found in params.valid.tolist():
                image = next(images) if found else self._stand_in(last)
                last = image if found else last
                self.num_frames += 1
                self.num_missing += not found
                yield Driven(waiting.popleft(), image, found)
        if self.num_frames and self.num_missing == self.num_frames:
            raise NoFaceError(f"no face was found in any of the {self.num_frames} driver frames")

    def _generate(self, params: FaceParams, pictures: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
        """Results of the frames of a batch that have a face, and only of those."""
        faces = torch.nonzero(params.valid)[:, 0]
        good = params[faces]
        if not len(good):
            return iter(())
        if self._settings.method == "stylemask":
            seen = [pictures[i] for i in faces.tolist()]
            return iter(self._model.swap(self._identity, seen, good, self._settings.strength))
        if self._settings.relative and self._reference is None:
            self._reference = good[0]
        reference = self._reference if self._settings.relative else None
        change = self._model.change(self._identity, good, self._settings.strength, reference)
        return iter(self._model.render(self._identity, change))

    def _stand_in(self, last: np.ndarray | None) -> np.ndarray:
        return self._identity.image if last is None or self._settings.missing == "source" else last


def _noting(frames: Iterable[Frame | np.ndarray], waiting: deque[Frame | np.ndarray]) -> Iterator[np.ndarray]:
    """The pictures of the frames; the frames themselves wait until their results are there."""
    for frame in frames:
        waiting.append(frame)
        yield _picture(frame)


def _picture(frame: Frame | np.ndarray) -> np.ndarray:
    return frame.image if isinstance(frame, Frame) else frame
