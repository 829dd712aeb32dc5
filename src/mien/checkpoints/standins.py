"""What files of weights may name, and what each name makes here: plain containers, tensors, arrays, and stand-ins.

No class of another package is ever imported: chumpy's arrays become NumPy arrays, SciPy's sparse matrices dense ones,
NVIDIA's persistent objects a dictionary of their weights without the source text they carry, namespaces a dictionary.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from mien.checkpoints import arrays, legacy, storages
from mien.checkpoints.claims import Budget, Window, bytes_of_text, check_shape, count_values, shown
from mien.checkpoints.modules import ModuleShell, persistent_module
from mien.checkpoints.pickles import Name, Reading, Shell, check_key
from mien.errors import CheckpointError

ITEM_BYTES = 100


class Options(Shell):
    """A namespace of options, or another object of which only its attributes matter."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self._budget = Budget(0)

    def set_state(self, reading: Reading, state: Any) -> None:
        """Take the attributes, and the budget to unfold within."""
        self.state, self._budget = _attributes(state), reading.budget

    def finish(self, visit: Callable[[Any], Any]) -> Any:
        """The attributes as a dictionary."""
        return visit(self.state)


class ChumpyArray(Options):
    """An array of chumpy's, without its record of derivatives; `Select` takes values of another one by index."""

    def finish(self, visit: Callable[[Any], Any]) -> np.ndarray:
        """The numbers."""
        if "x" in self.state:
            return _numbers(visit(self.state["x"]), "x of a chumpy array")
        values = _numbers(visit(self.state.get("a")), "a of a chumpy selection").reshape(-1)
        index = _numbers(visit(self.state.get("idxs")), "idxs of a chumpy selection")
        if index.dtype.kind not in "iu" or (index.size and not 0 <= index.min() <= index.max() < values.size):
            raise CheckpointError("a chumpy selection takes values that are not there")
        self._budget.charge(index.size * values.dtype.itemsize, "a chumpy selection")
        picked = values[index]
        shape = visit(self.state.get("preferred_shape"))
        shape = picked.shape if shape is None else check_shape(shape, "chumpy selection")
        if count_values(shape) != picked.size:
            raise CheckpointError(f"a chumpy selection of {picked.size} values claims the shape {shape}")
        return picked.reshape(shape)


class SparseMatrix(Options):
    """A sparse matrix of SciPy's, compressed by columns or rows."""

    def __init__(self, by_columns: bool) -> None:
        super().__init__()
        self._by_columns = by_columns

    def finish(self, visit: Callable[[Any], Any]) -> np.ndarray:
        """The dense matrix."""
        state = self.state
        shape = check_shape(visit(state.get("_shape", state.get("shape"))), "sparse matrix")
        parts = [
            _numbers(visit(state.get(name)), f"{name} of a sparse matrix") for name in ("data", "indices", "indptr")
        ]
        if len(shape) != 2 or any(part.ndim != 1 for part in parts):
            raise CheckpointError("a sparse matrix is not made of three lists and a shape of two")
        data, minor, starts = parts
        num_major, num_minor = shape[::-1] if self._by_columns else shape
        if minor.dtype.kind not in "iu" or starts.dtype.kind not in "iu" or starts.size != num_major + 1:
            raise CheckpointError("a sparse matrix has indices that do not fit its shape")
        lengths = np.diff(starts.astype(np.int64))
        if starts[0] != 0 or (lengths < 0).any() or starts[-1] != minor.size or minor.size != data.size:
            raise CheckpointError("a sparse matrix has indices that do not fit its values")
        if minor.size and not 0 <= minor.min() <= minor.max() < num_minor:
            raise CheckpointError("a sparse matrix has values outside its shape")
        self._budget.charge(count_values(shape) * data.dtype.itemsize, f"a sparse matrix of shape {shape}")
        dense = np.zeros((num_major, num_minor), data.dtype)
        np.add.at(dense, (np.repeat(np.arange(num_major), lengths), minor.astype(np.int64)), data)
        return np.ascontiguousarray(dense.T) if self._by_columns else dense


def _attributes(state: Any) -> dict[str, Any]:
    if isinstance(state, tuple) and len(state) == 2 and state[1] is None:
        state = state[0]
    if type(state) is not dict or not all(isinstance(key, str) for key in state):
        raise CheckpointError("an object's state is not a dictionary of attributes")
    return state


def _numbers(value: Any, what: str) -> np.ndarray:
    if isinstance(value, (int, float)):
        value = np.asarray(value)
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        raise CheckpointError(f"{what} is {shown(value)}, not an array of numbers")
    return value


def _dictionary(reading: Reading, items: Any = ()) -> dict[Any, Any]:
    if not isinstance(items, (dict, list, tuple)):
        raise CheckpointError(f"a dictionary is made of {shown(items)}")
    reading.budget.charge(ITEM_BYTES * len(items), "a dictionary")
    if isinstance(items, dict):
        return dict(items)
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in items):
        raise CheckpointError("a dictionary is made of something else than pairs")
    return {check_key(key): value for key, value in items}


def _default_dictionary(reading: Reading, factory: Any = None, items: Any = ()) -> dict[Any, Any]:
    return _dictionary(reading, items)


def _sequence(reading: Reading, items: Any = ()) -> tuple[Any, ...]:
    if not isinstance(items, (list, tuple)):
        raise CheckpointError(f"a sequence is made of {shown(items)}")
    reading.budget.charge(ITEM_BYTES * len(items), "a sequence")
    return tuple(items)


def _set(reading: Reading, items: Any = ()) -> set[Any]:
    return set(map(check_key, _sequence(reading, items)))


