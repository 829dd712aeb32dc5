"""A file of photographed people, small enough to carry: pictures as JPEG and PNG, everything else as numbers."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.errors import InputError
from mien.media.writer import partial_path
from mien.synth.photograph import PhotoHead

VERSION = 1
_JPEG = {"albedo": 92, "colour": 92, "background": 88, "confidence": 90}
_HALF = ("depth",)


def _packed(name: str, value: np.ndarray) -> np.ndarray:
    if name in _JPEG or name == "matte":
        picture = value[..., ::-1] if value.ndim == 3 else value
        suffix, options = (".png", []) if name == "matte" else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, _JPEG[name]])
        return cv2.imencode(suffix, picture, options)[1].ravel()
    return value.astype(np.float16) if name in _HALF else value


def _unpacked(name: str, value: np.ndarray) -> np.ndarray:
    if name in _JPEG or name == "matte":
        picture = cv2.imdecode(value, cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise ValueError(name)
        return np.ascontiguousarray(picture[..., ::-1]) if picture.ndim == 3 else picture
    return value.astype(np.float32) if name in _HALF else value


def write_people(heads: Sequence[PhotoHead], held_out: Sequence[bool], path: str | Path) -> None:
    """Write photographed people to one file, which appears when it is whole.

    Args:
        heads: people of different names.
        held_out: for each, whether only held-out renders may show them.
        path: file to write, `.npz`.
    """
    content: dict[str, Any] = {"version": np.array(VERSION), "names": np.array([head.name for head in heads])}
    content["held_out"] = np.array(held_out, bool)
    for number, head in enumerate(heads):
        content |= {f"{number}/{name}": _packed(name, value) for name, value in head.arrays()}
    path = Path(path)
    partial = partial_path(path)
    try:
        with partial.open("wb") as file:
            np.savez(file, **content)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


class PeoplePack:
    """Photographed people in a file, unpacked when they are asked for.

    Attributes:
        names: of the people, in order.
        held_out: (N,) bool, whether only held-out renders may show them.

    Args:
        path: file written by `write_people`.

    Raises:
        InputError: it is no such file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not zipfile.is_zipfile(self.path):  # numpy would leave such a file open
            raise InputError(f"{path} is not a pack of people.")
        try:
            self._file = np.load(self.path, allow_pickle=False)
            version = int(self._file["version"])
            self.names = [str(name) for name in self._file["names"]]
            self.held_out: np.ndarray = self._file["held_out"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is not a pack of people.") from error
        if version != VERSION:
            raise InputError(f"{path} is a pack of version {version}; this program reads {VERSION}.")
        self._fields = sorted({name.split("/")[1] for name in self._file.files if "/" in name})
        self.person = lru_cache(maxsize=256)(self._person)

    def __len__(self) -> int:
        return len(self.names)

    def __enter__(self) -> PeoplePack:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; people already asked for stay."""
        self._file.close()

    def numbers(self, *, held_out: bool) -> list[int]:
        """Positions of the people that training, or held-out, renders may show."""
        return np.flatnonzero(self.held_out == held_out).tolist()

    def signature(self) -> str:
        """A short text that is the same for the same people taken apart in the same way."""
        content = hashlib.sha256()
        for name in sorted(self._file.files):
            content.update(name.encode() + self._file[name].tobytes())
        return content.hexdigest()[:16]

    def _person(self, number: int) -> PhotoHead:
        try:
            parts: dict[str, Any] = {f: _unpacked(f, self._file[f"{number}/{f}"]) for f in self._fields}
            return PhotoHead(name=self.names[number], **parts)
        except (KeyError, ValueError, TypeError, OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{self.path}: person {number} cannot be read.") from error
