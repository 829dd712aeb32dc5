"""A whole photo that moves: every driven face in it pasted back where it was."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import cycle, tee
from typing import TYPE_CHECKING

import numpy as np

from mien.alignment.paste import Paster
from mien.errors import InputError, NoFaceError
from mien.face3d.params import FaceParams
from mien.media.reader import Frame
from mien.pipelines.faces import describe_faces
from mien.pipelines.streaming import Driven, Stream, StreamSettings
from mien.pipelines.timing import StageClock

if TYPE_CHECKING:
    from mien.pipelines.identity import Identity
    from mien.pipelines.reenactor import Reenactor

MATCHING = "matching"
"""A driver face: for the first person from the left the first face from the left, and so on."""
Cast = Sequence[tuple["Reenactor", "Identity"]]
"""The people of a photo from left to right, each with the model that draws them (tuned to them or shared)."""


class SceneStream:
    """Several streams over one driver, pasted into one photo; the counterpart of `Stream` for the full frame.

    One driver face is tracked once and drives everybody; with `MATCHING` each person has a face of their own.

    Args:
        picture: uint8 (H, W, 3) the photo.
        cast: who moves in it.
        frames: the driver.
        settings: how; `face` may be `MATCHING`.
        references: references of relative driving, one per driver face; None takes each face's first frame.

    Attributes:
        num_frames: frames delivered so far.
        num_missing: those among them in which a driver face was not found.
        clock: seconds spent on decode, track, generate and paste so far.

    Raises:
        InputError: nobody to move.
    """

    def __init__(
        self,
        picture: np.ndarray,
        cast: Cast,
        frames: Iterable[Frame],
        settings: StreamSettings,
        references: Sequence[FaceParams | None] | None = None,
    ) -> None:
        if not cast:
            raise InputError("a scene needs at least one person")
        self.num_frames = 0
        self.num_missing = 0
        self.clock = StageClock()
        self._paster = Paster(picture, [identity.crop for _, identity in cast])
        each = driver_faces(settings, len(cast))
        if references is not None:
            each = [replace(own, reference=found) for own, found in zip(each, references, strict=True)]
        watches = [cast[0][0].watch(part, own, self.clock) for part, own in zip(tee(frames, len(each)), each)]
        self._watches = watches
        seen = watches if len(watches) == len(cast) else tee(watches[0], len(cast))
        people = zip(cast, cycle(watches), cycle(each), seen)
        self._streams = [Stream(*person, watch, own, part) for person, watch, own, part in people]

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know about the driver so far, one sentence each."""
        told = [notice for stream in self._streams for notice in stream.notices]
        several = {notice for watch in self._watches for notice in watch.notices} if len(self._watches) > 1 else set()
        return tuple(notice for notice in dict.fromkeys(told) if notice not in several)

    def results(self) -> Iterator[Driven]:
        """Full pictures uint8 (H, W, 3) with the frames they belong to, in order."""
        for parts in zip(*(stream.results() for stream in self._streams), strict=True):
            with self.clock.stage("paste"):
                image = self._paster([None if part.is_source else part.image for part in parts])
            is_found = all(part.found for part in parts)
            self.num_frames += 1
            self.num_missing += not is_found
            yield Driven(parts[0].frame, image, is_found)


def driver_faces(settings: StreamSettings, num_people: int) -> list[StreamSettings]:
    """The settings for each face of the driver that is followed: one for everybody, or one per person if matching."""
    faces = range(num_people) if settings.face == MATCHING else (settings.face,)
    return [replace(settings, face=face) for face in faces]


def check_matching(model: Reenactor, picture: np.ndarray, count: int) -> None:
    """Make sure that the first frame of a driver shows a face for each of `count` people.

    Raises:
        NoFaceError: it shows some, but fewer; the message lists them. A frame without any face says nothing.
    """
    boxes = model.tracker.find(picture)
    if 0 < len(boxes) < count:
        raise NoFaceError(
            f"{count} people are to follow a face each, but the driver shows {describe_faces(boxes)}; "
            "choose one face for all with --driver-face"
        )
