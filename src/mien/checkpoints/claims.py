"""What a foreign file claims (sizes, shapes, counts) is checked here before any memory is set aside for it."""

from __future__ import annotations

import math
from typing import Any, Protocol

from mien.errors import CheckpointError

FREE_BYTES = 2**26
MAX_OPCODES = 500_000
BYTES_PER_FILE_BYTE = 8
MAX_DIMENSIONS = 16


class Budget:
    """What reading one file may cost: 64 MiB and eight times the size of the file, and half a million opcodes.

    Args:
        file_bytes: size of the file.

    Attributes:
        steps: one item for every opcode that may still be run, by this pickle or one within it.
    """

    def __init__(self, file_bytes: int) -> None:
        self._limit = FREE_BYTES + BYTES_PER_FILE_BYTE * file_bytes
        self._left = self._limit
        self.steps = iter(range(MAX_OPCODES))

    def charge(self, num_bytes: int, what: str) -> None:
        """Note that so many bytes are about to be set aside.

        Raises:
            CheckpointError: more than the file's size can justify; `what` is named.
        """
        self._left -= num_bytes
        if self._left < 0:
            raise CheckpointError(
                f"{what} claims {num_bytes} bytes, which takes this file past the {self._limit} bytes its size allows"
            )


class ByteFile(Protocol):
    """A file open for reading bytes."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        ...

    def readline(self) -> bytes:
        """Bytes up to and with the next newline."""
        ...

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the buffer from the front; the number of bytes read."""
        ...

    def seek(self, position: int, /) -> int:
        """Go to a position."""
        ...

    def tell(self) -> int:
        """The position."""
        ...


class Window:
    """A file whose `read` never sets aside more bytes than the file has left, whatever is asked for.

    Args:
        file: any file.
        size: its size in bytes.
    """

    def __init__(self, file: ByteFile, size: int) -> None:
        self._file = file
        self.size = size
        self.readline, self.readinto, self.seek, self.tell = file.readline, file.readinto, file.seek, file.tell

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, fewer at the end."""
        if size > 4096:
            size = min(size, max(self.size - self._file.tell(), 0))
        return self._file.read(size)


def shown(value: Any, length: int = 60) -> str:
    """A short, safe description of a value from a foreign file, for messages."""
    if isinstance(value, str):
        return ascii(value[:length]) + ("…" if len(value) > length else "")
    if value is None or isinstance(value, (bool, int, float)):
        return str(value)
    return f"a {type(value).__name__}"


def bytes_of_text(text: str, budget: Budget, what: str) -> bytes:
    """The bytes that a file wrote as text, one character each.

    Raises:
        CheckpointError: a character is no byte.
    """
    budget.charge(len(text), what)
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError as error:
        raise CheckpointError(f"{what} has characters that are no bytes") from error


def check_shape(shape: Any, what: str) -> tuple[int, ...]:
    """A shape as a tuple of integers ≥ 0.

    Raises:
        CheckpointError: it is something else, or has more than 16 dimensions.
    """
    if not isinstance(shape, (tuple, list)) or len(shape) > MAX_DIMENSIONS:
        raise CheckpointError(f"{what}: the shape is {shown(shape)}, not a tuple of up to {MAX_DIMENSIONS} integers")
    for size in shape:
        if type(size) is not int or not 0 <= size < 2**48:
            raise CheckpointError(f"{what}: {shown(size)} is not the size of a dimension")
    return tuple(shape)


def count_values(shape: tuple[int, ...]) -> int:
    """Number of values of an array of that shape."""
    return math.prod(shape)
