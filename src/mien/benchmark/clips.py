"""Videos of people in folders: who is in which, and their frames.

The first folder below the root is the person, as in VoxCeleb: person/video/chunk.mp4, person/video/chunk/frames/*.png,
person/clip.mp4 or person/*.jpg. A video that lies in the root itself is a person of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from mien.errors import InputError
from mien.images import PICTURE_SUFFIXES
from mien.media import VIDEO_SUFFIXES, open_driver
from mien.media.sequence import natural_key


@dataclass(frozen=True, order=True)
class Clip:
    """One video file or folder of frames.

    Attributes:
        person: who is in it.
        name: its path below the root.
        path: where it is.
    """

    person: str
    name: str
    path: Path

    def frames(self, count: int | None = None) -> list[np.ndarray]:
        """Its first `count` frames (None: all), uint8 (H, W, 3).

        Raises:
            MediaError, ImageError: it cannot be read.
        """
        return [frame.image for frame in islice(open_driver(self.path), count)]


def find_clips(root: Path) -> list[Clip]:
    """All clips below a folder, in natural order.

    Raises:
        InputError: no such folder, or no clip in it.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of videos")
    found: dict[Path, None] = {}
    for path in sorted(root.rglob("*"), key=lambda p: [natural_key(Path(part)) for part in p.parts]):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or not path.is_file():
            continue
        if suffix in VIDEO_SUFFIXES:
            found[path] = None
        elif suffix in PICTURE_SUFFIXES and path.parent != root:
            found[path.parent] = None
    if not found:
        raise InputError(f"{root}: no videos or folders of frames there")
    return [_clip(root, path) for path in found]


def _clip(root: Path, path: Path) -> Clip:
    below = path.relative_to(root)
    return Clip(person=below.parts[0] if len(below.parts) > 1 else below.stem, name=str(below), path=path)


def draw_cross_pairs(clips: Sequence[Clip], count: int, rng: np.random.Generator) -> list[tuple[Clip, Clip]]:
    """`count` pairs (source, driver) of different people, all different while there are enough; the same for a seed.

    Raises:
        InputError: fewer than two people.
    """
    pairs = [(a, b) for a in clips for b in clips if a.person != b.person]
    if not pairs:
        raise InputError("cross-subject pairs need videos of at least two people")
    order = rng.permutation(len(pairs))
    return [pairs[int(order[i % len(pairs)])] for i in range(min(count, len(pairs)))]
