"""Networks whose weights stand in a file as they are used: only the names of the layers differ from ours.

Counters of batch normalisation mean nothing outside training: they may be there or not, and are left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from mien.checkpoints.parts import COUNTER, Tensors, check_keys, fill_network
from mien.checkpoints.renaming import check_tensor, slots_of
from mien.errors import CheckpointError

UNIT_LAYERS = {
    "norm0": "res_layer.0",
    "conv0": "res_layer.1",
    "act": "res_layer.2",
    "conv1": "res_layer.3",
    "norm1": "res_layer.4",
    "gate.squeeze": "res_layer.5.fc1",
    "gate.excite": "res_layer.5.fc2",
    "project.0": "shortcut_layer.0",
    "project.1": "shortcut_layer.1",
}
"""Layers of `mien.perception.irse.ResidualUnit` as published IR-SE50 weights call them."""


def fill_renamed(
    owner: str,
    network_class: Callable[[Any], nn.Module],
    config: Any,
    rename: Callable[[str], str],
    tensors: Mapping[str, Any],
    extra: Tensors | None = None,
) -> nn.Module:
    """Our network with foreign weights, frozen, in eval mode; float32 weights are shared with `tensors`, not copied.

    Args:
        owner: what error messages call the file.
        network_class, config: what is built.
        rename: our name of a tensor → theirs.
        tensors: the foreign state dict.
        extra: tensors under our names that do not come from it.

    Raises:
        CheckpointError: naming the key that is missing, unknown, misshapen, no floating point tensor, or not finite.
    """
    extra = extra or {}
    named = slots_of(network_class, config, lambda name, shape: ("" if name in extra else rename(name), shape))
    slots = [slot for slot in named if slot.ours not in extra]
    counters = {slot.theirs for slot in slots if slot.ours.endswith(COUNTER)}
    slots = [slot for slot in slots if slot.theirs not in counters]
    check_keys(owner, set(map(str, tensors)) - counters, {slot.theirs for slot in slots})
    for slot in slots:
        check_tensor(owner, slot.theirs, tensors[slot.theirs], slot.their_shape)
    return fill_network(network_class, config, extra | {s.ours: _single(owner, s.theirs, tensors) for s in slots})


def _single(owner: str, name: str, tensors: Mapping[str, Any]) -> torch.Tensor:
    tensor = tensors[name].detach().to("cpu", torch.float32)
    if not torch.isfinite(tensor.sum(dtype=torch.float64)):  # a sum costs no memory, and no bad value gets lost in it
        raise CheckpointError(f"{owner}: {name} has values that are not finite")
    return tensor


def irse_name(name: str, units: Sequence[int]) -> str:
    """Our name of a tensor in `IrseTrunk` → that of published IR-SE50 weights, which number all units in one row.

    Args:
        name: "stem.…" or "stages.s.u.…".
        units: residual units of each stage.
    """
    group, _, rest = name.partition(".")
    if group == "stem":
        return f"input_layer.{rest}"
    stage, unit, layer = rest.split(".", 2)
    path, _, leaf = layer.rpartition(".")
    return f"body.{sum(units[: int(stage)]) + int(unit)}.{UNIT_LAYERS[path]}.{leaf}"
