"""Published W+ encoders: `{"e": encoder}`, or `{"opts", "state_dict": encoder.* and decoder.*, "latent_avg"}`.

The second kind adds the mean code to the result unless its options say otherwise. Its `decoder.*` is a generator, which
is not read here. Checkpoints of pSp have the same keys but another meaning (rows without a common base): they are
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mien.checkpoints.layers import fill_renamed, irse_name
from mien.checkpoints.renaming import check_tensor, shape_of
from mien.errors import CheckpointError
from mien.inversion.e4e import E4eConfig, E4eEncoder

OWNER = "e4e encoder"
MARKS = {"input_layer.0.weight", "styles.0.linear.weight", "latlayer1.weight"}
ENCODER_TYPE = "Encoder4Editing"
ENCODER_PREFIX, DECODER_PREFIX = "encoder.", "decoder."
LATERALS = {"lateral_middle": "latlayer1", "lateral_fine": "latlayer2"}
KNOWN = {"opts", "state_dict", "latent_avg"}
TRAINING_STATE = {
    "global_step",
    "optimizer",
    "best_val_loss",
    "discriminator_state_dict",
    "discriminator_optimizer_state_dict",
}


def recognise(tree: Any) -> bool:
    """Whether a checkpoint holds an encoder of this layout, of either kind."""
    if not isinstance(tree, Mapping):
        return False
    bare, whole = tree.get("e"), tree.get("state_dict")
    if isinstance(bare, Mapping):
        return set(bare) >= MARKS
    return isinstance(whole, Mapping) and set(whole) >= {ENCODER_PREFIX + mark for mark in MARKS}


def config(tree: Mapping[str, Any]) -> E4eConfig:
    """Number and width of the rows, from names and shapes, and whether the mean code is added.

    Raises:
        CheckpointError: naming the key that is missing or does not fit.
    """
    tensors = _encoder_tensors(tree)
    style_dim = shape_of(OWNER, tensors, "styles.0.linear.weight", 2)[0]
    num_rows = sum(str(key).startswith("styles.") and str(key).endswith(".linear.weight") for key in tensors)
    return E4eConfig(num_rows=num_rows, style_dim=style_dim, add_mean=_adds_mean(tree))


def convert(tree: Mapping[str, Any]) -> E4eEncoder:
    """The encoder of a checkpoint, frozen and in eval mode; float32 weights are shared with the tree.

    Raises:
        CheckpointError: naming the key that is missing, unknown or does not fit; or the file is one of pSp.
    """
    settings = config(tree)
    extra = {"latent_mean": _mean_code(tree.get("latent_avg"), settings)} if settings.add_mean else {}

    def rename(name: str) -> str:
        group, _, rest = name.partition(".")
        if group == "trunk":
            return irse_name(rest, settings.units)
        if group == "heads":
            row, layer, *index, leaf = rest.split(".")
            places = [layer, *(str(2 * int(i)) for i in index)]  # an activation stands between two convolutions
            return ".".join(["styles", row, *places, leaf])
        return f"{LATERALS[group]}.{rest}"

    network = fill_renamed(OWNER, E4eEncoder, settings, rename, _encoder_tensors(tree), extra)
    assert isinstance(network, E4eEncoder)
    return network


def _encoder_tensors(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    is_bare = "e" in tree
    tensors = tree.get("e" if is_bare else "state_dict")
    unknown = sorted(map(str, set(tree) - ({"e"} if is_bare else KNOWN | TRAINING_STATE)))
    if unknown:
        raise CheckpointError(f"{OWNER}: the file has unknown {unknown[0]}")
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{OWNER}: the file has neither e nor a state_dict")
    if is_bare:
        return tensors
    foreign = [str(key) for key in tensors if not str(key).startswith((ENCODER_PREFIX, DECODER_PREFIX))]
    if foreign:
        raise CheckpointError(f"{OWNER}: state_dict has unknown {min(foreign)}")
    start = len(ENCODER_PREFIX)
    return {str(key)[start:]: value for key, value in tensors.items() if str(key).startswith(ENCODER_PREFIX)}


def _adds_mean(tree: Mapping[str, Any]) -> bool:
    if "e" in tree:
        return False
    opts = tree.get("opts", {})
    if not isinstance(opts, Mapping):
        raise CheckpointError(f"{OWNER}: opts is no dictionary")
    kind = opts.get("encoder_type", ENCODER_TYPE)
    if kind != ENCODER_TYPE:
        raise CheckpointError(f"{OWNER}: opts says encoder_type {kind!r}; only {ENCODER_TYPE} is understood")
    return bool(opts.get("start_from_latent_avg", True))


def _mean_code(value: Any, settings: E4eConfig) -> torch.Tensor:
    """`latent_avg`, one row for all or one per row, as (num_rows, style_dim)."""
    if value is None:
        raise CheckpointError(f"{OWNER}: the file lacks latent_avg, which its options want added")
    full = (settings.num_rows, settings.style_dim)
    if isinstance(value, torch.Tensor) and tuple(value.shape) in ((full[1],), (1, full[1])):
        value = value.expand(full)
    check_tensor(OWNER, "latent_avg", value, full)
    return value.detach().to("cpu", torch.float32, copy=True).contiguous()
