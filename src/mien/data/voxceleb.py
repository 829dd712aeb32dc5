"""Prepared sets of talking people: the folders of VoxCeleb as this project and the methods' authors lay them out.

`root/<person>/<video>/` holds `chunk_videos/<video>#<chunk>#<first>-<last>.mp4` (whole pictures, 25 per second),
`frames_cropped/<chunk>_<frame>.png`, `params/<chunk>.npz` (ours: what the tracker measured in them) and
`inversion/latent_codes/<chunk>_<frame>.npy` (float32 (L, D) or (1, L, D), not truncated). Files belong together by
name, never by their order. The authors' tools number chunks in the order of their names ("00_000025": first chunk,
frame 25) and write one frame per second; frames of this project carry the name of the utterance ("00001_000025").
Other folders and files there, such as `frames` with whole pictures, are left alone. A set that this project prepared
has `prepared.json` in its root.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.data.labels import ChunkLabels, read_labels
from mien.errors import InputError
from mien.face3d.params import FaceParams
from mien.images import PICTURE_SUFFIXES, read_image
from mien.media.sequence import natural_key

CHUNKS, FRAMES, PARAMS = "chunk_videos", "frames_cropped", "params"
LATENTS = Path("inversion") / "latent_codes"
HEADER, KIND, VERSION = "prepared.json", "mien-voxceleb", 1


@dataclass(frozen=True)
class FrameFile:
    """A cropped frame on disk.

    Attributes:
        path: the picture; its name without suffix is what parameters and latent codes are known by.
        chunk: name of its chunk.
        number: number of the frame in its chunk, at 25 per second.
    """

    path: Path
    chunk: str
    number: int

    @property
    def name(self) -> str:
        """Name without suffix."""
        return self.path.stem


@dataclass(frozen=True)
class VideoFolder:
    """The prepared parts of one video; read when asked for.

    Attributes:
        person, video: names.
        path: the folder.
        only_measured: leave out frames without parameters, which an interrupted preparation leaves behind.
    """

    person: str
    video: str
    path: Path
    only_measured: bool = False

    @cached_property
    def frames(self) -> tuple[FrameFile, ...]:
        """Cropped frames by chunk and number."""
        found = [frame_file(path) for path in _pictures(self.path / FRAMES)]
        measured = self._measured if self.only_measured else {}
        return tuple(f for f in found if not self.only_measured or f.name in measured)

    @cached_property
    def labels(self) -> dict[str, ChunkLabels]:
        """What was measured, by chunk; empty for sets that others prepared.

        Raises:
            InputError: a file is damaged.
        """
        files = sorted((self.path / PARAMS).glob("*.npz"), key=natural_key)
        return {file.stem: read_labels(file) for file in files if not file.name.startswith(".")}

    @property
    def chunk_videos(self) -> dict[str, Path]:
        """Chunks as videos of whole pictures, by chunk name."""
        files = sorted((self.path / CHUNKS).glob("*.mp4"), key=natural_key)
        return {chunk_name(file): file for file in files if not file.name.startswith(".")}

    def images(self, frames: Sequence[FrameFile] | None = None) -> list[np.ndarray]:
        """Pictures of some frames (None: all), uint8 (H, W, 3); sets of others may hold different sizes.

        Raises:
            ImageError: one cannot be read.
        """
        return [read_image(frame.path) for frame in (self.frames if frames is None else frames)]

    def params(self, frames: Sequence[FrameFile] | None = None) -> FaceParams:
        """Parameters of some frames (None: all), landmarks in pixels of the cropped frames; `valid` where measured.

        Raises:
            InputError: a file is damaged.
        """
        wanted = self.frames if frames is None else frames
        parts = [part for part in self.labels.values() if part.names]
        if not parts:
            return FaceParams.invalid(len(wanted))
        joined = FaceParams.cat([FaceParams.invalid(1, parts[0].params.model), *(part.params for part in parts)])
        return joined[torch.tensor([self._measured.get(frame.name, -1) + 1 for frame in wanted], dtype=torch.long)]

    def sides(self, frames: Sequence[FrameFile] | None = None) -> np.ndarray:
        """(N,) sides in pixels of some frames (None: all), in which their parameters are given; 0 where not measured.

        Raises:
            InputError: a file is damaged.
        """
        wanted = self.frames if frames is None else frames
        known = np.concatenate([np.zeros(1, int), *(part.sides for part in self.labels.values())])
        return known[[self._measured.get(frame.name, -1) + 1 for frame in wanted]]

    def latent_path(self, frame: FrameFile) -> Path:
        """Where the latent code of a frame lies, or would."""
        return self.path / LATENTS / f"{frame.name}.npy"

    def latents(self, frames: Sequence[FrameFile] | None = None) -> torch.Tensor:
        """W+ codes of some frames (None: all), float32 (N, L, D), not truncated.

        Raises:
            InputError: one is missing or damaged.
        """
        wanted = self.frames if frames is None else frames
        return torch.stack([read_latent(self.latent_path(frame)) for frame in wanted])

    @cached_property
    def _measured(self) -> dict[str, int]:
        """Position of each measured frame in the chunks' labels, one after another."""
        names = [name for part in self.labels.values() for name in part.names]
        return {name: position for position, name in enumerate(names)}


