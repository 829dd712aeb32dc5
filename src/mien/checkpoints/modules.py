"""Modules that were pickled whole, as in NVIDIA's StyleGAN files: weights and arguments are kept, no source text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from mien.checkpoints.claims import shown
from mien.checkpoints.pickles import Reading, Shell
from mien.errors import CheckpointError

MAX_MODULES = 10_000
MAX_DEPTH = 50
MAX_ENTRIES = 500_000
_SCALARS = (bool, int, float, str, type(None))


class ModuleShell(Shell):
    """A module by the name of its class and its attributes."""

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name
        self.state: dict[str, Any] = {}

    def set_state(self, reading: Reading, state: Any) -> None:
        """Take the attributes."""
        if type(state) is not dict or not all(isinstance(key, str) for key in state):
            raise CheckpointError(f"the state of a {shown(self.class_name)} is not a dictionary of attributes")
        self.state = state

    def finish(self, visit: Callable[[Any], Any]) -> dict[str, Any]:
        """What is kept of a module and of all modules in it.

        Returns:
            `class_name`; `init_args` and `init_kwargs` (of NVIDIA's classes, else empty); `attributes`: numbers and
            texts by dotted name; `state_dict`: tensors by dotted name, as PyTorch would list them.
        """
        flat = _Flat()
        flat.add(self, "", 0)
        return {
            "class_name": self.class_name,
            "init_args": visit(self.state.get("_init_args", ())),
            "init_kwargs": visit(self.state.get("_init_kwargs", {})),
            "attributes": flat.attributes,
            "state_dict": flat.tensors,
        }


class _Flat:
    """Collects what modules hold under dotted names."""

    def __init__(self) -> None:
        self.attributes: dict[str, Any] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self._modules = 0
        self._entries = 0

    def add(self, shell: ModuleShell, prefix: str, depth: int) -> None:
        """A module and its children, in the order of PyTorch's state dictionaries."""
        self._modules += 1
        parts = [_part(shell.state, name) for name in ("_parameters", "_buffers", "_modules")]
        self._entries += len(shell.state) + sum(map(len, parts))
        if self._entries > MAX_ENTRIES:
            raise CheckpointError(f"a module and the modules in it have more than {MAX_ENTRIES} entries")
        if self._modules > MAX_MODULES or depth > MAX_DEPTH:
            raise CheckpointError(f"a module holds more than {MAX_MODULES} modules, or nests deeper than {MAX_DEPTH}")
        state = shell.state
        hidden = state.get("_non_persistent_buffers_set", ())
        hidden = hidden if isinstance(hidden, (set, frozenset, tuple)) else ()
        self.attributes |= {
            prefix + name: value
            for name, value in state.items()
            if not name.startswith("_") and isinstance(value, _SCALARS)
        }
        for name, value in [*parts[0], *parts[1]]:
            if isinstance(value, torch.Tensor) and name not in hidden:
                self.tensors[prefix + name] = value
            elif value is not None and name not in hidden:
                raise CheckpointError(f"{shown(prefix + name)} of a module is {shown(value)}, not a tensor")
        for name, child in parts[2]:
            if isinstance(child, ModuleShell):
                self.add(child, f"{prefix}{name}.", depth + 1)
            elif child is not None:
                raise CheckpointError(f"{shown(prefix + name)} of a module is {shown(child)}, not a module")


def _part(state: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    part = state.get(name, {})
    if type(part) is not dict or not all(isinstance(key, str) for key in part):
        raise CheckpointError(f"{name} of a module is not a dictionary")
    return list(part.items())


def persistent_module(reading: Reading, meta: Any) -> ModuleShell:
    """`torch_utils.persistence._reconstruct_persistent_obj`, without running the source text in `meta`.

    Raises:
        CheckpointError: `meta` has another form.
    """
    known = {"type", "version", "module_src", "class_name", "state"}
    if type(meta) is not dict or set(meta) != known or meta["type"] != "class":
        raise CheckpointError("a persistent object is not described as NVIDIA's files describe them")
    if not isinstance(meta["class_name"], str) or not isinstance(meta["module_src"], str):
        raise CheckpointError("a persistent object has a class name or source that is not text")
    shell = ModuleShell(meta["class_name"][:200])
    shell.set_state(reading, meta["state"])
    return shell
