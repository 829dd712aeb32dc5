"""Doubling the resolution of trained networks; everything learned so far is kept."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from mien.stylegan2.config import DiscriminatorConfig
from mien.stylegan2.discriminator import Discriminator
from mien.stylegan2.generator import Generator


def grow_generator(generator: Generator) -> Generator:
    """A generator of twice the resolution whose image is, at first, the up-sampled image of the given one.

    The new ToRGB starts at zero weight. W+ codes gain two rows.
    """
    config = replace(generator.config, resolution=2 * generator.config.resolution)
    grown = Generator(config).to(generator.const.device)
    grown.load_state_dict(generator.state_dict(), strict=False)
    nn.init.zeros_(grown.rgbs[-1].weight)
    return grown


def grow_discriminator(discriminator: Discriminator) -> Discriminator:
    """A discriminator for twice the resolution: one new block in front; the old input layer is dropped."""
    config: DiscriminatorConfig = replace(discriminator.config, resolution=2 * discriminator.config.resolution)
    grown = Discriminator(config).to(discriminator.from_rgb.weight.device)
    shifted: dict[str, torch.Tensor] = {}
    for name, tensor in discriminator.state_dict().items():
        if name.startswith("blocks."):
            _, index, rest = name.split(".", 2)
            shifted[f"blocks.{int(index) + 1}.{rest}"] = tensor
        elif not name.startswith("from_rgb"):
            shifted[name] = tensor
    grown.load_state_dict(shifted, strict=False)
    return grown
