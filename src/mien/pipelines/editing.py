"""Editing a photo: a picture at given coordinates, a sweep as a video or a strip, or two sweeps as a grid."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from mien.alignment.paste import Paster
from mien.errors import InputError, OutputError
from mien.images import MAX_SIDE_PX, PICTURE_SUFFIXES, grid, read_image, write_image
from mien.inversion import TuningConfig
from mien.media import VIDEO_SUFFIXES, VideoWriter, check_output
from mien.pipelines.faces import Face
from mien.pipelines.identity import Identity
from mien.pipelines.moving import Method, check_tuning, choose_method, require_coordinates
from mien.pipelines.panels import fit_height
from mien.pipelines.reenactor import Reenactor
from mien.pipelines.verifying import Reading, read_back

Targets = Mapping[str, tuple[float, float]]
Step = dict[str, float]
MAX_READ_BACK = 9
"""Of a longer sweep, this many pictures, evenly spaced and with both ends, are measured."""


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """How a photo is edited.

    Attributes:
        source_face: which face of the photo; None refuses to choose between two prominent ones.
        num_frames: pictures of a sweep as a video.
        num_panels: pictures of a sweep as a strip, or along each side of a grid.
        rate: frames per second of a sweep as a video.
        batch: pictures computed together.
        tune: tune the generator to the photo first; None leaves it as it is.
        method: see `Reenactor.render`.
        grid: combine two ranges: the first named one from left to right, the second from top to bottom.
        paste: put the results back into the whole photo, behind a soft mask.
        verify: let the tracker read the results.
    """

    source_face: Face | None = None
    num_frames: int = 50
    num_panels: int = 7
    rate: Fraction = Fraction(25)
    batch: int = 8
    tune: TuningConfig | None = None
    method: Method | None = None
    grid: bool = False
    paste: bool = False
    verify: bool = True


@dataclass(frozen=True)
class EditReport:
    """What an edit did.

    Attributes:
        output: where the result lies.
        readings: per measured picture and coordinate what was asked and what the tracker read; empty if not verified.
        notices: what the user should know, one sentence each.
    """

    output: Path
    readings: tuple[Reading, ...]
    notices: tuple[str, ...]


def edit_photo(
    model: Reenactor,
    photo: str | os.PathLike[str],
    output: str | os.PathLike[str],
    targets: Targets,
    options: EditOptions | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> EditReport:
    """Write the person of a photo at absolute coordinates.

    Equal start and end everywhere give one picture. A range gives a video or, if the output is a picture, a strip; with
    `grid` two ranges give all their combinations as one picture.

    Args:
        targets: coordinate or short name → (start, end), degrees for angles and unit weights for expressions.
        progress: called with the steps done and all steps while the generator is tuned.

    Raises:
        BundleError: the bundle has no directions, or lacks what the method needs.
        OutputError: cannot be written there, or a video is asked for without a range.
        InputError: no such coordinate, none given, or a grid without exactly two ranges.
        ImageError, NoFaceError, SeveralFacesError: the photo cannot be used.
    """
    options = options or EditOptions()
    model.bundle.need_directions()
    check_tuning(options.method, options.tune is not None)
    choose_method(model.bundle, options.method)
    output = check_output(output, (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES), [Path(photo)])
    steps, columns = _plan(model, output, targets, options)
    source = read_image(photo)
    identity = model.identify(source, options.source_face)
    if options.tune is not None:
        model = model.tune(identity, options.tune, progress)
    changes = torch.cat([model.edit_change(identity, step) for step in steps])
    chosen = np.linspace(0, len(steps) - 1, min(len(steps), MAX_READ_BACK)).round().astype(int).tolist()
    kept: dict[int, np.ndarray] = {}

    def pictures() -> Iterator[np.ndarray]:
        paster = Paster(source, [identity.crop]) if options.paste else None
        for index, picture in enumerate(_drawn(model, identity, changes, options)):
            if index in chosen:
                kept[index] = picture
            yield picture if paster is None else paster([picture])

    if output.suffix.lower() in VIDEO_SUFFIXES:
        with VideoWriter(output, options.rate) as writer:
            for picture in pictures():
                writer.write(picture)
    else:
        limit = MAX_SIDE_PX // columns
        write_image(output, grid([_within(picture, limit) for picture in pictures()], columns))
    readings: Sequence[Reading] = ()
    if options.verify:
        given = require_coordinates(model.bundle, identity.coordinates) + changes.cpu()
        readings = read_back(model.tracker, model.bundle.motion, kept, steps, given)
    return EditReport(output, tuple(readings), identity.notices)


def sweep(model: Reenactor, identity: Identity, targets: Targets, count: int, batch: int = 8) -> Iterator[np.ndarray]:
    """`count` pictures uint8 (S, S, 3) on the straight line from all starts to all ends, computed in batches.

    Raises:
        InputError: fewer than one picture, or no such coordinate.
    """
    changes = [model.edit_change(identity, step) for step in _line(targets, count)]
    return _drawn(model, identity, torch.cat(changes), EditOptions(batch=batch))


def _plan(model: Reenactor, output: Path, targets: Targets, options: EditOptions) -> tuple[list[Step], int]:
    """The targets of every picture in order, and how many stand side by side."""
    if not targets:
        raise InputError(f"name at least one coordinate: {', '.join(model.bundle.motion.names)}")
    ranges = [name for name, (start, end) in targets.items() if start != end]
    is_video = output.suffix.lower() in VIDEO_SUFFIXES
    if options.grid:
        if len(ranges) != 2 or is_video:
            raise InputError("a grid combines exactly two ranges such as -30:30 in a picture")
        across, down = ({**targets, other: targets[other][:1] * 2} for other in reversed(ranges))
        rows = [step[ranges[1]] for step in _line(down, options.num_panels)]
        cells = [{**step, ranges[1]: row} for row in rows for step in _line(across, options.num_panels)]
        return cells, options.num_panels
    if is_video and not ranges:
        raise OutputError(f"{output}: a video needs a range such as -30:30; name a picture for a single value")
    count = (options.num_frames if is_video else options.num_panels) if ranges else 1
    return _line(targets, count), count


def _line(targets: Targets, count: int) -> list[Step]:
    """`count` steps from all starts to all ends."""
    if count < 1:
        raise InputError(f"the number of pictures must be at least 1, not {count}")
    places = torch.linspace(0, 1, count, dtype=torch.float64).tolist()
    return [{name: start + (end - start) * place for name, (start, end) in targets.items()} for place in places]


def _within(picture: np.ndarray, limit_px: int) -> np.ndarray:
    """A panel that is small enough for all of them to fit into one picture."""
    longest = max(picture.shape[:2])
    return picture if longest <= limit_px else fit_height(picture, max(1, picture.shape[0] * limit_px // longest))


def _drawn(model: Reenactor, identity: Identity, changes: torch.Tensor, options: EditOptions) -> Iterator[np.ndarray]:
    for part in changes.split(options.batch):
        yield from model.render(identity, part, options.method)
