"""Arrays, scalars and element types of NumPy as pickles describe them, and `.npy` streams, without NumPy's readers."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from mien.checkpoints.claims import ByteFile, bytes_of_text, check_shape, count_values, shown
from mien.checkpoints.pickles import Name, Reading, Shell
from mien.errors import CheckpointError

NPY_MAGIC = b"\x93NUMPY"
MAX_HEADER_BYTES = 10_000
_PLAIN = re.compile(r"[<>=|]?(\?|b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,5})")
_BYTE_ORDERS = ("<", ">", "=", "|")
_LENGTH_BYTES = {1: 2, 2: 4, 3: 4}


def read_dtype(text: Any) -> np.dtype[Any]:
    """The element type of a NumPy type string; numbers, truth values and texts of fixed length only.

    Raises:
        CheckpointError: another type, such as objects or records.
    """
    if not isinstance(text, str) or not _PLAIN.fullmatch(text):
        raise CheckpointError(f"an array has elements of type {shown(text)}; numbers and short texts are read")
    return np.dtype(text)


class DtypeShell(Shell):
    """An element type, of which BUILD tells the byte order; `O` for objects, whose arrays come as lists."""

    def __init__(self, text: Any) -> None:
        self.is_object = isinstance(text, str) and text.lstrip("|") in ("O", "O8", "O4")
        self.dtype = np.dtype(object) if self.is_object else read_dtype(text)

    def set_state(self, reading: Reading, state: Any) -> None:
        """(version, byte order, no subarray, no names, no fields, …)."""
        if not isinstance(state, tuple) or not 3 <= len(state) <= 9 or state[1] not in _BYTE_ORDERS:
            raise CheckpointError("an element type has a state that NumPy does not write")
        if any(part is not None for part in state[2:5]):
            raise CheckpointError("an array of records is not read")
        if not self.is_object and state[1] != "|":
            self.dtype = self.dtype.newbyteorder(state[1])

    def finish(self, visit: Callable[[Any], Any]) -> str:
        """The type string."""
        return self.dtype.str


class ArrayShell(Shell):
    """An array that BUILD fills: (version, shape, element type, Fortran order, bytes or a list of objects)."""

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def set_state(self, reading: Reading, state: Any) -> None:
        """Take shape, type and bytes."""
        if not isinstance(state, tuple) or len(state) not in (4, 5):
            raise CheckpointError("an array has a state that NumPy does not write")
        shape, dtype, fortran, data = state[-4:]
        shape = check_shape(shape, "array")
        if isinstance(dtype, DtypeShell) and dtype.is_object:
            self.value = _objects(shape, data)
        else:
            self.value = _array(reading, _type_of(dtype), shape, data, bool(fortran))

    def finish(self, visit: Callable[[Any], Any]) -> Any:
        """The array; for objects, what is in it."""
        if self.value is None:
            raise CheckpointError("an array was never filled")
        return self.value if isinstance(self.value, np.ndarray) else visit(self.value[0])


def _objects(shape: tuple[int, ...], data: Any) -> tuple[Any]:
    if not isinstance(data, list) or len(shape) > 1 or len(data) != count_values(shape):
        raise CheckpointError("an array of objects does not hold a list of as many objects as its shape says")
    return (data if shape else data[0],)


def _type_of(dtype: Any) -> np.dtype[Any]:
    if not isinstance(dtype, DtypeShell) or dtype.is_object:
        raise CheckpointError(f"an array has {shown(dtype)} where its element type belongs")
    return dtype.dtype


def _array(reading: Reading, dtype: np.dtype[Any], shape: tuple[int, ...], data: Any, fortran: bool) -> np.ndarray:
    if isinstance(data, str):  # how Python 2 wrote bytes
        data = bytes_of_text(data, reading.budget, "the text of an array")
    if not isinstance(data, (bytes, bytearray)):
        raise CheckpointError(f"an array has {shown(data)} where its bytes belong")
    claimed = count_values(shape) * dtype.itemsize
    if claimed != len(data):
        raise CheckpointError(f"an array of shape {shape} and type {dtype.str} claims {claimed} bytes of {len(data)}")
    reading.budget.charge(2 * claimed, f"an array of shape {shape}")
    if claimed == 0:
        return np.empty(shape, dtype.newbyteorder("="))
    flat = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    return np.array(flat, dtype.newbyteorder("="), order="C")


def new_array(reading: Reading, kind: Any, shape: Any, code: Any) -> ArrayShell:
    """`numpy._core.multiarray._reconstruct`: an array without content."""
    if not isinstance(kind, Name) or not kind.full.endswith(("ndarray", "matrix")) or shape != (0,):
        raise CheckpointError("an array is begun in a way that NumPy does not write")
    return ArrayShell()


def array_of_buffer(reading: Reading, data: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> np.ndarray:
    """`numpy._core.numeric._frombuffer`, of pickle protocol 5."""
    shape = check_shape(shape, "array")
    axes = tuple(range(len(shape))) if axes is None else check_shape(axes, "axes of an array")
    if order not in ("C", "F", "K") or sorted(axes) != list(range(len(shape))):
        raise CheckpointError("an array has an order of axes that NumPy does not write")
    return np.ascontiguousarray(_array(reading, _type_of(dtype), shape, data, order == "F").transpose(axes))


def scalar(reading: Reading, dtype: Any, data: Any) -> Any:
    """`numpy._core.multiarray.scalar`: a number or text of Python's."""
    return _array(reading, _type_of(dtype), (), data, False).item()


def new_dtype(reading: Reading, text: Any, align: Any = False, copy: Any = False) -> DtypeShell:
    """`numpy.dtype`: an element type by its type string."""
    return DtypeShell(text)


def read_npy_header(file: ByteFile) -> tuple[str, tuple[int, ...], bool]:
    """Read the header of a `.npy` stream: (type string, shape, whether in Fortran order).

    Raises:
        CheckpointError: damaged, or an array of records.
    """
    start = file.read(8)
    width = _LENGTH_BYTES.get(start[6]) if len(start) == 8 and start[:6] == NPY_MAGIC else None
    if width is None:
        raise CheckpointError("not an array of NumPy's: the first bytes are wrong")
    length = int.from_bytes(file.read(width), "little")
    if length > MAX_HEADER_BYTES:
        raise CheckpointError(f"the header of the array claims {length} bytes")
    try:
        header = ast.literal_eval(file.read(length).decode("utf-8" if start[6] == 3 else "latin-1").strip())
        dtype, shape, fortran = header["descr"], header["shape"], header["fortran_order"]
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError) as error:
        raise CheckpointError("the header of the array cannot be read") from error
    if not isinstance(dtype, str) or type(fortran) is not bool:
        raise CheckpointError("the header of the array describes records, which are not read")
    return dtype, check_shape(shape, "array"), fortran


def read_npy_values(file: ByteFile, reading: Reading, available: int) -> np.ndarray:
    """Read a `.npy` stream of numbers.

    Args:
        file: at its first byte.
        reading: whose budget is charged.
        available: bytes of the stream.

    Raises:
        CheckpointError: damaged, too large, or holding objects.
    """
    text, shape, fortran = read_npy_header(file)
    dtype = read_dtype(text)
    claimed = count_values(shape) * dtype.itemsize
    if claimed > available:
        raise CheckpointError(f"an array of shape {shape} claims {claimed} bytes of {available}")
    reading.budget.charge(claimed, f"an array of shape {shape}")
    return _array(reading, dtype, shape, file.read(claimed), fortran)
