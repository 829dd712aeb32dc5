"""The PyTorch port of StyleGAN2 by rosinality, the layout of most published face generators.

A file holds `{"g_ema": generator, "latent_avg"?: w̄}`, perhaps beside the state of its training, or a bare state dict.
Weights are stored raw, as ours are; only names and axes of length one differ. Sizes are read off the shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mien.checkpoints.parts import Tensors, fill_network
from mien.checkpoints.renaming import (
    Layout,
    Shape,
    channel_rule,
    check_tensor,
    shape_of,
    single_precision,
    slots_of,
)
from mien.errors import CheckpointError
from mien.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig

OWNER, CRITIC_OWNER = "rosinality generator", "rosinality discriminator"
GENERATOR_MARKS = {"input.input", "conv1.conv.weight", "to_rgb1.conv.weight"}
CRITIC_MARKS = {"convs.0.0.weight", "final_conv.0.weight", "final_linear.1.weight"}
TRAINING_STATE = {"g", "d", "g_optim", "d_optim", "args", "ada_aug_p"}
NUM_MEAN_SAMPLES, MEAN_SEED = 10_000, 0


def recognise(tree: Any) -> bool:
    """Whether a checkpoint holds a generator of this layout."""
    return isinstance(tree, Mapping) and (_is_generator(tree) or _is_generator(tree.get("g_ema")))


def config(tree: Mapping[str, Any]) -> GeneratorConfig:
    """The sizes of the generator, from shapes alone.

    Raises:
        CheckpointError: naming the tensor that is missing or does not fit.
    """
    tensors = _generator_tensors(tree)
    style_dim = shape_of(OWNER, tensors, "conv1.conv.modulation.weight", 2)[1]
    latent_dim = shape_of(OWNER, tensors, "style.1.weight", 2)[1]
    widths = {4: shape_of(OWNER, tensors, "input.input", 4)[1]}
    for block in range(_count(tensors, "to_rgbs.", ".upsample.kernel")):
        widths[8 << block] = shape_of(OWNER, tensors, f"convs.{2 * block}.conv.weight", 5)[1]
    base, most = channel_rule(OWNER, widths)
    try:
        return GeneratorConfig(
            resolution=max(widths),
            latent_dim=latent_dim,
            style_dim=style_dim,
            mapping_layers=_count(tensors, "style.", ".weight"),
            channel_base=base,
            channel_max=most,
        )
    except ValueError as error:
        raise CheckpointError(f"{OWNER}: {error}") from error


def convert(tree: Mapping[str, Any], w_mean: torch.Tensor | None = None) -> Generator:
    """The generator of a checkpoint, frozen and in eval mode.

    Args:
        tree: what the file holds; not changed, nothing is shared with it.
        w_mean: (D,) centre of truncation w̄; if None `latent_avg` of the file, or, if there is none, the mean of the
            mapping network over 10,000 latents of a fixed seed.

    Raises:
        CheckpointError: naming the key that is missing, unknown or does not fit.
    """
    settings = config(tree)
    tensors = _generator_layout(settings).read(_generator_tensors(tree))
    if w_mean is None and "latent_avg" in tree:
        w_mean = _stored_mean(tree["latent_avg"], settings.style_dim)
    elif w_mean is not None:
        w_mean = single_precision(w_mean).reshape(settings.style_dim)
    tensors["w_mean"] = torch.zeros(settings.style_dim) if w_mean is None else w_mean
    generator = fill_network(Generator, settings, tensors)
    assert isinstance(generator, Generator)
    if w_mean is None:
        generator.w_mean.copy_(estimated_mean(generator))
    return generator


def export(generator: Generator, has_mean: bool = True) -> dict[str, Any]:
    """The checkpoint tree `{"g_ema": …, "latent_avg": …}` of a generator; `latent_avg` only with `has_mean`.

    Raises:
        CheckpointError: the generator has something that this layout cannot express.
    """
    settings = generator.config
    if settings.upsample != "published" or not settings.noise or settings.mapping_lr_multiplier != 0.01:
        raise CheckpointError(f"{OWNER}: needs published up-sampling, noise, and a mapping multiplier of 0.01")
    if settings.row_maps or settings.affine_mapping:
        raise CheckpointError(f"{OWNER}: has no place for row maps or an affine mapping")
    state = generator.state_dict()
    tree: dict[str, Any] = {"g_ema": _generator_layout(settings).write(state)}
    return tree | {"latent_avg": single_precision(state["w_mean"])} if has_mean else tree


@torch.no_grad()
def estimated_mean(generator: Generator, count: int = NUM_MEAN_SAMPLES) -> torch.Tensor:
    """(D,) mean of w over `count` latents; always the same latents."""
    source = torch.Generator().manual_seed(MEAN_SEED)
    z = torch.randn(count, generator.config.latent_dim, generator=source)
    return generator.mapping(z.to(generator.const.device)).mean(0)


def discriminator_config(tree: Mapping[str, Any]) -> DiscriminatorConfig:
    """The sizes of the discriminator, from shapes alone; its groups always have four samples.

    Raises:
        CheckpointError: naming the tensor that is missing or does not fit.
    """
    tensors = _critic_tensors(tree)
    num_blocks = _count(tensors, "convs.", ".conv1.0.weight")
    widths = {4 << num_blocks: shape_of(CRITIC_OWNER, tensors, "convs.0.0.weight", 4)[0]}
    for block in range(1, num_blocks + 1):
        widths[4 << num_blocks - block] = shape_of(CRITIC_OWNER, tensors, f"convs.{block}.conv2.1.weight", 4)[0]
    base, most = channel_rule(CRITIC_OWNER, widths)
    try:
        return DiscriminatorConfig(resolution=max(widths), channel_base=base, channel_max=most)
    except ValueError as error:
        raise CheckpointError(f"{CRITIC_OWNER}: {error}") from error


def convert_discriminator(tree: Mapping[str, Any]) -> Discriminator:
    """The discriminator of a training checkpoint (`d`) or of a bare state dict, frozen and in eval mode.

    Raises:
        CheckpointError: naming the key that is missing, unknown or does not fit.
    """
    settings = discriminator_config(tree)
    network = fill_network(Discriminator, settings, _critic_layout(settings).read(_critic_tensors(tree)))
    assert isinstance(network, Discriminator)
    return network


def export_discriminator(discriminator: Discriminator) -> Tensors:
    """The state dict that stands under `d` in a training checkpoint."""
    return _critic_layout(discriminator.config).write(discriminator.state_dict())


def _is_generator(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) >= GENERATOR_MARKS


def _generator_tensors(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    if "g_ema" not in tree:
        return {name: value for name, value in tree.items() if name != "latent_avg"}
    unknown = sorted(set(tree) - TRAINING_STATE - {"g_ema", "latent_avg"})
    if unknown or not isinstance(tree["g_ema"], Mapping):
        what = f"has unknown {unknown[0]}" if unknown else "has a g_ema that is no state dict"
        raise CheckpointError(f"{OWNER}: the file {what}")
    return tree["g_ema"]


def _critic_tensors(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    tensors = tree if set(tree) >= CRITIC_MARKS else tree.get("d")
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{CRITIC_OWNER}: the file lacks d")
    return tensors


def _count(tensors: Mapping[str, Any], start: str, end: str) -> int:
    return sum(isinstance(name, str) and name.startswith(start) and name.endswith(end) for name in tensors)


def _stored_mean(value: Any, style_dim: int) -> torch.Tensor:
    flat = value[0] if isinstance(value, torch.Tensor) and value.ndim == 2 and len(value) == 1 else value
    check_tensor(OWNER, "latent_avg", flat, (style_dim,))
    return single_precision(flat)


def _generator_layout(settings: GeneratorConfig) -> Layout:
    slots = [s for s in slots_of(Generator, settings, _generator_name) if s.ours != "w_mean"]
    num_blocks = len(settings.resolutions) - 1
    filters = {f"convs.{2 * i}.conv.blur.kernel": 4.0 for i in range(num_blocks)}
    filters |= {f"to_rgbs.{i}.upsample.kernel": 4.0 for i in range(num_blocks)}
    return Layout(OWNER, tuple(slots), filters)


def _generator_name(name: str, shape: Shape) -> tuple[str, Shape]:
    group, _, rest = name.partition(".")
    if group in ("const", "w_mean"):
        return "input.input", shape
    index, _, leaf = rest.partition(".")
    number = int(index)
    if group == "mapping_layers":
        return f"style.{number + 1}.{leaf}", shape
    if group == "convs":
        owner = f"convs.{number - 1}" if number else "conv1"
        special = {"noise": (f"noises.noise_{number}", (1, 1, *shape)), "bias": (f"{owner}.activate.bias", shape)}
    else:
        owner = f"to_rgbs.{number - 1}" if number else "to_rgb1"
        special = {"bias": (f"{owner}.bias", (1, *shape, 1, 1))}
    special |= {"noise_strength": (f"{owner}.noise.weight", (1,)), "weight": (f"{owner}.conv.weight", (1, *shape))}
    return special.get(leaf) or (f"{owner}.conv.{leaf.replace('affine', 'modulation')}", shape)


def _critic_layout(settings: DiscriminatorConfig) -> Layout:
    slots = slots_of(Discriminator, settings, _critic_name)
    num_blocks = sum(slot.ours.endswith("skip.weight") for slot in slots)
    layers = [f"convs.{i + 1}.{layer}.0.kernel" for i in range(num_blocks) for layer in ("conv2", "skip")]
    return Layout(CRITIC_OWNER, slots, dict.fromkeys(layers, 1.0))


def _critic_name(name: str, shape: Shape) -> tuple[str, Shape]:
    owner, _, leaf = name.rpartition(".")
    is_bias = int(leaf == "bias")
    if owner.startswith("blocks."):
        _, index, layer = owner.split(".")
        place = {"conv0": f"conv1.{is_bias}", "conv1": f"conv2.{1 + is_bias}", "skip": "skip.1"}[layer]
        return f"convs.{int(index) + 1}.{place}.{leaf}", shape
    places = {
        "from_rgb": f"convs.0.{is_bias}",
        "final_conv": f"final_conv.{is_bias}",
        "hidden": "final_linear.0",
        "logit": "final_linear.1",
    }
    return f"{places[owner]}.{leaf}", shape
