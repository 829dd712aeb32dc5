"""`A_matrix.pt`: the published direction matrix.

`{"A_matrix": {"linear.weight", "linear.bias"}, "learned_directions", "shift_scale", "w_plus", "num_layers_shift"}` and
perhaps `shift_dim` and `step`. Row 512·layer + channel of the weight moves that channel of that W+ row. Nothing is
clamped where it comes from, so nothing is here: the matrix is not `bounded`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mien.checkpoints.layers import fill_renamed
from mien.checkpoints.parts import check_keys
from mien.checkpoints.renaming import shape_of, single_precision
from mien.errors import CheckpointError
from mien.face3d import MotionSpace, deca_motion_space, published_ranges
from mien.face3d.motion import Q_LIMIT
from mien.methods.direction import DirectionConfig, DirectionMatrix

OWNER = "direction matrix"
NEEDED = {"A_matrix", "learned_directions", "shift_scale", "w_plus", "num_layers_shift"}
OPTIONAL = {"shift_dim", "step"}
NUM_ANGLES = {"voxceleb": 3, "ffhq": 2}


def recognise(tree: Any) -> bool:
    """Whether a checkpoint is a direction matrix of this layout."""
    return isinstance(tree, Mapping) and isinstance(tree.get("A_matrix"), Mapping) and "learned_directions" in tree


def config(tree: Mapping[str, Any]) -> DirectionConfig:
    """The sizes of A, checked against what the file says about them; `shift_dim` is derived where it is absent.

    Raises:
        CheckpointError: naming the entry that is missing, unknown or contradicts the weight.
    """
    check_keys(OWNER, set(map(str, tree)) - OPTIONAL, NEEDED)
    tensors = tree["A_matrix"]
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{OWNER}: A_matrix is no state dict")
    height, width = shape_of(OWNER, tensors, "linear.weight", 2)
    rows = _number(tree, "num_layers_shift")
    shared = not tree["w_plus"]
    dim = height if shared else height // max(rows, 1)
    claims = {
        "learned_directions": (_number(tree, "learned_directions"), width),
        "num_layers_shift": (height, dim if shared else rows * dim),
        "shift_dim": (_number(tree, "shift_dim") if "shift_dim" in tree else dim, dim),
        "shift_scale": (_number(tree, "shift_scale"), Q_LIMIT),
    }
    for name, (found, expected) in claims.items():
        if found != expected or rows < 1:
            raise CheckpointError(f"{OWNER}: {name} does not fit ({found}, expected {expected})")
    return DirectionConfig(coordinates=width, rows=rows, dim=dim, bias="linear.bias" in tensors, bounded=False)


def convert(tree: Mapping[str, Any]) -> DirectionMatrix:
    """The direction matrix of a checkpoint, frozen and in eval mode.

    Raises:
        CheckpointError: naming the key that is missing, unknown or does not fit.
    """
    settings = config(tree)
    tensors = dict(tree["A_matrix"])
    if not tree["w_plus"]:  # one shift for all rows
        tensors = {
            key: value.repeat(settings.rows, *[1] * (value.ndim - 1)) if isinstance(value, torch.Tensor) else value
            for key, value in tensors.items()
        }
    network = fill_renamed(OWNER, DirectionMatrix, settings, lambda name: name, tensors)
    assert isinstance(network, DirectionMatrix)
    return network


def motion_space(tree: Mapping[str, Any], dataset: str = "voxceleb") -> MotionSpace:
    """The coordinates that a checkpoint's A reads, with the published ranges of "voxceleb" or "ffhq".

    Raises:
        CheckpointError: there are fewer coordinates than angles and the jaw.
        ValueError: another data set.
    """
    ranges = published_ranges(dataset)
    count = config(tree).coordinates - NUM_ANGLES[dataset] - 1
    if not 0 <= count <= len(ranges) - 4:
        raise CheckpointError(f"{OWNER}: {count} expressions beside angles and jaw, expected 0 to {len(ranges) - 4}")
    return deca_motion_space(ranges, roll=dataset != "ffhq", num_expressions=count)


def export(matrix: DirectionMatrix) -> dict[str, Any]:
    """The checkpoint tree of a direction matrix; the layout always has a bias, so zeros stand in for none."""
    settings, state = matrix.config, matrix.state_dict()
    none = torch.zeros(settings.rows * settings.dim)
    return {
        "A_matrix": {
            "linear.weight": single_precision(state["linear.weight"]),
            "linear.bias": single_precision(state.get("linear.bias", none)),
        },
        "learned_directions": settings.coordinates,
        "shift_scale": Q_LIMIT,
        "w_plus": True,
        "num_layers_shift": settings.rows,
        "shift_dim": settings.dim,
        "step": 0,
    }


def _number(tree: Mapping[str, Any], name: str) -> int:
    try:
        value = float(tree[name])
        whole = int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{OWNER}: {name} is no number") from error
    if value != whole:
        raise CheckpointError(f"{OWNER}: {name} is {value}, not a whole number")
    return whole
