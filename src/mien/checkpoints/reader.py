"""Weights that others published, read without executing anything that is in the file."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load

from mien.checkpoints.archives import open_archive, read_npz, read_torch_archive
from mien.checkpoints.arrays import NPY_MAGIC, read_npy_header, read_npy_values
from mien.checkpoints.claims import Budget, Window, shown
from mien.checkpoints.legacy import MAGIC_NUMBER, read_legacy
from mien.checkpoints.pickles import Reading, interpret
from mien.checkpoints.plain import plain_tree
from mien.checkpoints.standins import NAMES
from mien.errors import CheckpointError

MAX_FILE_BYTES = 2**34
MAX_SAFETENSORS_HEADER = 2**24
HEAD_BYTES = 1024
TAR_AT = 257
PICKLE = 0x80

_FOREIGN_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "compressed with gzip; unpack it first"),
    (b"BZh", "compressed with bzip2; unpack it first"),
    (b"\xfd7zXZ", "compressed with xz; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"\x89PNG", "a PNG picture, not a file of weights"),
    (b"\xff\xd8\xff", "a JPEG picture, not a file of weights"),
    (b"\x89HDF", "an HDF5 file, which is not read"),
    (b"%PDF", "a PDF document, not a file of weights"),
    (b"\x7fELF", "a program, not a file of weights"),
)


@dataclass(frozen=True)
class Foreign:
    """What a foreign file of weights holds.

    Attributes:
        tree: dictionaries, lists and tuples of tensors, NumPy arrays, numbers, texts, bytes and None. Modules pickled
            whole (NVIDIA's) are dictionaries: `class_name`, `init_args`, `init_kwargs`, `attributes`, `state_dict`.
        sha256: of the file, in hexadecimal.
        size: of the file, in bytes.
        kind: torch, torch-legacy, pickle, npy, npz or safetensors.
        name: of the file, without its folder.
    """

    tree: Any
    sha256: str
    size: int
    kind: str
    name: str


def read_foreign(path: str | os.PathLike[str]) -> Foreign:
    """Read a published file of weights of any kind that `Foreign.kind` lists; nothing in it is executed.

    Memory is bounded: 64 MiB and eight times the size of the file (NumPy's compressed archives: a hundred times).

    Raises:
        CheckpointError: no such file, damaged, hostile, or not weights; the message names the cause.
    """
    path = Path(path)
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise CheckpointError("this is a folder; name the file of weights in it")
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError("this is not a regular file")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            tree, kind = _read(file, status.st_size, path)
            if not isinstance(tree, (dict, list, tuple, torch.Tensor, np.ndarray)):
                raise CheckpointError(f"the file holds {shown(tree)}, not weights")
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except OSError as error:
        raise CheckpointError(f"{path}: the file cannot be read ({error.strerror})") from error
    except Exception as error:  # whatever a damaged file can provoke below must not look like a fault of the program
        raise CheckpointError(f"{path}: damaged ({type(error).__name__}: {str(error)[:200]})") from error
    return Foreign(tree, digest, status.st_size, kind, path.name)


def _read(file: BufferedReader, size: int, path: Path) -> tuple[Any, str]:
    if size > MAX_FILE_BYTES:
        raise CheckpointError(f"the file has {size} bytes; up to {MAX_FILE_BYTES} are read")
    head = file.read(HEAD_BYTES)
    _refuse_known(head)
    reading = Reading(NAMES, Budget(size))
    file.seek(0)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        archive, records = open_archive(file, size)
        if records and all(name.endswith(".npy") for name in records):
            return read_npz(archive, records, size, reading), "npz"
        return plain_tree(read_torch_archive(archive, records, reading)), "torch"
    if head.startswith(NPY_MAGIC):
        return _read_npy(Window(file, size), reading), "npy"
    if path.suffix == ".safetensors" or head[4:9] == b"\0\0\0\0{":
        return _read_safetensors(file, head, size), "safetensors"
    if head[0] != PICKLE and head[:1] not in (b"(", b"c", b"}", b"]"):
        raise CheckpointError(
            f"a file that begins with {head[:8]!r} is neither PyTorch's, a pickle, NumPy's nor safetensors"
        )
    return _read_pickle(Window(file, size), reading)


def _refuse_known(head: bytes) -> None:
    """Say what a file is that people have by accident instead of weights."""
    if not head:
        raise CheckpointError("the file is empty; fetch it again")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            "this is a Git LFS pointer, a text that stands for the weights; fetch them with: git lfs pull"
        )
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        raise CheckpointError(
            "this is a web page that a site sent instead of the file; open the address in a browser and save the file"
        )
    for magic, what in _FOREIGN_KINDS:
        if head.startswith(magic):
            raise CheckpointError(f"this is {what}" if what[0] == "a" else f"this file is {what}")
    if head[TAR_AT : TAR_AT + 5] == b"ustar":
        raise CheckpointError("this is a tar archive; unpack it first")
    if text.startswith((b'{"', b"{\n", b"[\n")) or text == b"{}":
        raise CheckpointError("this is a text in JSON, not a file of weights")


def _read_pickle(file: Window, reading: Reading) -> tuple[Any, str]:
    value = interpret(file, reading)
    if type(value) is int and value == MAGIC_NUMBER:
        value, kind = read_legacy(file, reading, magic_read=True), "torch-legacy"
    else:
        kind = "pickle"
    if file.tell() != file.size:
        raise CheckpointError(f"there are {file.size - file.tell()} bytes behind the end of the content")
    return plain_tree(value), kind


def _read_npy(file: Window, reading: Reading) -> Any:
    text, shape, _ = read_npy_header(file)
    if text.lstrip("|") != "O":
        file.seek(0)
        return read_npy_values(file, reading, file.size)
    if shape != ():
        raise CheckpointError("an array of several pickled objects is not read")
    return _read_pickle(file, reading)[0]


def _read_safetensors(file: BufferedReader, head: bytes, size: int) -> dict[str, Any]:
    if size < 9 or head[8:9] != b"{":
        raise CheckpointError("the safetensors file is damaged: it does not begin with a header")
    length = int.from_bytes(head[:8], "little")
    if length > min(size - 8, MAX_SAFETENSORS_HEADER):
        raise CheckpointError(f"the safetensors header claims {length} bytes")
    try:
        return dict(load(file.read()))
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"the safetensors file is damaged ({error})") from error
