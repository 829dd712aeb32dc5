"""Drivers that are not video files: a folder of pictures, or a single photo."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from mien.errors import ImageError, MediaError
from mien.images import PICTURE_SUFFIXES, read_image
from mien.media.reader import Frame, Video, VideoInfo, read_video

DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True)
class PictureSequence:
    """Pictures shown one after another at a constant rate; read one at a time.

    Args:
        paths: the pictures in order.
        info: `size` is that of the first picture, others may differ; `time_base` is one period.
        single: True for a lone photo, whose result is a picture rather than a video.
    """

    paths: tuple[Path, ...]
    info: VideoInfo
    single: bool = False

    def __iter__(self) -> Iterator[Frame]:
        for index, path in enumerate(self.paths):
            yield Frame(read_image(path), index, self.info.time_base, 1)


def open_driver(path: str | os.PathLike[str], rate: Fraction | None = None) -> Video | PictureSequence:
    """Open whatever can drive: a video file, a folder of pictures, or one photo.

    Args:
        rate: frames per second of a folder of pictures (25 when not given); files carry their own.

    Raises:
        MediaError: nothing there, no pictures in the folder, or not a readable video.
        ImageError: the (first) picture cannot be read.
    """
    path = Path(path)
    if path.is_dir():
        pictures = sorted((p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES), key=natural_key)
        pictures = [p for p in pictures if not p.name.startswith(".")]
        if not pictures:
            raise MediaError(f"{path}: no pictures ({', '.join(PICTURE_SUFFIXES)}) in this folder")
        return _sequence(path, pictures, DEFAULT_RATE if rate is None else rate)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        if not path.is_file():
            raise ImageError(f"{path}: no such picture")
        return _sequence(path, [path], DEFAULT_RATE if rate is None else rate, single=True)
    return read_video(path)


def natural_key(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sort key under which frame 2 comes before frame 10."""
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.name


def _sequence(path: Path, pictures: Sequence[Path], rate: Fraction, single: bool = False) -> PictureSequence:
    if rate <= 0:
        raise MediaError(f"the rate of pictures must be positive, not {rate}")
    height, width = read_image(pictures[0]).shape[:2]
    info = VideoInfo(path, (height, width), rate, 1 / rate, len(pictures))
    return PictureSequence(tuple(pictures), info, single)
