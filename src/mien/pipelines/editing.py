"""Editing a photo: a picture at given coordinates, or a sweep of coordinates as a video or a strip."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from mien.errors import InputError, OutputError
from mien.images import PICTURE_SUFFIXES, grid, read_image, write_image
from mien.inversion import TuningConfig
from mien.media import VIDEO_SUFFIXES, VideoWriter, check_output
from mien.pipelines.faces import Face
from mien.pipelines.identity import Identity
from mien.pipelines.reenactor import Reenactor

Targets = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """How a photo is edited.

    Attributes:
        source_face: which face of the photo; None refuses to choose between two prominent ones.
        num_frames: pictures of a sweep as a video.
        num_panels: pictures of a sweep as a strip.
        rate: frames per second of a sweep as a video.
        batch: pictures computed together.
        tune: tune the generator to the photo first; None leaves it as it is.
    """

    source_face: Face | None = None
    num_frames: int = 50
    num_panels: int = 7
    rate: Fraction = Fraction(25)
    batch: int = 8
    tune: TuningConfig | None = None


def edit_photo(
    model: Reenactor,
    photo: str | os.PathLike[str],
    output: str | os.PathLike[str],
    targets: Targets,
    options: EditOptions | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[str, ...]:
    """Write the person of a photo at absolute coordinates; returns notices for the user.

    Equal start and end everywhere give one picture. A range gives a video or, if the output is a picture, a strip.

    Args:
        targets: coordinate → (start, end), degrees for angles and unit weights for expressions.
        progress: called with the steps done and all steps while the generator is tuned.

    Raises:
        BundleError: the bundle has no directions.
        OutputError: cannot be written there, or a video is asked for without a range.
        InputError: no such coordinate, or none given.
        ImageError, NoFaceError, SeveralFacesError: the photo cannot be used.
    """
    options = options or EditOptions()
    model.bundle.need_directions()
    output = check_output(output, (*PICTURE_SUFFIXES, *VIDEO_SUFFIXES), [Path(photo)])
    is_video = output.suffix.lower() in VIDEO_SUFFIXES
    is_sweep = any(start != end for start, end in targets.values())
    if not targets:
        raise InputError(f"name at least one coordinate: {', '.join(model.bundle.motion.names)}")
    if is_video and not is_sweep:
        raise OutputError(f"{output}: a video needs a range such as -30:30; name a picture for a single value")
    count = (options.num_frames if is_video else options.num_panels) if is_sweep else 1
    identity = model.identify(read_image(photo), options.source_face)
    if options.tune is not None:
        model = model.tune(identity, options.tune, progress)
    pictures = sweep(model, identity, targets, count, options.batch)
    if not is_video:
        write_image(output, grid(list(pictures), count))
        return identity.notices
    with VideoWriter(output, options.rate) as writer:
        for picture in pictures:
            writer.write(picture)
    return identity.notices


def sweep(model: Reenactor, identity: Identity, targets: Targets, count: int, batch: int = 8) -> Iterator[np.ndarray]:
    """`count` pictures uint8 (S, S, 3) on the straight line from all starts to all ends, computed in batches."""
    if count < 1:
        raise InputError(f"the number of pictures must be at least 1, not {count}")
    ends = [model.edit_change(identity, {name: ends[k] for name, ends in targets.items()}) for k in (0, 1)]
    steps = torch.linspace(0, 1, count)[:, None]
    for part in torch.lerp(ends[0], ends[1], steps).split(batch):
        yield from model.render(identity, part)
