"""StyleMask (FG 2023): s_r = m ⊙ s_t + (1 − m) ⊙ s_s, a mask for every channel of the first style vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mien.stylegan2 import Generator, Styles

TOP_RESOLUTION = 128
"""Layers up to here are controlled unless told otherwise; at 1024² the authors control one more."""


@dataclass(frozen=True, kw_only=True)
class StyleMaskConfig:
    """`widths` of the style vectors of the controlled layers: the first styled convs of a generator, in order."""

    widths: tuple[int, ...]


def controlled_layers(generator: Generator, num_layers: int | None = None) -> StyleMaskConfig:
    """Sizes of mask networks for the first styled convs of a generator.

    Args:
        num_layers: how many; None takes all up to 128².

    Raises:
        ValueError: the generator has fewer layers, or none is asked for.
    """
    widths = tuple(layer.affine.weight.shape[0] for layer in generator.convs)
    fitting = len([size for size in generator.config.resolutions if size <= TOP_RESOLUTION])
    count = 2 * fitting - 1 if num_layers is None else num_layers
    if not 1 <= count <= len(widths):
        raise ValueError(f"{count} layers cannot be controlled: this generator has {len(widths)}")
    return StyleMaskConfig(widths=widths[:count])


class MaskNetworks(nn.Module):
    """One network per controlled layer: m = sigmoid(Linear(ReLU(Linear(s_s − s_t)))), weights N(0, 0.01²).

    The other layers and every ToRGB layer keep the style of the source.
    """

    def __init__(self, config: StyleMaskConfig) -> None:
        super().__init__()
        self.config = config
        self.networks = nn.ModuleList(
            nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)) for width in config.widths
        )
        for name, weight in self.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(weight, std=0.01)

    def first(self, count: int) -> MaskNetworks:
        """Networks that share the weights of these and control only the first `count` layers.

        Raises:
            ValueError: there are fewer, or none is asked for.
        """
        if not 1 <= count <= len(self.networks):
            raise ValueError(f"{count} layers cannot be controlled: these networks know {len(self.networks)}")
        with torch.device("meta"):
            made = MaskNetworks(StyleMaskConfig(widths=self.config.widths[:count]))
        made.networks = self.networks[:count]
        return made.train(self.training)

    def masks(self, source: Styles, target: Styles) -> tuple[torch.Tensor, ...]:
        """Masks (B, width) in 0…1 of the controlled layers; 1 takes the channel from the target.

        Raises:
            ValueError: the styles have other widths than the networks.
        """
        widths = tuple(style.shape[1] for style in source.conv[: len(self.networks)])
        if widths != self.config.widths:
            raise ValueError(f"styles of widths {widths} do not fit mask networks of widths {self.config.widths}")
        pairs = zip(self.networks, source.conv, target.conv, strict=False)
        return tuple(torch.sigmoid(network(ours - theirs)) for network, ours, theirs in pairs)

    def mix(self, source: Styles, target: Styles) -> Styles:
        """The source's identity in the target's pose and expression.

        Args:
            source, target: styles of the same generator, batches of equal size.

        Raises:
            ValueError: the styles have other widths than the networks.
        """
        masks = self.masks(source, target)
        mixed = [mask * theirs + (1 - mask) * ours for mask, ours, theirs in zip(masks, source.conv, target.conv)]
        return Styles((*mixed, *source.conv[len(masks) :]), source.rgb)

    def forward(self, source: Styles, target: Styles) -> Styles:
        return self.mix(source, target)
