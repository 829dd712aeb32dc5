"""Writing results as pictures: one, or a folder of them, with the same calls as a video."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mien.errors import OutputError
from mien.images import write_image
from mien.media.writer import partial_path


def check_folder(path: str | os.PathLike[str]) -> Path:
    """Make sure that a new folder can appear there; nothing is left behind.

    Raises:
        OutputError: it exists and is not an empty folder, or its parent cannot be written.
    """
    path = Path(path)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path}: this exists already; name a new folder or a file with a suffix such as .mp4")
    probe = partial_path(path)
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror})") from error
    return path


class PictureWriter:
    """A sink for one picture (PNG, JPEG or WebP by suffix), which is written when the block ends without an error."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._image: np.ndarray | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._image is not None:
            write_image(self.path, self._image)

    def write(self, image: np.ndarray, pts: int | None = None, duration: int | None = None) -> None:
        """Take uint8 (H, W, 3) RGB; the times are those of a video and have no meaning here."""
        self._image = image


class PictureFolderWriter:
    """Writes frame_000001.png, … as a context manager; the folder appears when the block ends without an error.

    Raises:
        OutputError: on entering the block, when the folder exists and is not empty or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.num_frames = 0
        self._partial = partial_path(path)

    def __enter__(self) -> Self:
        check_folder(self.path)
        self._partial.mkdir()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                if self.path.exists():
                    self.path.rmdir()
                self._partial.rename(self.path)
        except OSError as failure:
            raise OutputError(f"{self.path}: cannot write there ({failure.strerror})") from failure
        finally:
            shutil.rmtree(self._partial, ignore_errors=True)

    def write(self, image: np.ndarray, pts: int | None = None, duration: int | None = None) -> None:
        """Append uint8 (H, W, 3) RGB; the times are those of a video and have no meaning here."""
        self.num_frames += 1
        write_image(self._partial / f"frame_{self.num_frames:06d}.png", image)
