"""`model_ir_se50.pth`: the identity network of the published losses, a bare state dict."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.checkpoints.layers import fill_renamed, irse_name
from mien.perception.arcface import ArcFaceConfig, ArcFaceNet

OWNER = "IR-SE50 identity network"
MARKS = {"input_layer.0.weight", "body.0.res_layer.5.fc1.weight", "output_layer.3.weight"}
OUTPUT_LAYERS = {"norm0": "output_layer.0", "embed": "output_layer.3", "norm1": "output_layer.4"}


def recognise(tree: Any) -> bool:
    """Whether a checkpoint is a state dict of this layout."""
    return isinstance(tree, Mapping) and set(tree) >= MARKS


def config(tree: Mapping[str, Any]) -> ArcFaceConfig:
    """The sizes of the network: this layout has but one."""
    del tree
    return ArcFaceConfig()


def convert(tree: Mapping[str, Any]) -> ArcFaceNet:
    """The network of a checkpoint, frozen and in eval mode; float32 weights are shared with the tree.

    Raises:
        CheckpointError: naming the key that is missing, unknown or does not fit.
    """
    settings = config(tree)

    def rename(name: str) -> str:
        owner, _, rest = name.partition(".")
        return irse_name(rest, settings.units) if owner == "trunk" else f"{OUTPUT_LAYERS[owner]}.{rest}"

    network = fill_renamed(OWNER, ArcFaceNet, settings, rename, tree)
    assert isinstance(network, ArcFaceNet)
    return network
