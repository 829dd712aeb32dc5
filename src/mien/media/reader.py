"""Reading video files frame by frame with their exact time stamps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import av.stream
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mien.errors import MediaError

INDEX_TAIL = 1024  # entries of the container's index that are compared with the size of the file


@dataclass(frozen=True)
class Frame:
    """One picture of a video and when it is shown.

    Args:
        image: uint8 (H, W, 3) RGB, upright, with square pixels.
        pts: presentation time in units of `time_base`.
        time_base: seconds per unit of `pts`.
        duration: how long the picture is shown, in units of `time_base`.
    """

    image: np.ndarray
    pts: int
    time_base: Fraction
    duration: int = 1

    @property
    def time_s(self) -> Fraction:
        """Presentation time in seconds, exactly."""
        return self.pts * self.time_base


@dataclass(frozen=True)
class VideoInfo:
    """What a source of frames says about itself before it is read.

    Args:
        path: the file or folder.
        size: (height, width) in pixels of the frames as they are read, after rotation.
        rate: average frame rate in frames per second, exact.
        time_base: seconds per unit of the frames' `pts`.
        num_frames: how many frames the container announces; None when it does not say.
        audio: codec names of the audio streams.
    """

    path: Path
    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    num_frames: int | None = None
    audio: tuple[str, ...] = ()


@dataclass(frozen=True)
class Video:
    """A video file: iterate it as often as needed; each pass decodes anew and holds one frame at a time."""

    info: VideoInfo

    def __iter__(self) -> Iterator[Frame]:
        return _decode(self.info)


def read_video(path: str | os.PathLike[str]) -> Video:
    """Open a video for lazy reading; its header, its first frame and its completeness are checked at once.

    Raises:
        MediaError: missing, empty, not a video, without a video stream, or cut short. While iterating: damaged data,
            with the number of frames decoded up to there.
    """
    return Video(probe_video(path))


def probe_video(path: str | os.PathLike[str]) -> VideoInfo:
    """Read what a video file says about itself, and decode its first frame to learn its upright size.

    Raises:
        MediaError: missing, empty, not a video, without a video stream, or cut short.
    """
    path = Path(path)
    with opened(path) as container:
        stream = video_stream(container, path)
        _check_completeness(stream, path)
        try:
            first = next(container.decode(stream), None)
        except FFmpegError as error:
            raise MediaError(f"{path}: the video cannot be decoded ({error.strerror})") from error
        if first is None:
            raise MediaError(f"{path}: the video stream holds no frame")
        return VideoInfo(
            path=path,
            size=upright(first, stream).shape[:2],
            rate=_rate(stream),
            time_base=Fraction(stream.time_base or Fraction(1, 1000)),
            num_frames=stream.frames or None,
            audio=tuple(codec_name(audio) for audio in container.streams.audio),
        )


def codec_name(stream: av.stream.Stream) -> str:
    """The codec of a stream by its general name ("mp3"), whichever decoder is in use ("mp3float")."""
    codec = stream.codec_context.codec
    return getattr(codec, "canonical_name", codec.name)


def opened(path: Path) -> InputContainer:
    """Open a file for reading; MediaError where it is missing, empty or no video."""
    if not path.is_file():
        raise MediaError(f"{path}: no such video")
    if path.stat().st_size == 0:
        raise MediaError(f"{path}: the file is empty")
    try:
        return av.open(str(path), "r")
    except FFmpegError as error:
        raise MediaError(f"{path}: not a video this program can read, or cut short ({error.strerror})") from error


def video_stream(container: InputContainer, path: Path) -> VideoStream:
    """The first stream of moving pictures; MediaError where there is none."""
    if not container.streams:
        raise MediaError(f"{path}: nothing can be read from this file; it may be cut short")
    cover = av.stream.Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        raise MediaError(f"{path}: there is no video stream in this file")
    streams[0].thread_type = "AUTO"
    return streams[0]


def _check_completeness(stream: VideoStream, path: Path) -> None:
    """A file that was cut short is refused before any work is spent on it, as far as its format lets one tell."""
    present = path.stat().st_size
    with path.open("rb") as file:
        announced = _announced_bytes(file.read(64))
    if announced > present:
        raise MediaError(f"{path}: the file is cut short; {present} of its {announced} bytes are there")
    entries = stream.index_entries
    total = len(entries)
    tail = [entries[i] for i in range(max(0, total - INDEX_TAIL), total)]
    missing = sum(entry.pos + entry.size > present for entry in tail)
    if missing:
        count = f"at least {missing}" if missing == len(tail) else f"{missing}"
        raise MediaError(f"{path}: the file is cut short; {count} of its {total} frames are missing")


def _announced_bytes(head: bytes) -> int:
    """Size of the whole file that the outermost element of an AVI or Matroska/WebM file states; 0: not stated."""
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little")
    if head[:4] != b"\x1aE\xdf\xa3":
        return 0
    length, position = _ebml_size(head, 4)
    segment = position + length
    if head[segment : segment + 4] != b"\x18S\x80g":
        return 0
    length, position = _ebml_size(head, segment + 4)
    return position + length if length else 0


def _ebml_size(data: bytes, position: int) -> tuple[int, int]:
    """A Matroska size and where it ends; the number of leading zero bits gives its width, all ones mean unknown."""
    first = data[position] if position < len(data) else 0
    if first == 0:
        return 0, position
    width = 9 - first.bit_length()
    value = int.from_bytes(data[position : position + width], "big") & ((1 << 7 * width) - 1)
    return (0 if value == (1 << 7 * width) - 1 else value), position + width


def _rate(stream: VideoStream) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or stream.base_rate or 25)


def upright(frame: VideoFrame, stream: VideoStream) -> np.ndarray:
    """The decoded picture as RGB with square pixels, turned as its display matrix asks."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    width = max(1, round(frame.width * aspect)) if aspect > 0 else frame.width
    image = frame.to_ndarray(format="rgb24", width=width, height=frame.height)
    return np.ascontiguousarray(np.rot90(image, round(frame.rotation / 90) % 4))


