"""`mask_network_1024.pt`: the published mask networks, `{"mask_net", "num_layers_control", "step"?}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.checkpoints.layers import fill_renamed
from mien.checkpoints.parts import check_keys
from mien.checkpoints.renaming import shape_of, single_precision
from mien.errors import CheckpointError
from mien.methods.stylemask import MaskNetworks, StyleMaskConfig

OWNER = "mask networks"
NEEDED, OPTIONAL = {"mask_net", "num_layers_control"}, {"step"}


def recognise(tree: Any) -> bool:
    """Whether a checkpoint holds mask networks of this layout."""
    return isinstance(tree, Mapping) and isinstance(tree.get("mask_net"), Mapping)


def config(tree: Mapping[str, Any]) -> StyleMaskConfig:
    """The widths of the controlled layers, from shapes alone.

    Raises:
        CheckpointError: naming the entry that is missing, unknown or does not fit.
    """
    check_keys(OWNER, set(map(str, tree)) - OPTIONAL, NEEDED)
    tensors, count = tree["mask_net"], tree["num_layers_control"]
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{OWNER}: mask_net is no state dict")
    names = [key for key in map(str, tensors) if key.endswith(".0.weight")]
    if not isinstance(count, int) or count != len(names) or count < 1:
        raise CheckpointError(f"{OWNER}: num_layers_control is {count!r}, the file has {len(names)} networks")
    weights = [_foreign_name(f"networks.{i}.0.weight") for i in range(count)]
    return StyleMaskConfig(widths=tuple(shape_of(OWNER, tensors, name, 2)[1] for name in weights))


def convert(tree: Mapping[str, Any]) -> MaskNetworks:
    """The mask networks of a checkpoint, frozen and in eval mode.

    Raises:
        CheckpointError: naming the key that is missing, unknown or does not fit.
    """
    network = fill_renamed(OWNER, MaskNetworks, config(tree), _foreign_name, tree["mask_net"])
    assert isinstance(network, MaskNetworks)
    return network


def export(masks: MaskNetworks) -> dict[str, Any]:
    """The checkpoint tree of mask networks."""
    tensors = {_foreign_name(name): single_precision(value) for name, value in masks.state_dict().items()}
    return {"mask_net": tensors, "num_layers_control": len(masks.config.widths), "step": 0}


def _foreign_name(name: str) -> str:
    """ "networks.3.0.weight" → "network_03.masknet.0.weight"."""
    _, index, rest = name.split(".", 2)
    return f"network_{int(index):02d}.masknet.{rest}"