class Folder:
    """A prepared set; iterating gives its videos.

    Attributes:
        root: where it lies.
        header: content of `prepared.json`; None for a set that others prepared.
        videos: by person and name.

    Raises:
        InputError: no such folder, no videos in it, or a header of another version.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)
        self.header = read_header(self.root)
        is_ours = self.header is not None
        self.videos = tuple(
            VideoFolder(video.parent.name, video.name, video, is_ours)
            for person in _folders(self.root)
            for video in _folders(person)
            if (video / FRAMES).is_dir() or (video / CHUNKS).is_dir()
        )
        if not self.videos:
            raise InputError(f"{self.root}: no prepared videos there (<person>/<video>/{FRAMES})")

    def __len__(self) -> int:
        return len(self.videos)

    def __iter__(self) -> Iterator[VideoFolder]:
        return iter(self.videos)

    @property
    def people(self) -> tuple[str, ...]:
        """Names of the people, each once."""
        return tuple(dict.fromkeys(video.person for video in self.videos))


def read_header(root: Path) -> dict[str, Any] | None:
    """Content of `prepared.json`, or None where there is none.

    Raises:
        InputError: it is damaged or of another version.
    """
    path = root / HEADER
    if not path.is_file():
        return None
    try:
        header = json.loads(path.read_text(encoding="utf-8"))
        is_known = header["kind"] == KIND and header["version"] == VERSION
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not the header of a prepared set") from error
    if not is_known:
        raise InputError(f"{path}: a prepared set of another version; version {VERSION} is understood")
    return header


def read_latent(path: Path) -> torch.Tensor:
    """One W+ code, float32 (L, D), from a file that holds (L, D) or (1, L, D).

    Raises:
        InputError: missing, damaged, or of another shape.
    """
    try:
        with path.open("rb") as file:
            code = np.load(file, allow_pickle=False)
        code = code[0] if code.ndim == 3 and len(code) == 1 else code
    except (OSError, ValueError, EOFError, AttributeError) as error:
        raise InputError(f"{path}: no readable latent code there") from error
    if code.ndim != 2 or code.dtype.kind != "f":
        raise InputError(f"{path}: a latent code is (rows, channels), not {code.shape} {code.dtype}")
    return torch.from_numpy(code.astype(np.float32))


def frame_file(path: Path) -> FrameFile:
    """What the name of a frame says: `<chunk>_<number>`; any other name is a chunk of its own."""
    chunk, _, number = path.stem.rpartition("_")
    if chunk and number.isdecimal():
        return FrameFile(path, chunk, int(number))
    return FrameFile(path, path.stem, 0)


def chunk_name(path: Path) -> str:
    """What the name of a chunk's video says: `<video>#<chunk>#<first>-<last>`; any other name is the chunk's."""
    words = path.stem.split("#")
    return words[1] if len(words) == 3 else path.stem


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (file for file in folder.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)
    return sorted((file for file in files if not file.name.startswith(".")), key=natural_key)


def _folders(folder: Path) -> list[Path]:
    """Folders in a folder, by name; hidden ones are not whole."""
    if not folder.is_dir():
        return []
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
