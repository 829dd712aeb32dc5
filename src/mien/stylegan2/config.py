"""Sizes of the networks. A configuration and a state dict are all that is needed to rebuild one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


def _check_resolution(resolution: int) -> None:
    if resolution < 8 or resolution & (resolution - 1):
        raise ValueError(f"resolution must be a power of two of at least 8, not {resolution}")


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Sizes of a StyleGAN2 generator; channels(r) = max(min(channel_base / r, channel_max), channel_min).

    The published 256² weights use channel_base 16384 (multiplier 1), the 1024² weights 32768 (multiplier 2), both
    channel_max 512. `upsample` orders the up-sampling convolution: "published" convolves on the fine grid
    (transposed convolution, then filter), "coarse" convolves on the coarse grid and then filters, which is cheaper.
    `activation_limit` clips what every layer puts out to ± that value; networks trained in half precision need it.
    `channel_min` keeps the finest layers of narrow generators from becoming too narrow to draw with; None: no least.
    With `row_maps` a code w becomes a W+ code by an affine map for each row instead of repetition
    (`Generator.broadcast`): for generators that learned from W+ codes whose rows differ. With `affine_mapping` the
    mapping network is one layer without a non-linearity, so that w is normally distributed.
    """

    resolution: int = 256
    latent_dim: int = 512
    style_dim: int = 512
    mapping_layers: int = 8
    mapping_lr_multiplier: float = 0.01
    channel_base: int = 16384
    channel_max: int = 512
    noise: bool = True
    upsample: Literal["published", "coarse"] = "published"
    activation_limit: float | None = None
    channel_min: int | None = None
    row_maps: bool | None = None
    affine_mapping: bool | None = None

    def __post_init__(self) -> None:
        _check_resolution(self.resolution)
        if self.affine_mapping and self.mapping_layers != 1:
            raise ValueError(f"an affine mapping is one layer, not {self.mapping_layers}")

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, …, resolution."""
        return tuple(2**i for i in range(2, int(math.log2(self.resolution)) + 1))

    @property
    def num_rows(self) -> int:
        """Rows of a W+ code: 2·log2(resolution) − 2."""
        return 2 * len(self.resolutions)

    def channels(self, resolution: int) -> int:
        """Width of the feature maps at a resolution."""
        return max(min(self.channel_base // resolution, self.channel_max), self.channel_min or 0)


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Sizes of the residual StyleGAN2 discriminator; channels(r) = min(channel_base / r, channel_max).

    `activation_limit` clips what every activation puts out to ± that value; shortcuts have none.
    """

    resolution: int = 256
    channel_base: int = 16384
    channel_max: int = 512
    group_size: int = 4
    activation_limit: float | None = None

    def __post_init__(self) -> None:
        _check_resolution(self.resolution)

    def channels(self, resolution: int) -> int:
        """Width of the feature maps at a resolution."""
        return min(self.channel_base // resolution, self.channel_max)
