"""Larger versions of trained networks: twice the resolution, or more channels; everything learned so far is kept."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mien.stylegan2.config import DiscriminatorConfig
from mien.stylegan2.discriminator import Discriminator
from mien.stylegan2.generator import Generator


def grow_generator(generator: Generator, channel_min: int | None = None) -> Generator:
    """A generator of twice the resolution whose image is, at first, the up-sampled image of the given one.

    The new ToRGB starts at zero weight. W+ codes gain two rows, which `broadcast` fills like the last one.

    Args:
        generator: the smaller one.
        channel_min: of the larger one (see `GeneratorConfig`); None keeps that of the given one.

    Raises:
        ValueError: with that `channel_min` layers that are there already would become wider.
    """
    config = replace(generator.config, resolution=2 * generator.config.resolution)
    if channel_min is not None:
        config = replace(config, channel_min=channel_min)
    if any(config.channels(r) != generator.config.channels(r) for r in generator.config.resolutions):
        raise ValueError(f"at least {channel_min} channels would widen layers that are there already")
    grown = Generator(config).to(generator.const.device)
    state = generator.state_dict()
    for name in ("row_weight", "row_bias"):
        if name in state:
            state[name] = torch.cat([state[name], state[name][-1:], state[name][-1:]])
    grown.load_state_dict(state, strict=False)
    nn.init.zeros_(grown.rgbs[-1].weight)
    return grown


@torch.no_grad()
def widen_generator(generator: Generator, channel_base: int) -> Generator:
    """A generator of more channels that draws, at first, exactly the same pictures.

    New channels start at random, and nothing reads them yet: the weights from them to old channels and to the picture
    are zero. Demodulation sums squares of weights, so old channels keep their scale.

    Args:
        generator: the narrower one.
        channel_base: of the wider one, at least that of the given one (see `GeneratorConfig`).

    Raises:
        ValueError: it would become narrower somewhere.
    """
    wide = Generator(replace(generator.config, channel_base=channel_base)).to(generator.const.device)
    narrow = generator.state_dict()
    for name, tensor in wide.state_dict().items():
        old = narrow[name]
        if any(a < b for a, b in zip(tensor.shape, old.shape, strict=True)):
            raise ValueError(f"channel base {channel_base} is narrower than {generator.config.channel_base}")
        if name.endswith("bias") and ".affine." not in name:
            tensor.zero_()
        if tensor.ndim == 4 and name.endswith(".weight"):
            tensor[: old.shape[0], old.shape[1] :] = 0
        tensor[tuple(slice(size) for size in old.shape)] = old
    for now, before in zip(wide.rgbs, generator.rgbs, strict=True):
        now.weight.mul_(before.scale / now.scale)  # colours are not demodulated
    return wide


def grow_discriminator(discriminator: Discriminator) -> Discriminator:
    """A discriminator for twice the resolution: one new block in front; the old input layer is dropped."""
    config: DiscriminatorConfig = replace(discriminator.config, resolution=2 * discriminator.config.resolution)
    grown = Discriminator(config).to(discriminator.from_rgb.weight.device)
    grown.load_state_dict(behind_new_block(discriminator.state_dict()), strict=False)
    return grown


def behind_new_block(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights of a down-sampling trunk (`from_rgb`, `blocks`, …) as those of one with one more block in front.

    The old input layer is dropped; what the new block and the new input layer start with is up to the caller.
    """
    shifted: dict[str, torch.Tensor] = {}
    for name, tensor in state.items():
        if name.startswith("blocks."):
            _, index, rest = name.split(".", 2)
            shifted[f"blocks.{int(index) + 1}.{rest}"] = tensor
        elif not name.startswith("from_rgb"):
            shifted[name] = tensor
    return shifted
