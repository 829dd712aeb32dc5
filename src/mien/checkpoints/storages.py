"""PyTorch's storages and the tensors that look at them, with every claim checked against the bytes that are there."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import torch

from mien.checkpoints.claims import ByteFile, check_shape, count_values, shown
from mien.checkpoints.pickles import Name, Reading
from mien.errors import CheckpointError

CHUNK_BYTES = 2**22

STORAGE_TYPES: dict[str, torch.dtype] = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
"""Names of storage classes in files, and what their values are."""

_DTYPE_NAMES = """float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool complex64
complex128 float8_e4m3fn float8_e5m2""".split()  # noqa: SIM905
DTYPES: dict[str, torch.dtype] = {f"torch.{name}": getattr(torch, name) for name in _DTYPE_NAMES}
"""Element types that a file may name, those of quantised tensors left out."""


@dataclass(frozen=True)
class Storage:
    """A one-dimensional tensor of `values`, its element type as the file says."""

    values: torch.Tensor


@dataclass(frozen=True)
class Claim:
    """What a persistent id says of a storage.

    Attributes:
        key: name of its bytes within the file.
        dtype: type of its values.
        count: number of its values.
    """

    key: str
    dtype: torch.dtype
    count: int

    @property
    def num_bytes(self) -> int:
        """Bytes that the values take."""
        return self.count * self.dtype.itemsize


def read_claim(persistent_id: Any, with_view: bool) -> Claim:
    """Check a persistent id: ("storage", type, key, device, count), and a view's description in old files.

    Raises:
        CheckpointError: it has another form.
    """
    fields = 6 if with_view else 5
    if not isinstance(persistent_id, tuple) or len(persistent_id) != fields or persistent_id[0] != "storage":
        raise CheckpointError("a persistent id is not the description of a storage; nothing was executed")
    _, kind, key, _, count = persistent_id[:5]
    if with_view and persistent_id[5] is not None:
        raise CheckpointError("a storage is a view of another one, as only files before PyTorch 0.4 have it")
    dtype = STORAGE_TYPES.get(kind.full.rpartition(".")[2]) if isinstance(kind, Name) else None
    if dtype is None:
        raise CheckpointError(f"a persistent id names {shown(kind)}, which is not a type of storage")
    if not isinstance(key, str) or not key.isascii() or not key.isdigit() or len(key) > 20:
        raise CheckpointError(f"a storage has the name {shown(key)}; a number is expected")
    if type(count) is not int or not 0 <= count < 2**48:
        raise CheckpointError(f"storage {key} claims {shown(count)} values")
    return Claim(key, dtype, count)


def new_storage(claim: Claim) -> Storage:
    """Memory for a storage, not yet filled; the caller has checked that the file has so many bytes."""
    return Storage(torch.empty(claim.count, dtype=claim.dtype))


def fill_storage(storage: Storage, source: ByteFile, swap: bool = False) -> None:
    """Read the bytes of a storage.

    Args:
        storage: memory of the right size, filled in place.
        source: gives the bytes.
        swap: whether the bytes are in the order that is not the machine's.

    Raises:
        CheckpointError: the source ends too early.
    """
    if storage.values.numel() == 0:
        return
    flat = storage.values.view(torch.uint8)
    view, filled = memoryview(flat.numpy().data), 0
    while filled < len(view):
        read = source.readinto(view[filled : filled + CHUNK_BYTES])
        if not read:
            raise CheckpointError(f"the file is cut short: a storage has {filled} of {len(view)} bytes")
        filled += read
    if storage.values.dtype == torch.bool:
        flat.copy_(flat != 0)
    if swap:
        size = storage.values.dtype.itemsize // (2 if storage.values.is_complex() else 1)
        flat.copy_(flat.view(-1, size).flip(1).reshape(-1))


def is_swapped(order: str) -> bool:
    """Whether values of that byte order ("little" or "big") must be turned around on this machine.

    Raises:
        CheckpointError: no byte order is called so.
    """
    if order not in ("little", "big"):
        raise CheckpointError(f"the byte order is {shown(order)}; little or big is expected")
    return order != sys.byteorder


def rebuild_tensor(reading: Reading, storage: Any, offset: Any, size: Any, stride: Any, *extra: Any) -> torch.Tensor:
    """`torch._utils._rebuild_tensor` and `_v2`: a tensor that looks at a storage; gradients and hooks are dropped."""
    if not isinstance(storage, Storage):
        raise CheckpointError(f"a tensor looks at {shown(storage)}, not at a storage")
    if len(extra) > 3:
        raise CheckpointError("a tensor is described by too many values")
    return _view(reading, storage.values, offset, size, stride)


def rebuild_tensor_of(reading: Reading, storage: Any, offset: Any, size: Any, stride: Any, *extra: Any) -> torch.Tensor:
    """`torch._utils._rebuild_tensor_v3`: like v2, with the element type beside an untyped storage."""
    if not isinstance(storage, Storage) or storage.values.dtype != torch.uint8 or len(extra) not in (3, 4):
        raise CheckpointError("a tensor of the third form does not look at an untyped storage")
    dtype = DTYPES.get(extra[2].full) if isinstance(extra[2], Name) else None
    if dtype is None or storage.values.numel() % dtype.itemsize:
        raise CheckpointError(f"a tensor of {shown(extra[2])} does not fit its storage")
    return _view(reading, storage.values.view(dtype), offset, size, stride)


def _view(reading: Reading, values: torch.Tensor, offset: Any, size: Any, stride: Any) -> torch.Tensor:
    shape, steps = check_shape(size, "tensor"), check_shape(stride, "strides of a tensor")
    (start,) = check_shape((offset,), "offset of a tensor")
    if len(shape) != len(steps):
        raise CheckpointError(f"a tensor has {len(shape)} sizes and {len(steps)} strides")
    count = count_values(shape)
    end = start + sum((length - 1) * step for length, step in zip(shape, steps)) + 1 if count else start
    if end > values.numel():
        raise CheckpointError(f"a tensor of shape {shape} reads outside its storage: value {end} of {values.numel()}")
    reading.budget.charge(count * values.dtype.itemsize, f"a tensor of shape {shape}")
    if count == 0:
        return torch.empty(shape, dtype=values.dtype)
    return torch.as_strided(values, shape, steps, start)
