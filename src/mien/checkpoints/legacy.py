"""PyTorch's file format before 1.6: five pickles in a row, then the bytes of the storages they refer to."""

from __future__ import annotations

from typing import Any

from mien.checkpoints.claims import Window, shown
from mien.checkpoints.pickles import Reading, interpret
from mien.checkpoints.storages import Claim, Storage, fill_storage, new_storage, read_claim
from mien.errors import CheckpointError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def read_legacy(file: Window, reading: Reading, magic_read: bool = False) -> Any:
    """Read such a file; the value is as its pickle describes it, not yet plain.

    Args:
        file: at its beginning, or behind the first pickle.
        reading: names and budget.
        magic_read: whether the first pickle, the magic number, has been read.

    Raises:
        CheckpointError: damaged, or claiming more than is there.
    """
    plain = reading._replace(load_storage=None, nested=True)
    if not magic_read and interpret(file, plain) != MAGIC_NUMBER:
        raise CheckpointError("the magic number of PyTorch's old format is missing")
    if interpret(file, plain) != PROTOCOL:
        raise CheckpointError("the protocol number of PyTorch's old format is wrong")
    system = interpret(file, plain)
    if type(system) is not dict or system.get("little_endian") is not True:
        raise CheckpointError("the file was written on a machine of another byte order, or its header is damaged")
    shelf = _Shelf(file.size - file.tell())
    value = interpret(file, reading._replace(load_storage=shelf.take, nested=True))
    shelf.fill(file, interpret(file, plain))
    return value


class _Shelf:
    """Storages that a pickle has named and whose bytes come later."""

    def __init__(self, available: int) -> None:
        self._available = available
        self._storages: dict[str, tuple[Claim, Storage]] = {}

    def take(self, persistent_id: Any) -> Storage:
        """The storage of that description, whose bytes are not there yet."""
        claim = read_claim(persistent_id, with_view=True)
        if claim.key in self._storages:
            known, storage = self._storages[claim.key]
            if known != claim:
                raise CheckpointError(f"storage {claim.key} is described in two ways")
            return storage
        self._available -= claim.num_bytes
        if self._available < 0:
            raise CheckpointError(f"storage {claim.key} claims {claim.num_bytes} bytes, more than the file has left")
        self._storages[claim.key] = claim, new_storage(claim)
        return self._storages[claim.key][1]

    def fill(self, file: Window, keys: Any) -> None:
        """Read the bytes of every storage, in the order that the file tells."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise CheckpointError("the list of storages is damaged")
        if sorted(keys) != sorted(self._storages):
            raise CheckpointError("the storages that the file lists are not the ones that its tensors look at")
        for key in keys:
            claim, storage = self._storages[key]
            count = int.from_bytes(file.read(8), "little", signed=True)
            if count != claim.count:
                raise CheckpointError(f"storage {shown(key)} has {count} values where {claim.count} are claimed")
            fill_storage(storage, file)
