"""`deca_model.tar`: DECA's coefficient encoder `E_flame`; the networks of its details are known and left behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.checkpoints.layers import fill_renamed
from mien.errors import CheckpointError
from mien.tracking.deca_net import DecaNet, DecaNetConfig

OWNER = "DECA encoder"
MARKS = {"encoder.conv1.weight", "layers.0.weight", "layers.2.weight"}
UNUSED = {"E_detail", "D_detail"}
ENDS = {"stem.0": "encoder.conv1", "stem.1": "encoder.bn1", "hidden": "layers.0", "out": "layers.2"}
BLOCK_LAYERS = {"conv": "conv", "norm": "bn"}


def recognise(tree: Any) -> bool:
    """Whether a checkpoint holds an encoder of this layout."""
    return isinstance(tree, Mapping) and isinstance(tree.get("E_flame"), Mapping) and set(tree["E_flame"]) >= MARKS


def config(tree: Mapping[str, Any]) -> DecaNetConfig:
    """The sizes of the network: this layout has but one."""
    del tree
    return DecaNetConfig()


def convert(tree: Mapping[str, Any]) -> DecaNet:
    """The encoder of a checkpoint, frozen and in eval mode; float32 weights are shared with the tree.

    Raises:
        CheckpointError: naming the key that is missing, unknown or does not fit.
    """
    unknown = sorted(map(str, set(tree) - UNUSED - {"E_flame"}))
    if unknown:
        raise CheckpointError(f"{OWNER}: the file has unknown {unknown[0]}")
    if not isinstance(tree.get("E_flame"), Mapping):
        raise CheckpointError(f"{OWNER}: the file lacks E_flame, or it is no state dict")
    network = fill_renamed(OWNER, DecaNet, config(tree), _foreign_name, tree["E_flame"])
    assert isinstance(network, DecaNet)
    return network


def _foreign_name(name: str) -> str:
    owner, _, leaf = name.rpartition(".")
    if owner in ENDS:
        return f"{ENDS[owner]}.{leaf}"
    _, stage, block, *layer = owner.split(".")
    if layer[0] == "project":
        place = f"downsample.{layer[1]}"
    else:
        place = f"{BLOCK_LAYERS[layer[0][:-1]]}{int(layer[0][-1]) + 1}"
    return f"encoder.layer{int(stage) + 1}.{block}.{place}.{leaf}"
