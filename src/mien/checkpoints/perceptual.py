"""Published weights of the networks that judge pictures: LPIPS (AlexNet and weights of its layers), Inception, I3D."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mien.checkpoints.layers import fill_renamed
from mien.checkpoints.reader import read_foreign
from mien.errors import CheckpointError
from mien.perception.i3d import I3d, I3dConfig
from mien.perception.inception import FidInception, InceptionConfig
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


INCEPTION_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
INCEPTION_BLOCKS = (*INCEPTION_STEM, *(f"Mixed_{place}" for place in ("5b", "5c", "5d", *(f"6{x}" for x in "abcde"))))
INCEPTION_BLOCKS += ("Mixed_7a", "Mixed_7b", "Mixed_7c")
_FIRST = (("1x1", 0), ("5x5_", 1), ("3x3dbl_", 1), ("_pool", 0))
_SECOND = (("1x1", 0), ("7x7_", 1), ("7x7dbl_", 1), ("_pool", 0))
_THIRD = ("1x1",), ("3x3_1", "3x3_2a", "3x3_2b"), ("3x3dbl_1", "3x3dbl_2", "3x3dbl_3a", "3x3dbl_3b"), ("_pool",)
_HALVING = {"Mixed_6a": (("3x3", 0), ("3x3dbl_", 1)), "Mixed_7a": (("3x3_", 1), ("7x7x3_", 1))}
"""Names of the branches in the file; 1 where their layers are numbered."""

I3D_STEM = ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")
I3D_BLOCKS = (*I3D_STEM, *(f"Mixed_{place}" for place in ("3b", "3c", *(f"4{x}" for x in "bcdef"), "5b", "5c")))
_I3D_LAYERS = (("b0",), ("b1a", "b1b"), ("b2a", "b2b"), ("b3b",))


def load_inception(path: str | os.PathLike[str]) -> FidInception:
    """The network of FID from `pt_inception-2015-12-05-6726825d.pth`, frozen; its classifier is not used.

    Raises:
        CheckpointError: the file cannot be read or holds something else.
    """
    tensors = {name: value for name, value in _state(path).items() if not str(name).startswith("fc.")}

    def rename(name: str) -> str:
        _, block, _, branch, _, layer, kind, leaf = name.split(".")
        owner, place = INCEPTION_BLOCKS[int(block)], "conv" if kind == "conv" else "bn"
        if owner.startswith("Conv2d"):
            return f"{owner}.{place}.{leaf}"
        return f"{owner}.branch{_branch_layer(owner, int(branch), int(layer))}.{place}.{leaf}"

    network = fill_renamed("Inception v3 of FID", FidInception, InceptionConfig(), rename, tensors)
    assert isinstance(network, FidInception)
    return network


def _branch_layer(owner: str, branch: int, layer: int) -> str:
    if owner in ("Mixed_7b", "Mixed_7c"):
        return _THIRD[branch][layer]
    names = _HALVING.get(owner) or (_FIRST if owner.startswith("Mixed_5") else _SECOND)
    stem, is_numbered = names[branch]
    return f"{stem}{layer + 1}" if is_numbered else stem


def load_i3d(path: str | os.PathLike[str]) -> I3d:
    """The network of FVD from `rgb_imagenet.pt` (I3D on Kinetics-400), frozen.

    Raises:
        CheckpointError: the file cannot be read or holds something else.
    """

    def rename(name: str) -> str:
        if name.startswith("logits."):
            return name.replace("logits", "logits.conv3d")
        _, block, _, branch, _, layer, kind, leaf = name.split(".")
        owner, place = I3D_BLOCKS[int(block)], "conv3d" if kind == "conv" else "bn"
        inner = "" if owner.startswith("Conv3d") else f".{_I3D_LAYERS[int(branch)][int(layer)]}"
        return f"{owner}{inner}.{place}.{leaf}"

    network = fill_renamed("I3D", I3d, I3dConfig(), rename, _state(path))
    assert isinstance(network, I3d)
    return network


def _state(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    tree = read_foreign(path).tree
    if not isinstance(tree, Mapping):
        raise CheckpointError(f"{path}: no state dict of a network")
    return tree
