"""Generators and discriminators of stylegan2-ada-pytorch, and of the stylegan3 repository where it builds a stylegan2.

A file holds `{"G_ema": part, "D": part, …}`. A part is a flat state dict, or what `mien.checkpoints.reader` makes of a
network that was pickled as an object: its tensors, and the numbers that every layer keeps of its settings. Weights are
stored raw, as ours are, and transposed convolutions are oriented alike: only names and axes of length one differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from mien.checkpoints.parts import Tensors, fill_network
from mien.checkpoints.renaming import Layout, Shape, channel_rule, shape_of, single_precision, slots_of
from mien.errors import CheckpointError
from mien.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig

OWNER, CRITIC_OWNER = "NVIDIA generator", "NVIDIA discriminator"
GENERATOR_MARKS = {"mapping.fc0.weight", "synthesis.b4.const"}
CRITIC_MARKS = {"b4.conv.weight", "b4.fc.weight", "b4.out.weight"}
ALIAS_FREE_MARKS = ("synthesis.input.", "synthesis.L0_")
MAX_LIMIT = 1e6
FILE_KEYS = {"G", "D", "G_ema", "training_set_kwargs", "augment_pipe"}
LIMIT, GROUP = "conv_clamp", "b4.mbstd.group_size"
LINEAR_LAYERS = (".affine", ".skip", ".out")

# What layers may say of themselves: only these values compute what our networks compute.
LAYER_VALUES: Mapping[str, Any] = {
    "img_channels": 3,
    "c_dim": 0,
    "use_noise": True,
    "num_channels": 1,  # of the minibatch standard deviation
}


class Part(NamedTuple):
    """One network of a file: tensors by name, and settings of its layers by dotted name ({} for a bare state dict)."""

    tensors: Mapping[str, Any]
    attributes: Mapping[str, Any]


def recognise(tree: Any) -> bool:
    """Whether a checkpoint holds a generator of NVIDIA's; some of these `convert` refuses, and says why."""
    if not isinstance(tree, Mapping):
        return False
    names = set(_part(tree.get("G_ema", tree)).tensors)
    return names >= GENERATOR_MARKS or _is_alias_free(names)


def config(tree: Mapping[str, Any]) -> GeneratorConfig:
    """The sizes of the generator from its shapes; the limit of activations from what its layers say.

    Raises:
        CheckpointError: the generator is conditional or alias-free, or a tensor is missing or does not fit.
    """
    part = _generator(tree)
    tensors = part.tensors
    widths = {4: shape_of(OWNER, tensors, "synthesis.b4.const", 3)[0]}
    while f"synthesis.b{2 * max(widths)}.conv0.weight" in tensors:
        finer = 2 * max(widths)
        widths[finer] = shape_of(OWNER, tensors, f"synthesis.b{finer}.conv0.weight", 4)[0]
    base, most = channel_rule(OWNER, widths)
    try:
        return GeneratorConfig(
            resolution=max(widths),
            latent_dim=shape_of(OWNER, tensors, "mapping.fc0.weight", 2)[1],
            style_dim=shape_of(OWNER, tensors, "synthesis.b4.conv1.affine.weight", 2)[1],
            mapping_layers=sum(str(n).startswith("mapping.fc") and str(n).endswith(".weight") for n in tensors),
            channel_base=base,
            channel_max=most,
            activation_limit=_limit(OWNER, part),
        )
    except ValueError as error:
        raise CheckpointError(f"{OWNER}: {error}") from error


def convert(tree: Mapping[str, Any], w_mean: torch.Tensor | None = None) -> Generator:
    """The averaged generator of a file, frozen and in eval mode; w̄ is its `w_avg` unless one is given.

    Args:
        tree: what the file holds, or a flat state dict; not changed, nothing is shared with it.
        w_mean: (D,) centre of truncation.

    Raises:
        CheckpointError: naming the key that is missing, unknown or does not fit, or what our networks cannot compute.
    """
    settings = config(tree)
    tensors = _generator_layout(settings).read(_generator(tree).tensors)
    if w_mean is not None:
        tensors["w_mean"] = single_precision(w_mean).reshape(settings.style_dim)
    generator = fill_network(Generator, settings, tensors)
    assert isinstance(generator, Generator)
    return generator


