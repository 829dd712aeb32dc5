"""Published weights of the networks that judge pictures: LPIPS (two files: AlexNet and the weights of its layers)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mien.checkpoints.layers import fill_renamed
from mien.checkpoints.reader import read_foreign
from mien.errors import CheckpointError
from mien.perception.lpips import Lpips, LpipsConfig

ALEXNET_LAYERS = (0, 3, 6, 8, 10)
"""Places of the convolutions in torchvision's AlexNet."""


def load_lpips(alexnet: str | os.PathLike[str], weights: str | os.PathLike[str]) -> Lpips:
    """LPIPS with AlexNet, version 0.1, frozen and in eval mode.

    Args:
        alexnet: torchvision's `alexnet-owt-….pth`; its classifier is not used.
        weights: `weights/v0.1/alex.pth` of the authors' package.

    Raises:
        CheckpointError: a file cannot be read or holds something else; names it.
    """
    trunk, heads = (_state(path) for path in (alexnet, weights))
    tensors = {name: value for name, value in trunk.items() if str(name).startswith("features.")} | dict(heads)

    def rename(name: str) -> str:
        group, index, *rest = name.split(".")
        return f"features.{ALEXNET_LAYERS[int(index)]}.{rest[0]}" if group == "convs" else f"lin{index}.model.1.weight"

    network = fill_renamed("LPIPS (AlexNet)", Lpips, LpipsConfig(), rename, tensors)
    assert isinstance(network, Lpips)
    return network


def _state(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    tree = read_foreign(path).tree
    if not isinstance(tree, Mapping):
        raise CheckpointError(f"{path}: no state dict of a network")
    return tree
