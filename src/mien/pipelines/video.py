"""From files to files: a source picture and a driver become a video, a picture, or a folder of pictures."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from mien.errors import OutputError
from mien.images import PICTURE_SUFFIXES, read_image
from mien.inversion import TuningConfig
from mien.media import (
    VIDEO_SUFFIXES,
    Frame,
    PictureFolderWriter,
    PictureSequence,
    PictureWriter,
    Video,
    VideoWriter,
    check_folder,
    check_output,
    open_driver,
)
from mien.pipelines.driving import Strength
from mien.pipelines.faces import Face
from mien.pipelines.moving import Method, choose_method
from mien.pipelines.panels import side_by_side
from mien.pipelines.reenactor import Reenactor
from mien.pipelines.streaming import Driven, Missing
from mien.pipelines.timing import StageClock

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """How a driver file moves the source.

    Attributes:
        relative: apply the driver's change since its first frame with a face instead of its pose itself.
        strength: factor on the motion, or factors by group or coordinate.
        grid: show source, driver and result side by side.
        source_face: which face of the source picture; None refuses to choose between two prominent ones.
        driver_face: which face of the driver to follow.
        missing: what to show while the driver's face is lost, see `Reenactor.stream`.
        batch: frames computed together.
        rate: frames per second of a folder of pictures; videos carry their own.
        method: how motion becomes a new code, see `Reenactor.drive`.
        tune: tune the generator to the source first; None leaves it as it is.
    """

    relative: bool = False
    strength: Strength = 1.0
    grid: bool = False
    source_face: Face | None = None
    driver_face: Face = "largest"
    missing: Missing = "hold"
    batch: int = 8
    rate: Fraction | None = None
    method: Method | None = None
    tune: TuningConfig | None = None


@dataclass(frozen=True)
class Report:
    """What a run did.

    Attributes:
        output: where the result lies.
        num_frames: frames written.
        num_missing: those among them without a face in the driver.
        seconds: stage (identify, tune, decode, track, generate, encode) → seconds spent in it.
        notices: what the user should know, one sentence each.
    """

    output: Path
    num_frames: int
    num_missing: int
    seconds: dict[str, float]
    notices: tuple[str, ...]

    @property
    def frames_per_second(self) -> float:
        """Throughput over all stages but identify and tune."""
        spent = sum(seconds for stage, seconds in self.seconds.items() if stage not in ("identify", "tune"))
        return self.num_frames / spent if spent > 0 else 0.0


def reenact_video(
    model: Reenactor,
    source: str | os.PathLike[str],
    driver: str | os.PathLike[str],
    output: str | os.PathLike[str],
    options: VideoOptions | None = None,
    progress: Progress | None = None,
) -> Report:
    """Drive the person of a picture with a video, a folder of pictures or a photo; the output appears only when whole.

    Video in: rate, time stamps and audio are kept exactly. A photo gives a picture; a folder gives a video or, for an
    output without a suffix, a folder of pictures.

    Args:
        progress: called after each frame with the frames done and the frames announced (None: unknown); while the
            generator is tuned, with the steps.

    Raises:
        BundleError: the bundle lacks what the method needs; found out before the work starts.
        OutputError: the output cannot be written; found out before the work starts.
        ImageError, MediaError: source or driver cannot be read. A driver that turns out damaged gives no output.
        NoFaceError, SeveralFacesError: in the source; or no face in any frame of the driver.
    """
    options = options or VideoOptions()
    method = choose_method(model.bundle, options.method)
    output = Path(output)
    frames = open_driver(driver, options.rate)
    sink = _sink(output, frames, Path(source))
    picture, clock = read_image(source), StageClock()
    with clock.stage("identify"):
        identity = model.identify(picture, options.source_face)
    if options.tune is not None:
        with clock.stage("tune"):
            model = model.tune(identity, options.tune, progress)
    stream = model.stream(
        identity,
        frames,
        relative=options.relative,
        strength=options.strength,
        face=options.driver_face,
        missing=options.missing,
        batch=options.batch,
        method=method,
    )
    with stream.clock.stage("encode"), sink:
        for driven in stream.results():
            _write(sink, driven, identity.image if options.grid else None, frames.info.size)
            if progress is not None:
                progress(stream.num_frames, frames.info.num_frames)
    notices = identity.notices + stream.notices + (tuple(sink.notices) if isinstance(sink, VideoWriter) else ())
    return Report(output, stream.num_frames, stream.num_missing, clock.seconds | stream.clock.seconds, notices)


Sink = VideoWriter | PictureWriter | PictureFolderWriter


def _sink(output: Path, frames: Video | PictureSequence, source: Path) -> Sink:
    """What the output's suffix and the kind of driver call for, after making sure that it can be written."""
    inputs = [source, frames.info.path]
    suffix = output.suffix.lower()
    if isinstance(frames, PictureSequence) and frames.single:
        return PictureWriter(check_output(output, PICTURE_SUFFIXES, inputs))
    if not suffix:
        return PictureFolderWriter(check_folder(output))
    if suffix in PICTURE_SUFFIXES:
        videos = ", ".join(VIDEO_SUFFIXES)
        raise OutputError(f"{output}: this driver gives a video ({videos}) or a folder (no suffix), not a picture")
    check_output(output, VIDEO_SUFFIXES, inputs)
    audio = frames.info.path if frames.info.audio else None
    return VideoWriter(output, frames.info.rate, frames.info.time_base, audio)


def _write(sink: Sink, driven: Driven, source: np.ndarray | None, size: tuple[int, int]) -> None:
    """Write one result, between source and driver frame when `source` is given."""
    frame, image = driven.frame, driven.image
    assert isinstance(frame, Frame)
    if source is not None:
        driver_width = max(1, round(size[1] * image.shape[0] / size[0]))
        image = side_by_side(source, frame.image, image, driver_width)
    sink.write(image, frame.pts, frame.duration)
