"""Pictures of a video at chosen times, reached by seeking instead of converting everything before them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mien.errors import MediaError
from mien.media.reader import VideoInfo, fitted, opened, probe_video, upright, video_stream

ROUNDING_S = Fraction(1, 1000)
"""Matroska and WebM round their time stamps to milliseconds: a picture that begins this much late counts as there."""

_Timed = tuple[Fraction, VideoFrame]


def sample_video(
    path: str | os.PathLike[str], times_s: Iterable[Fraction], stop_at_end: bool = False
) -> Iterator[np.ndarray]:
    """The picture that is on screen at each of some times; memory holds one of them.

    Args:
        times_s: seconds since the first frame, ascending; may be endless with `stop_at_end`.
        stop_at_end: stop quietly where the video ends; otherwise a time behind its end is an error.

    Yields:
        uint8 (H, W, 3) RGB, one per time.

    Raises:
        MediaError: not a readable video, damaged, or it ends before one of the times.
    """
    info, times = probe_video(path), iter(times_s)
    wanted = next(times, None)
    shown: VideoFrame | None = None
    end, image = Fraction(0), np.empty(0, np.uint8)
    if wanted is None:
        return
    with opened(info.path) as container:
        stream = video_stream(container, info.path)
        for time_s, decoded in _frames_from(container, stream, info, wanted):
            while shown is not None and time_s > wanted + ROUNDING_S:
                image = image if image.size else _picture(shown, stream, info)
                yield image
                if (wanted := next(times, None)) is None:
                    return
            shown, end, image = decoded, time_s + 1 / info.rate, np.empty(0, np.uint8)
        while shown is not None and wanted is not None and wanted < end:
            yield _picture(shown, stream, info)
            wanted = next(times, None)
    if wanted is not None and not stop_at_end:
        raise MediaError(f"{info.path}: the video ends at {float(end):.2f} s, before {float(wanted):.2f} s")


def _picture(decoded: VideoFrame, stream: VideoStream, info: VideoInfo) -> np.ndarray:
    try:
        return fitted(upright(decoded, stream), info.size)
    except FFmpegError as error:
        raise MediaError(f"{info.path}: a frame is damaged ({error.strerror})") from error


def _frames_from(container: InputContainer, stream: VideoStream, info: VideoInfo, time_s: Fraction) -> Iterator[_Timed]:
    """Decoded frames with their times since the first one, beginning at or before `time_s`."""
    try:
        first = next(container.decode(stream), None)
        if first is None:
            return
        start = first.pts
        if start is not None and time_s > 0:
            container.seek(start + int(time_s / info.time_base), stream=stream)
            following = _timed(container, stream, info, start)
            landed = next(following, None)
            if landed is not None and landed[0] <= time_s + ROUNDING_S:
                yield landed
                yield from following
                return
        container.seek(start or 0, stream=stream)
        yield from _timed(container, stream, info, start)
    except FFmpegError as error:
        raise MediaError(f"{info.path}: damaged or cut short ({error.strerror})") from error


def _timed(container: InputContainer, stream: VideoStream, info: VideoInfo, start: int | None) -> Iterator[_Timed]:
    """Frames without time stamps follow each other by one period."""
    last: Fraction | None = None
    for decoded in container.decode(stream):
        if decoded.pts is not None and start is not None:
            last = (decoded.pts - start) * info.time_base
        else:
            last = Fraction(0) if last is None else last + 1 / info.rate
        yield last, decoded


def frames_at(path: Path, first: int, step: int, rate: Fraction, count: int | None = None) -> Iterator[np.ndarray]:
    """Every `step`-th frame of a video as it would be at another constant rate, from frame number `first` on.

    Args:
        path: the video.
        first: number of the first frame, at `rate`.
        step: distance of the frames.
        rate: frames per second in which `first` and `step` count.
        count: how many; None: all up to the end.

    Raises:
        MediaError: as `sample_video`; a video that ends before `count` frames is one.
    """

    def times() -> Iterator[Fraction]:
        number = 0
        while count is None or number < count:
            yield (first + number * step) / rate
            number += 1

    return sample_video(path, times(), stop_at_end=count is None)
