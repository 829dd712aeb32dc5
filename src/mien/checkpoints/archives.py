"""Zip containers: PyTorch's since 1.6 (stored, never compressed) and NumPy's `.npz`."""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import Any, BinaryIO, cast

from mien.checkpoints.arrays import read_npy_values
from mien.checkpoints.claims import Budget, ByteFile, shown
from mien.checkpoints.pickles import Reading, interpret
from mien.checkpoints.storages import Storage, fill_storage, is_swapped, new_storage, read_claim
from mien.errors import CheckpointError

MAX_DIRECTORY_BYTES = 2**23
MAX_EXPANSION = 100
_END, _LOCATOR, _END_64 = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_LOCAL_HEADER_BYTES = 30
_DAMAGE = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error)


def open_archive(file: BinaryIO, size: int) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """Open a zip file and list its records by name.

    Raises:
        CheckpointError: cut short or damaged; records that overlap, share a name, are encrypted, or lead elsewhere.
    """
    _check_directory(file, size)
    try:
        archive = zipfile.ZipFile(file)
    except _DAMAGE as error:
        raise CheckpointError(f"the zip container is cut short or damaged ({error})") from error
    records: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in records:
            raise CheckpointError(f"the zip container has two records called {shown(info.filename)}")
        if info.flag_bits & 1:
            raise CheckpointError(f"record {shown(info.filename)} is encrypted")
        if ".." in info.filename.split("/") or info.filename[:1] == "/" or "\\" in info.orig_filename:
            raise CheckpointError(f"record {shown(info.filename)} has a name that leads out of the container")
        records[info.filename] = info
    _check_overlap(archive)
    return archive, records


def _check_directory(file: BinaryIO, size: int) -> None:
    """The list of records must be of moderate size; `zipfile` would read it whatever its length."""
    tail_bytes = min(size, 2**16 + 22 + 20)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    at = tail.rfind(_END)
    if at < 0 or len(tail) < at + 22:
        raise CheckpointError("the zip container is cut short: its list of records, which ends the file, is missing")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if at >= 20 and tail[at - 20 : at - 16] == _LOCATOR:
        file.seek(min(int.from_bytes(tail[at - 12 : at - 4], "little"), size))
        record = file.read(56)
        if record[:4] != _END_64 or len(record) < 56:
            raise CheckpointError("the zip container is damaged: its list of records is not where it claims to be")
        directory = int.from_bytes(record[40:48], "little")
    if directory > MAX_DIRECTORY_BYTES:
        raise CheckpointError(f"the zip container claims a list of records of {directory} bytes")


def _check_overlap(archive: zipfile.ZipFile) -> None:
    """Records that overlap let a small file claim a large content."""
    end = archive.start_dir
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset, reverse=True):
        least = _LOCAL_HEADER_BYTES + len(info.filename) + info.compress_size
        if info.header_offset < 0 or info.header_offset + least > end:
            raise CheckpointError(f"record {shown(info.filename)} claims bytes of another one, or more than there are")
        end = info.header_offset


def read_torch_archive(archive: zipfile.ZipFile, records: dict[str, zipfile.ZipInfo], reading: Reading) -> Any:
    """Read what `torch.save` wrote; the value is as its pickle describes it, not yet plain.

    Raises:
        CheckpointError: a record is missing, compressed, damaged, or of another size than claimed.
    """
    folders = {name.partition("/")[0] for name in records}
    if len(folders) != 1 or not all("/" in name for name in records):
        raise CheckpointError("the zip container is not PyTorch's: its records do not lie in one folder")
    folder = folders.pop()
    if f"{folder}/constants.pkl" in records:
        raise CheckpointError("this is a TorchScript program; a file of weights is needed")
    for name, info in records.items():
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise CheckpointError(f"record {shown(name)} is compressed, which torch.save never does")
    contents = _Contents(archive, records, folder)
    return interpret(io.BytesIO(contents.read("data.pkl")), reading._replace(load_storage=contents.take))


class _Contents:
    """Records of PyTorch's container, and the storages read from them so far."""

    def __init__(self, archive: zipfile.ZipFile, records: dict[str, zipfile.ZipInfo], folder: str) -> None:
        self._archive, self._records, self._folder = archive, records, folder
        self._storages: dict[str, Storage] = {}
        order = self.read("byteorder").decode("latin-1") if f"{folder}/byteorder" in records else "little"
        self._swap = is_swapped(order)

    def _record(self, name: str) -> zipfile.ZipInfo:
        info = self._records.get(f"{self._folder}/{name}")
        if info is None:
            raise CheckpointError(f"the zip container lacks the record {name}")
        return info

    def read(self, name: str) -> bytes:
        """All bytes of a record."""
        try:
            return self._archive.read(self._record(name))
        except _DAMAGE as error:
            raise CheckpointError(f"record {name} is damaged ({error})") from error

    def take(self, persistent_id: Any) -> Storage:
        """The storage of that description."""
        claim = read_claim(persistent_id, with_view=False)
        known = self._storages.get(claim.key)
        if known is not None:
            if known.values.dtype != claim.dtype or known.values.numel() != claim.count:
                raise CheckpointError(f"storage {claim.key} is described in two ways")
            return known
        name = f"data/{claim.key}"
        info = self._record(name)
        if info.file_size != claim.num_bytes:
            raise CheckpointError(
                f"storage {claim.key} claims {claim.num_bytes} bytes; its record has {info.file_size}"
            )
        storage = self._storages[claim.key] = new_storage(claim)
        try:
            with self._archive.open(info) as source:
                fill_storage(storage, cast(ByteFile, source), self._swap)
        except _DAMAGE as error:
            raise CheckpointError(f"record {name} is damaged ({error})") from error
        return storage


def read_npz(
    archive: zipfile.ZipFile, records: dict[str, zipfile.ZipInfo], size: int, reading: Reading
) -> dict[str, Any]:
    """Read the arrays of a `.npz` file, compressed or not; objects are refused.

    Raises:
        CheckpointError: a record is no array, expands beyond reason, or is damaged.
    """
    budget = Budget(size * MAX_EXPANSION // 8)
    tree = {}
    for name, info in records.items():
        if not name.endswith(".npy"):
            raise CheckpointError(f"the zip container is neither PyTorch's nor NumPy's: it has a record {shown(name)}")
        budget.charge(info.file_size, f"record {shown(name)}")
        try:
            with archive.open(info) as source:
                tree[name[:-4]] = read_npy_values(
                    cast(ByteFile, source), reading._replace(budget=budget), info.file_size
                )
        except _DAMAGE as error:
            raise CheckpointError(f"record {shown(name)} is damaged ({error})") from error
    return tree
