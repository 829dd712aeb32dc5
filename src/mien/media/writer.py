"""Writing H.264 video at the driver's exact times, with its audio, and only ever whole files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from mien.errors import MediaError, OutputError
from mien.images import SYNTHETIC_NOTE
from mien.media.audio import AudioTrack

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
VIDEO_SUFFIXES = tuple(CONTAINERS)
ENCODING = {"crf": "18", "preset": "veryfast", "bf": "0"}  # without B-frames, decoding times are presentation times
MAX_TIMESCALE = 2**31 - 1


def check_output(path: str | os.PathLike[str], suffixes: Sequence[str], inputs: Sequence[Path] = ()) -> Path:
    """Make sure that a file can be written, before hours are spent on its content; nothing is left behind.

    Args:
        suffixes: what the caller can write, e.g. `VIDEO_SUFFIXES`.
        inputs: files being read, which the output must not replace.

    Raises:
        OutputError: unknown suffix, missing or unwritable folder, the name of a folder, or one of the inputs.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"{path}: unknown kind of output {path.suffix!r}; use one of {', '.join(suffixes)}")
    if path.is_dir():
        raise OutputError(f"{path}: this is a folder")
    if any(path.exists() and given.exists() and path.samefile(given) for given in inputs):
        raise OutputError(f"{path}: the output would replace an input")
    probe = partial_path(path)
    try:
        probe.touch(exist_ok=False)
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror})") from error
    finally:
        probe.unlink(missing_ok=True)
    return path


def partial_path(path: Path) -> Path:
    """A hidden name beside `path` for a file or folder that is not whole yet."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


class VideoWriter:
    """Writes a video as a context manager: the file appears under its name when the block ends without an error.

    Any exception, Ctrl-C included, removes what was written. Frames are encoded as they come, so memory does not
    grow with length. Odd sizes gain one repeated row or column, because yuv420p needs even ones.

    Args:
        path: .mp4, .m4v, .mov or .mkv (Matroska stores times in milliseconds and rounds them).
        rate: average frames per second, exact.
        time_base: unit of the `pts` given to `write`; one period of `rate` when not given.
        audio_from: a file whose audio packets are copied, not re-encoded; a codec that the container cannot hold is
            encoded as AAC, which `notices` then says.
        note: comment stored in the file; by default that it is synthetic, which the title then says too.

    Raises:
        OutputError: on entering the block, when the file cannot be written there.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rate: Fraction,
        time_base: Fraction | None = None,
        audio_from: Path | None = None,
        note: str = SYNTHETIC_NOTE,
    ) -> None:
        self.path = Path(path)
        self.rate = Fraction(rate)
        self.time_base = 1 / self.rate if time_base is None else Fraction(time_base)
        self.num_frames = 0
        self.notices: list[str] = []
        self._audio_from = audio_from
        self._note = note
        self._partial = partial_path(self.path)
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._audio: AudioTrack | None = None
        self._durations: dict[int, int] = {}
        self._last_pts: int | None = None

    def __enter__(self) -> Self:
        check_output(self.path, VIDEO_SUFFIXES)
        name = CONTAINERS[self.path.suffix.lower()]
        ticks = self._ticks_per_second()
        exact = {"movflags": "+faststart", "video_track_timescale": ticks, "movie_timescale": ticks}
        options = {} if name == "matroska" else exact
        try:
            container = av.open(str(self._partial), "w", format=name, container_options=options)
        except (FFmpegError, OSError) as error:
            raise OutputError(f"{self.path}: cannot write there ({error.strerror})") from error
        if self._note == SYNTHETIC_NOTE:
            container.metadata["title"] = "Synthetic media made with mien"
        container.metadata["comment"] = self._note
        self._container = container
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except (FFmpegError, OSError) as failure:
            raise OutputError(f"{self.path}: writing failed ({failure.strerror})") from failure
        finally:
            self._discard()

    def write(self, image: np.ndarray, pts: int | None = None, duration: int | None = None) -> None:
        """Append one frame.

        Args:
            image: uint8 (H, W, 3) RGB, every frame of the same size.
            pts: presentation time in `time_base` units, strictly increasing; None: one period after the last.
            duration: how long it is shown, in the same units.

        Raises:
            OutputError: the frame has another size than the first, time runs backwards, or the disk refuses.
        """
        pts = self._next_pts() if pts is None else pts
        if self._last_pts is not None and pts <= self._last_pts:
            raise OutputError(f"{self.path}: time stamp {pts} does not follow {self._last_pts}")
        image = _even(image)
        try:
            stream = self._stream or self._begin(self._opened(), image.shape[:2])
            if image.shape[:2] != (stream.height, stream.width):
                raise OutputError(f"{self.path}: a frame of another size than the first: {image.shape[:2]}")
            self._last_pts = pts
            self._durations[pts] = duration or max(1, round(1 / (self.rate * self.time_base)))
            self._encode(stream, _to_yuv(image, pts, self.time_base))
        except FFmpegError as error:
            raise OutputError(f"{self.path}: writing failed ({error.strerror})") from error
        self.num_frames += 1

    def _next_pts(self) -> int:
        period = max(1, round(1 / (self.rate * self.time_base)))
        return 0 if self._last_pts is None else self._last_pts + period

    def _ticks_per_second(self) -> str:
        """Clock of the file and its video track: the driver's own, so that neither start nor stamps are rounded."""
        return str(min(self.time_base.denominator, MAX_TIMESCALE))

    def _opened(self) -> OutputContainer:
        if self._container is None:
            raise OutputError(f"{self.path}: not open; write inside a with block")
        return self._container

    def _begin(self, container: OutputContainer, size: tuple[int, int]) -> VideoStream:
        stream = container.add_stream("libx264", rate=self.rate, options=ENCODING)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = self.time_base
        context = stream.codec_context
        context.time_base = self.time_base
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        if self._audio_from is not None:
            self._audio = AudioTrack(self._audio_from, container)
            self.notices.extend(self._audio.notices)
        self._stream = stream
        return stream

    def _encode(self, stream: VideoStream, frame: VideoFrame | None) -> None:
        for packet in stream.encode(frame):
            if packet.pts in self._durations:
                packet.duration = self._durations.pop(packet.pts)
            if self._audio is not None:
                self._audio.copy_until((packet.dts or 0) * packet.time_base)
            self._opened().mux(packet)

    def _finish(self) -> None:
        if self._stream is None:
            raise OutputError(f"{self.path}: there was no frame to write")
        self._encode(self._stream, None)
        if self._audio is not None:
            self._audio.copy_until(None)
        self._opened().close()
        os.replace(self._partial, self.path)

    def _discard(self) -> None:
        """Close everything and remove the partial file, which is gone already after success."""
        if self._audio is not None:
            self._audio.close()
        if self._container is not None:
            with suppress(FFmpegError, OSError, ValueError):
                self._container.close()
        self._partial.unlink(missing_ok=True)


def _even(image: np.ndarray) -> np.ndarray:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise MediaError(f"a frame must be uint8 (H, W, 3), not {image.dtype} {image.shape}")
    return np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")


def _to_yuv(image: np.ndarray, pts: int, time_base: Fraction) -> VideoFrame:
    """BT.709, limited range: what players assume, and said so in the stream."""
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    frame = frame.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
    )
    frame.pts, frame.time_base = pts, time_base
    return frame