def export(generator: Generator) -> Tensors:
    """The flat state dict of a generator.

    Raises:
        CheckpointError: the generator has something that this layout cannot express.
    """
    settings = generator.config
    if settings.upsample != "published" or not settings.noise or settings.mapping_lr_multiplier != 0.01:
        raise CheckpointError(f"{OWNER}: needs published up-sampling, noise, and a mapping multiplier of 0.01")
    if settings.row_maps or settings.affine_mapping:
        raise CheckpointError(f"{OWNER}: has no place for row maps or an affine mapping")
    return _generator_layout(settings).write(generator.state_dict())


def discriminator_config(tree: Mapping[str, Any]) -> DiscriminatorConfig:
    """The sizes of the discriminator from its shapes; limit and group size from what its layers say.

    Raises:
        CheckpointError: the discriminator is conditional, or a tensor that is named is missing or does not fit.
    """
    part = _critic(tree)
    widths = {4: shape_of(CRITIC_OWNER, part.tensors, "b4.conv.weight", 4)[0]}
    while f"b{2 * max(widths)}.conv1.weight" in part.tensors:
        finer = 2 * max(widths)
        widths[finer] = shape_of(CRITIC_OWNER, part.tensors, f"b{finer}.conv0.weight", 4)[0]
    base, most = channel_rule(CRITIC_OWNER, widths)
    group = part.attributes.get(GROUP, 4)
    if type(group) is not int or not 1 <= group <= 1024:
        raise CheckpointError(f"{CRITIC_OWNER}: {GROUP} = {group!r} is not a number of samples")
    limit = _limit(CRITIC_OWNER, part)
    try:
        return DiscriminatorConfig(
            resolution=max(widths), channel_base=base, channel_max=most, group_size=group, activation_limit=limit
        )
    except ValueError as error:
        raise CheckpointError(f"{CRITIC_OWNER}: {error}") from error


def convert_discriminator(tree: Mapping[str, Any]) -> Discriminator:
    """The discriminator of a file (`D`) or of a flat state dict, frozen and in eval mode.

    Raises:
        CheckpointError: naming the key that is missing, unknown or does not fit, or what our networks cannot compute.
    """
    settings = discriminator_config(tree)
    network = fill_network(Discriminator, settings, _critic_layout(settings).read(_critic(tree).tensors))
    assert isinstance(network, Discriminator)
    return network


def export_discriminator(discriminator: Discriminator) -> Tensors:
    """The flat state dict of a discriminator."""
    return _critic_layout(discriminator.config).write(discriminator.state_dict())


def _part(value: Any) -> Part:
    if not isinstance(value, Mapping):
        return Part({}, {})
    if isinstance(value.get("state_dict"), Mapping) and isinstance(value.get("attributes"), Mapping):
        return Part(value["state_dict"], value["attributes"])
    return Part(value, {})


def _generator(tree: Mapping[str, Any]) -> Part:
    _check_file(OWNER, tree, "G_ema")
    part = _part(tree.get("G_ema", tree))
    if _is_alias_free(set(part.tensors)):
        raise CheckpointError(
            f"{OWNER}: this is an equivariant (alias-free) stylegan3 generator; only stylegan2 is read"
        )
    _check_settings(OWNER, part, "skip")
    gain = part.attributes.get("mapping.fc0.bias_gain", 0.01)
    if gain != 0.01:
        raise CheckpointError(f"{OWNER}: mapping.fc0.bias_gain = {gain!r} is not read, only 0.01")
    return part


def _critic(tree: Mapping[str, Any]) -> Part:
    _check_file(CRITIC_OWNER, tree, "D")
    part = _part(tree.get("D", tree))
    _check_settings(CRITIC_OWNER, part, "resnet")
    return part


def _check_file(owner: str, tree: Mapping[str, Any], wanted: str) -> None:
    """A file with several networks must have the wanted one and nothing that we do not know."""
    if not set(tree) & FILE_KEYS:
        return
    unknown = sorted(map(str, set(tree) - FILE_KEYS))
    if unknown or wanted not in tree:
        raise CheckpointError(f"{owner}: the file " + (f"has unknown {unknown[0]}" if unknown else f"lacks {wanted}"))