def _decode(info: VideoInfo) -> Iterator[Frame]:
    """Frames in order of presentation, each with its duration, which only its successor or the stream's end tells."""
    held: Frame | None = None
    end: int | None = None
    with opened(info.path) as container:
        stream = video_stream(container, info.path)
        if stream.duration is not None:
            end = (stream.start_time or 0) + stream.duration
        for image, pts in _pictures(container, stream, info):
            if held is not None:
                yield replace(held, duration=pts - held.pts)
            held = Frame(image, pts, info.time_base, period(info))
    if held is not None:
        yield held if end is None or end <= held.pts else replace(held, duration=end - held.pts)


def _pictures(container: InputContainer, stream: VideoStream, info: VideoInfo) -> Iterator[tuple[np.ndarray, int]]:
    """Upright pictures with strictly increasing time stamps; one without a stamp follows by one period."""
    last, count = None, 0
    try:
        for decoded in container.decode(stream):
            following = 0 if last is None else last + period(info)
            pts = following if decoded.pts is None else decoded.pts
            if last is not None and pts <= last:
                pts = last + 1
            image = fitted(upright(decoded, stream), info.size)
            last, count = pts, count + 1
            yield image, pts
    except FFmpegError as error:
        reason = f"damaged or cut short after {count} frames"
        raise MediaError(f"{info.path}: {reason} ({error.strerror})") from error


def period(info: VideoInfo) -> int:
    """How long a picture is shown on average, in units of `time_base`."""
    return max(1, round(1 / (info.rate * info.time_base)))


def fitted(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Streams may change size midway; what is handed out keeps the size announced."""
    if image.shape[:2] == size:
        return image
    resized = VideoFrame.from_ndarray(image, format="rgb24").reformat(width=size[1], height=size[0])
    return resized.to_ndarray(format="rgb24")
