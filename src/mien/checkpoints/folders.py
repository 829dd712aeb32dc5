"""A folder that appears when all of it is written, in place of an older one of its kind."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import OutputError


@contextmanager
def whole_folder(folder: Path, header: str, what: str) -> Iterator[Path]:
    """Yield an empty folder beside `folder` to write into; it takes that name when the block ends without an error.

    Args:
        folder: new, empty, or holding an older one, known by its `header`, which is then replaced.
        header: name of the file that every folder of this kind holds.
        what: the kind in words, for errors.

    Raises:
        OutputError: the folder holds something else, or cannot be written.
    """
    refuse_other(folder, header, what)
    partial = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            retired = partial.with_suffix(".old")
            folder.rename(retired)
            partial.rename(folder)
            shutil.rmtree(retired)
        else:
            partial.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: the {what} cannot be written there ({error.strerror})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_other(folder: Path, header: str, what: str) -> None:
    """Refuse a file, and a folder that holds something that is not of this kind.

    Raises:
        OutputError: it is one.
    """
    if folder.is_file():
        raise OutputError(f"{folder}: this is a file; a {what} is a folder")
    if folder.exists() and not (folder / header).is_file() and any(folder.iterdir()):
        raise OutputError(f"{folder}: this folder holds something that is not a {what}")