def _encode(reading: Reading, text: Any, encoding: Any = "utf-8") -> bytes:
    """Bytes in files of protocol 2, written as text."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise CheckpointError("_codecs.encode is called for something else than bytes written as text")
    return bytes_of_text(text, reading.budget, "a text")


def _new_object(reading: Reading, kind: Any, *args: Any) -> Any:
    return reading.call(kind, args)


def _reconstruct(reading: Reading, kind: Any, base: Any, state: Any) -> Any:
    """`copyreg._reconstructor`: an object of protocols 0 and 1."""
    made = reading.call(kind, ())
    if isinstance(base, Name) and base.full.endswith(".object") and state is None:
        return made
    if type(made) is dict and type(state) is dict:
        made.update(_dictionary(reading, state))
        return made
    raise CheckpointError("an object is rebuilt from a base that it does not have")


def _parameter(reading: Reading, data: Any, *extra: Any) -> torch.Tensor:
    if not isinstance(data, torch.Tensor) or len(extra) > 3:
        raise CheckpointError(f"a parameter is made of {shown(data)}")
    return data


def _typed(reading: Reading, function: Any, kind: Any, args: Any, state: Any) -> torch.Tensor:
    """`torch._tensor._rebuild_from_type_v2`: a tensor that had attributes, which are left behind."""
    return _parameter(reading, reading.call(function, args))


def _device(reading: Reading, kind: Any, index: Any = None) -> str:
    if not isinstance(kind, str) or type(index) not in (int, type(None)):
        raise CheckpointError("a device is not a text and a number")
    return kind[:20] if index is None else f"{kind[:20]}:{index}"


def _path(reading: Reading, *parts: Any) -> str:
    if not all(isinstance(part, str) for part in parts):
        raise CheckpointError("a path is made of something else than texts")
    reading.budget.charge(sum(map(len, parts)) + len(parts), "a path")
    return "/".join(parts)


def _storage_of_bytes(reading: Reading, data: Any) -> storages.Storage:
    """`torch.storage._load_from_bytes`: a whole file of the old format within a pickle."""
    if not isinstance(data, bytes) or reading.nested:
        raise CheckpointError("a storage within a pickle is not made of bytes, or contains another one")
    reading.budget.charge(len(data), "a storage within a pickle")
    storage = legacy.read_legacy(Window(io.BytesIO(data), len(data)), reading)
    if not isinstance(storage, storages.Storage):
        raise CheckpointError("the bytes of a storage within a pickle hold something else")
    return storage


def _without_arguments(make: Callable[[], Any]) -> Callable[[Reading], Any]:
    def build(reading: Reading) -> Any:
        return make()

    return build


def _names() -> Mapping[str, Name]:
    builds: dict[str, Callable[..., Any] | None] = {
        "collections.OrderedDict": _dictionary,
        "collections.Counter": _dictionary,
        "collections.defaultdict": _default_dictionary,
        "dnnlib.util.EasyDict": _dictionary,
        "dnnlib.EasyDict": _dictionary,
        "argparse.Namespace": _without_arguments(Options),
        "types.SimpleNamespace": _without_arguments(Options),
        "_codecs.encode": _encode,
        "torch.Size": _sequence,
        "torch.device": _device,
        "torch._utils._rebuild_tensor": storages.rebuild_tensor,
        "torch._utils._rebuild_tensor_v2": storages.rebuild_tensor,
        "torch._utils._rebuild_tensor_v3": storages.rebuild_tensor_of,
        "torch._utils._rebuild_parameter": _parameter,
        "torch._utils._rebuild_parameter_with_state": _parameter,
        "torch._tensor._rebuild_from_type_v2": _typed,
        "torch.storage._load_from_bytes": _storage_of_bytes,
        "numpy.dtype": arrays.new_dtype,
        "torch_utils.persistence._reconstruct_persistent_obj": persistent_module,
    }
    for module in ("numpy.core.", "numpy._core."):
        builds[f"{module}multiarray._reconstruct"] = arrays.new_array
        builds[f"{module}multiarray.scalar"] = arrays.scalar
        builds[f"{module}numeric._frombuffer"] = arrays.array_of_buffer
    for module in ("copyreg.", "copy_reg."):
        builds[f"{module}_reconstructor"] = _reconstruct
        builds[f"{module}__newobj__"] = _new_object
    for name in ("Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"):
        builds[f"pathlib.{name}"] = _path
    for name in ("chumpy.ch.Ch", "chumpy.Ch", "chumpy.reordering.Select"):
        builds[name] = _without_arguments(ChumpyArray)
    for kind, by_columns in (("csc", True), ("csr", False)):
        for module in (kind, f"_{kind}"):
            build = _without_arguments(lambda by_columns=by_columns: SparseMatrix(by_columns))
            builds[f"scipy.sparse.{module}.{kind}_matrix"] = build
    for name in ("module.Module", "container.Sequential", "container.ModuleList", "container.ModuleDict"):
        builds[f"torch.nn.modules.{name}"] = _without_arguments(lambda name=name: ModuleShell(name.split(".")[1]))
    for module in ("builtins", "__builtin__"):
        builds[f"{module}.set"] = builds[f"{module}.frozenset"] = _set
        for name in ("object", "dict", "list", "int", "float"):
            builds[f"{module}.{name}"] = None
    builds |= dict.fromkeys(("numpy.ndarray", "numpy.matrixlib.defmatrix.matrix", "numpy.matrix"))
    builds |= dict.fromkeys(("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter"))
    builds |= dict.fromkeys(storages.DTYPES)
    for module in ("torch", "torch.cuda", "torch.storage"):
        builds |= dict.fromkeys(f"{module}.{name}" for name in storages.STORAGE_TYPES)
    return {full: Name(full, build) for full, build in builds.items()}


NAMES: Mapping[str, Name] = _names()
"""Every global that a file may name, by "module.name"."""