def _check_settings(owner: str, part: Part, architecture: str) -> None:
    """Our networks must compute what the names and settings of the layers say."""
    if any(str(name).startswith("mapping.embed.") for name in part.tensors) or part.attributes.get("c_dim", 0) != 0:
        raise CheckpointError(f"{owner}: conditional networks (c_dim > 0) are not read")
    for name, value in part.attributes.items():
        layer, _, leaf = name.rpartition(".")
        expected = {**LAYER_VALUES, "architecture": architecture, "activation": "lrelu"}
        if leaf == "activation" and layer.endswith(LINEAR_LAYERS):
            expected["activation"] = "linear"
        if leaf in expected and value != expected[leaf]:
            raise CheckpointError(f"{owner}: {name} = {value!r} is not read, only {expected[leaf]!r}")


def _limit(owner: str, part: Part) -> float | None:
    """The one limit of all layers; the shortcuts of a discriminator never have one."""
    names = [
        name for name in part.attributes if name.rpartition(".")[2] == LIMIT and not name.endswith(f"skip.{LIMIT}")
    ]
    limits = {part.attributes[name] for name in names}
    if len(limits) > 1 or not all(v is None or (isinstance(v, (int, float)) and 0 < v < MAX_LIMIT) for v in limits):
        shown = ", ".join(sorted(map(str, limits)))
        raise CheckpointError(f"{owner}: {LIMIT} must be one positive number for all layers, not {shown}")
    limit = next(iter(limits), None)
    return None if limit is None else float(limit)


def _is_alias_free(names: set[Any]) -> bool:
    return any(str(name).startswith(ALIAS_FREE_MARKS) for name in names)


def _generator_layout(settings: GeneratorConfig) -> Layout:
    slots = slots_of(Generator, settings, _generator_name)
    convs = [slot.theirs.removesuffix("noise_const") for slot in slots if slot.theirs.endswith("noise_const")]
    owners = [f"synthesis.b{r}." for r in settings.resolutions] + convs
    return Layout(OWNER, slots, {f"{owner}resample_filter": 1.0 for owner in owners})


def _generator_name(name: str, shape: Shape) -> tuple[str, Shape]:
    group, _, rest = name.partition(".")
    if group in ("const", "w_mean"):
        return ("synthesis.b4.const", shape[1:]) if group == "const" else ("mapping.w_avg", shape)
    index, _, leaf = rest.partition(".")
    number = int(index)
    if group == "mapping_layers":
        return f"mapping.fc{number}.{leaf}", shape
    if group == "rgbs":
        return f"synthesis.b{4 << number}.torgb.{leaf}", shape
    layer = f"synthesis.b{4 << (number + 1) // 2}.conv{(number + 1) % 2}"
    return f"{layer}.{'noise_const' if leaf == 'noise' else leaf}", shape


def _critic_layout(settings: DiscriminatorConfig) -> Layout:
    def rename(name: str, shape: Shape) -> tuple[str, Shape]:
        owner, _, leaf = name.rpartition(".")
        if owner.startswith("blocks."):
            _, index, layer = owner.split(".")
            return f"b{settings.resolution >> int(index)}.{layer}.{leaf}", shape
        finest = f"b{settings.resolution}.fromrgb"
        places = {"from_rgb": finest, "final_conv": "b4.conv", "hidden": "b4.fc", "logit": "b4.out"}
        return f"{places[owner]}.{leaf}", shape

    slots = slots_of(Discriminator, settings, rename)
    layers = [slot.theirs.removesuffix("weight") for slot in slots if slot.theirs.endswith("weight")]
    blocks = {layer.split(".")[0] + "." for layer in layers}
    owners = {layer for layer in layers if not layer.startswith("b4.")} | (blocks - {"b4."}) | {"b4.conv."}
    return Layout(CRITIC_OWNER, slots, {f"{owner}resample_filter": 1.0 for owner in sorted(owners)})
