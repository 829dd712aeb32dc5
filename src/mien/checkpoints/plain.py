"""The last step of reading a pickle: a tree of plain values, without cycles and of sane size when unfolded."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mien.checkpoints.claims import shown
from mien.checkpoints.pickles import Name, Shell
from mien.errors import CheckpointError

MAX_DEPTH = 100
MAX_VALUES = 500_000

_LEAVES = (bool, int, float, str, bytes, torch.Tensor, np.ndarray, frozenset)


def plain_tree(value: Any) -> Any:
    """The tree of dictionaries, lists and tuples over plain leaves that a pickle described.

    Leaves: tensors, NumPy arrays, numbers, texts, bytes, None, sets of keys; names of classes and types become text.

    Raises:
        CheckpointError: it contains itself, nests deeper than 100, or has more than half a million values when shared
            parts are counted each time they are reached.
    """
    return _Finisher().visit(value)


class _Finisher:
    """Each container is finished once and counted as often as it is reached, so shared parts cost no time."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, int, Any]] = {}  # id → (finished, values in it, original, kept alive)
        self._open: set[int] = set()
        self._count = 0

    def visit(self, value: Any) -> Any:
        """The plain form of a value."""
        if value is None or isinstance(value, _LEAVES):
            self._add(1)
            return value
        if id(value) in self._done:
            finished, count, _ = self._done[id(value)]
            self._add(count)
            return finished
        if id(value) in self._open:
            raise CheckpointError("the pickle describes a value that contains itself")
        if len(self._open) >= MAX_DEPTH:
            raise CheckpointError(f"the pickle describes values nested deeper than {MAX_DEPTH}")
        before = self._count
        self._add(1)
        self._open.add(id(value))
        finished = self._expand(value)
        self._open.discard(id(value))
        self._done[id(value)] = finished, self._count - before, value
        return finished

    def _add(self, count: int) -> None:
        self._count += count
        if self._count > MAX_VALUES:
            raise CheckpointError(f"the pickle describes more than {MAX_VALUES} values when unfolded")

    def _expand(self, value: Any) -> Any:
        if type(value) is dict:
            return {key: self.visit(item) for key, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.visit(item) for item in value)
        if type(value) is set:
            return frozenset(value)
        if type(value) is bytearray:
            return bytes(value)
        if isinstance(value, Name):
            return value.full
        if isinstance(value, Shell):
            return value.finish(self.visit)
        raise CheckpointError(f"the pickle describes {shown(value)}, which is no weight")
