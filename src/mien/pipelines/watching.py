"""One face of a driver, frame by frame: followed, smoothed, with the frame it was seen in."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mien.face3d.params import FaceParams
from mien.media.reader import Frame
from mien.media.sequence import DEFAULT_RATE
from mien.pipelines.faces import Face, FaceCounter, describe_faces
from mien.pipelines.timing import StageClock
from mien.tracking import FaceSmoother, Smoothing, Tracker
from mien.tracking.follow import follow


@dataclass(frozen=True)
class Seen:
    """A frame and the face that was measured in it.

    Attributes:
        frame: what came in.
        params: the face, length 1, smoothed if that was asked for; not valid where it was not found.
        time_s: when the frame is shown, in seconds.
    """

    frame: Frame | np.ndarray
    params: FaceParams
    time_s: Fraction

    @property
    def is_found(self) -> bool:
        """Whether the face was found."""
        return bool(self.params.valid[0])

    @property
    def picture(self) -> np.ndarray:
        """The frame as uint8 (H, W, 3)."""
        return self.frame.image if isinstance(self.frame, Frame) else self.frame


class Watch(Iterator[Seen]):
    """Follows one face through frames, lazily; reads ahead by one batch.

    Args:
        tracker: what measures faces.
        frames: pictures or frames; plain pictures count as 25 per second.
        face: which face to follow, see `mien.tracking.choose_box`.
        batch: frames measured together.
        smoothing: of angles and expression; None leaves them as they were measured.
        clock: is charged with the stages decode and track; a new one if it is not given.
    """

    def __init__(
        self,
        tracker: Tracker,
        frames: Iterable[np.ndarray] | Iterable[Frame],
        face: Face = "largest",
        batch: int = 8,
        smoothing: Smoothing | None = None,
        clock: StageClock | None = None,
    ) -> None:
        self.face = face
        self.clock = clock or StageClock()
        self._tracker = FaceCounter(tracker)
        self._seen = self._run(frames, batch, smoothing)

    def __next__(self) -> Seen:
        return next(self._seen)

    @property
    def notices(self) -> tuple[str, ...]:
        """What the user should know about the faces so far."""
        if len(self._tracker.boxes) < 2:
            return ()
        chosen = f"the {self.face} one" if isinstance(self.face, str) else self.face
        return (f"the driver shows {describe_faces(self._tracker.boxes)}; following {chosen} (--driver-face)",)

    def _run(self, frames: Iterable[np.ndarray] | Iterable[Frame], batch: int, smoothing: Smoothing | None):
        waiting: deque[Frame | np.ndarray] = deque()
        smoother = FaceSmoother(smoothing) if smoothing is not None else None
        pictures = _noting(self.clock.each("decode", frames), waiting)
        tracked = self.clock.each("track", follow(self._tracker, pictures, self.face, batch))
        for index, params in enumerate(tracked):
            frame = waiting.popleft()
            time_s = frame.time_s if isinstance(frame, Frame) else index / DEFAULT_RATE
            yield Seen(frame, smoother(params, time_s) if smoother is not None else params, time_s)


def _noting(frames: Iterable[Frame | np.ndarray], waiting: deque[Frame | np.ndarray]) -> Iterator[np.ndarray]:
    """The pictures of the frames; the frames themselves wait until their faces are measured."""
    for frame in frames:
        waiting.append(frame)
        yield frame.image if isinstance(frame, Frame) else frame
