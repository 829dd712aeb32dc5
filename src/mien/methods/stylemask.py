"""StyleMask (FG 2023): s_r = m ⊙ s_t + (1 − m) ⊙ s_s, a mask for every channel of the first style vectors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mien.stylegan2 import Styles


@dataclass(frozen=True, kw_only=True)
class StyleMaskConfig:
    """`widths` of the style vectors of the controlled layers: the first styled convs of a generator, in order."""

    widths: tuple[int, ...]


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
