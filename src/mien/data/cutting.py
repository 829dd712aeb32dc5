"""From a video to a chunk of it, and from a chunk to cropped frames with their parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from mien.alignment.crop import CROPS, Crop
from mien.data.labels import ChunkLabels, join_labels
from mien.data.metadata import RATE_FPS, Chunk
from mien.face3d.params import FaceParams
from mien.geometry import angles_from_rotation, rotation_from_angles
from mien.images import write_image
from mien.media import VideoWriter
from mien.media.sampling import frames_at

CUT_NOTE = "Cut from a video by mien, not altered."
CROP_NOTE = "Cropped from a video by mien, not altered."

Measure = Callable[[Sequence[np.ndarray], Sequence[np.ndarray | None]], FaceParams]
"""Pictures, and for each the box (4,) x0, y0, x1, y1 in pixels of the face (None: not known) → the faces."""


@dataclass(frozen=True)
class Framing:
    """How frames are taken and cropped.

    Attributes:
        crop: kind of crop, a key of `mien.alignment.CROPS`.
        size: side of the cropped frames in pixels.
        every: one frame in so many is taken, at 25 per second.
        batch: frames measured together.
    """

    crop: str
    size: int
    every: int
    batch: int


@dataclass(frozen=True)
class Footage:
    """Where the pictures of a chunk come from.

    Attributes:
        path: a video.
        chunk: what the metadata say; None: the video is the chunk.
        is_whole_video: whether the chunk is a part of the video and starts at its own first frame there.
    """

    path: Path
    chunk: Chunk | None = None
    is_whole_video: bool = False

    def pictures(self, every: int = 1) -> Iterator[np.ndarray]:
        """Every so many frames at 25 per second, from the chunk's first one on.

        Raises:
            MediaError: the video is broken, or ends before the chunk does.
        """
        if self.chunk is None or not self.is_whole_video:
            return frames_at(self.path, 0, every, Fraction(RATE_FPS))
        count = -(-self.chunk.num_frames // every)
        return frames_at(self.path, self.chunk.first, every, Fraction(RATE_FPS), count)


def cut_chunk(footage: Footage, output: Path) -> None:
    """Write a chunk as a video of its own, whole pictures at 25 per second; it appears whole or not at all.

    Raises:
        MediaError: as `Footage.pictures`.
        OutputError: it cannot be written.
    """
    with VideoWriter(output, RATE_FPS, note=CUT_NOTE) as writer:
        for picture in footage.pictures():
            writer.write(picture)


def crop_chunk(footage: Footage, name: str, folder: Path, measure: Measure, framing: Framing) -> ChunkLabels:
    """Write the cropped frames of a chunk into `folder` and return their labels.

    Args:
        name: of the chunk; frames are named `<name>_<number>.png`.

    Raises:
        MediaError: as `Footage.pictures`.
        OutputError: a frame cannot be written.
    """
    parts, numbers = [], iter(range(0, 2**31, framing.every))
    source = footage.pictures(framing.every)
    while pictures := list(islice(source, framing.batch)):
        taken = list(islice(numbers, len(pictures)))
        hints = [_hint(footage.chunk, number, picture) for number, picture in zip(taken, pictures, strict=True)]
        names = [f"{name}_{number:06d}" for number in taken]
        parts.append(crop_faces(pictures, names, measure(pictures, hints), folder, framing))
    return join_labels(parts)


def crop_faces(
    pictures: Sequence[np.ndarray], names: Sequence[str], params: FaceParams, folder: Path, framing: Framing
) -> ChunkLabels:
    """Crop and write the pictures in which a face was measured.

    Args:
        params: the B faces, in pixels of the pictures.
    """
    seen = torch.nonzero(params.valid)[:, 0]
    faces = params[seen].to("cpu")
    crops = [
        CROPS[framing.crop](points, angles, framing.size)
        for points, angles in zip(faces.landmarks.numpy(), faces.angles.numpy(), strict=True)
    ]
    kept = [names[int(i)] for i in seen]
    for i, name, crop in zip(seen.tolist(), kept, crops, strict=True):
        write_image(folder / f"{name}.png", crop.apply(pictures[i]), CROP_NOTE)
    matrices = np.array([crop.matrix for crop in crops]).reshape(-1, 2, 3)
    sides = np.full(len(kept), framing.size)
    return ChunkLabels(tuple(kept), seen_in(faces, crops), matrices, sides, len(pictures))


def seen_in(params: FaceParams, crops: Sequence[Crop]) -> FaceParams:
    """The same faces in pixels of their crops; a crop that turns the picture turns the head with it."""
    if not crops:
        return params
    points = [crop.points(face) for crop, face in zip(crops, params.landmarks.numpy(), strict=True)]
    turns = torch.tensor([np.arctan2(crop.matrix[1, 0], crop.matrix[0, 0]) for crop in crops], dtype=torch.float32)
    none = torch.zeros_like(turns)
    turn = rotation_from_angles(torch.stack([none, none, turns], 1))
    angles = angles_from_rotation(turn @ rotation_from_angles(params.angles))
    return replace(params, angles=angles, landmarks=torch.from_numpy(np.stack(points)).float())


def _hint(chunk: Chunk | None, number: int, picture: np.ndarray) -> np.ndarray | None:
    height, width = picture.shape[:2]
    return None if chunk is None else chunk.box_px(number, (height, width))
