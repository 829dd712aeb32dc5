"""From files to files: a source picture and a driver become a video, a picture, or a folder of pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from mien.errors import InputError, OutputError
from mien.face3d.params import FaceParams
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
from mien.pipelines.moving import Method, check_tuning
from mien.pipelines.panels import side_by_side
from mien.pipelines.reenactor import Reenactor
from mien.pipelines.reference import neutral_face, numbered_face
from mien.pipelines.scene import MATCHING, SceneStream, check_matching, driver_faces
from mien.pipelines.streaming import Driven, Missing, Stream, StreamSettings
from mien.pipelines.timing import StageClock
from mien.tracking import Smoothing

Progress = Callable[[int, int | None], None]
NAMED_REFERENCES = ("neutral", "first")
ALL = "all"
"""A source face: every person in the photo, pasted back into it."""


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """How a driver file moves the source.

    Attributes:
        relative: apply the driver's change since its reference frame instead of its pose itself.
        reference: of relative driving: "neutral", the driver's most neutral frame, which reads the driver twice;
            "first", the first one with a face; the number of a frame, counted from 0; or the path of a picture.
        strength: factor on the motion, or factors by group or coordinate.
        smoothing: calms the driver's track, see `Reenactor.stream`; None takes it as measured.
        paste: put the result back into the whole source picture, behind a soft mask.
        grid: show source, driver and result side by side.
        source_face: which face of the source picture; "all" moves everybody and needs `paste`; None refuses to choose
            between two prominent ones.
        driver_face: which face of the driver to follow; "matching" gives each source face, counted from the left, its
            own.
        missing: what to show while the driver's face is lost, see `Reenactor.stream`.
        batch: frames computed together.
        rate: frames per second of a folder of pictures; videos carry their own.
        method: how motion becomes a new code, see `Reenactor.drive`.
        tune: tune the generator to the source first; None leaves it as it is.
    """

    relative: bool = False
    reference: str | int = "neutral"
    strength: Strength = 1.0
    smoothing: Smoothing | None = field(default_factory=Smoothing)
    paste: bool = False
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
        seconds: stage (identify, tune, reference, decode, track, generate, paste, encode) → seconds spent in it.
        notices: what the user should know, one sentence each.
    """

    output: Path
    num_frames: int
    num_missing: int
    seconds: dict[str, float]
    notices: tuple[str, ...]

    @property
    def frames_per_second(self) -> float:
        """Throughput over all stages but identify, tune and reference."""
        once = ("identify", "tune", "reference")
        spent = sum(seconds for stage, seconds in self.seconds.items() if stage not in once)
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
        progress: called after each frame with the frames done and the frames announced (None: unknown); before that
            in the same way while the driver is searched for its reference, and with the steps of tuning.

    Raises:
        InputError: options that make no sense together, or a reference that is not there.
        BundleError: the bundle lacks what the method needs; found out before the work starts.
        OutputError: the output cannot be written; found out before the work starts.
        ImageError, MediaError: source or driver cannot be read. A driver that turns out damaged gives no output.
        NoFaceError, SeveralFacesError: in the source; or no face in any frame of the driver.
    """
    options = options or VideoOptions()
    check_tuning(options.method, options.tune is not None)
    settings = _settings(model, options)
    output = Path(output)
    frames = open_driver(driver, options.rate)
    _check_reference(options, frames)
    sink = _sink(output, frames, Path(source))
    picture, clock = read_image(source), StageClock()
    with clock.stage("identify"):
        everybody = options.source_face == ALL
        people = model.identify_all(picture) if everybody else (model.identify(picture, options.source_face),)
    if settings.face == MATCHING:
        check_matching(model, next(iter(frames)).image, len(people))
    with clock.stage("reference"):
        faces = driver_faces(settings, len(people))
        references = [_reference(model, own, options.reference, frames, progress) for own in faces]
    models = [model] * len(people)
    if options.tune is not None:
        with clock.stage("tune"):
            models = [model.tune(person, options.tune, progress) for person in people]
    if options.paste:
        stream = SceneStream(picture, list(zip(models, people)), frames, settings, references)
        shown = picture
    else:
        settings = replace(settings, reference=references[0])
        stream = Stream(models[0], people[0], model.watch(frames, settings), settings)
        shown = people[0].image
    with stream.clock.stage("encode"), sink:
        for driven in stream.results():
            _write(sink, driven, shown if options.grid else None, frames.info.size)
            if progress is not None:
                progress(stream.num_frames, frames.info.num_frames)
    notices = tuple(dict.fromkeys(notice for person in people for notice in person.notices)) + stream.notices
    notices += tuple(sink.notices) if isinstance(sink, VideoWriter) else ()
    seconds = {stage: spent for stage, spent in clock.seconds.items() if stage != "reference" or options.relative}
    return Report(output, stream.num_frames, stream.num_missing, seconds | stream.clock.seconds, notices)


def _settings(model: Reenactor, options: VideoOptions) -> StreamSettings:
    """How a stream is to run; options that make no sense together are refused."""
    if not options.paste and (options.source_face == ALL or options.driver_face == MATCHING):
        raise InputError("several source faces go back into the whole picture; add --paste")
    return model.settings(
        relative=options.relative,
        strength=options.strength,
        face=options.driver_face,
        missing=options.missing,
        batch=options.batch,
        method=options.method,
        smoothing=options.smoothing,
    )


def _check_reference(options: VideoOptions, frames: Video | PictureSequence) -> None:
    """Whether the reference can be there is known before any work."""
    if not options.relative:
        return
    wanted, total = options.reference, frames.info.num_frames
    if isinstance(wanted, int) and not 0 <= wanted < (total or wanted + 1):
        raise InputError(f"the driver has no frame {wanted}; its {total} frames count from 0")
    is_inside = isinstance(wanted, int) or wanted in NAMED_REFERENCES
    if is_inside and isinstance(frames, PictureSequence) and frames.single:
        raise InputError("a photo alone does not move; name a picture of its person at rest with --reference")


def _reference(
    model: Reenactor,
    settings: StreamSettings,
    wanted: str | int,
    frames: Video | PictureSequence,
    progress: Progress | None,
) -> FaceParams | None:
    """The reference of relative driving; None where there is none, or it is the first frame with a face."""
    if not settings.relative or wanted == "first":
        return None
    if isinstance(wanted, str) and wanted != "neutral":
        return model.measure(read_image(wanted), settings.face)
    watch = model.watch(_counted(frames, frames.info.num_frames, progress), settings)
    return numbered_face(watch, wanted) if isinstance(wanted, int) else neutral_face(watch, model.bundle.motion)


def _counted(frames: Video | PictureSequence, total: int | None, progress: Progress | None) -> Iterator[Frame]:
    for count, frame in enumerate(frames, start=1):
        if progress is not None:
            progress(count, total)
        yield frame


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
