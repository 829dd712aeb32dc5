"""Feature-space refinement: what a code cannot say, added to one feature map of the generator (METHODS section 3).

A feature encoder compares a picture with its inversion and predicts Δf, so that f + Δf draws the picture. Δf lies where
the source's head was. A feature transformer therefore carries it along when the head moves: it reads how the features
changed, warps Δf by a flow, and lessens or strengthens it where the new pose asks for that. At rest it changes nothing.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, fields, replace

import torch
from torch import nn
from torch.nn import functional as F

from mien.images import shrink_to
from mien.stylegan2 import GeneratorConfig, Trace
from mien.stylegan2.discriminator import ResidualDown
from mien.stylegan2.layers import EqualConv
from mien.stylegan2.ops import upsample


@dataclass(frozen=True, kw_only=True)
class FeatureConfig:
    """Which feature map is refined, and how large the networks are.

    Attributes:
        resolution: side of the feature map: that of the last styled convolution there.
        channels: its width.
        picture: side at which pictures are compared; `resolution` times a power of two.
        width: of the inner layers of both networks.
        depth: convolutions of the encoder at the side of the map.
        copies: leave Δf where the source's head was: the published failure, for comparison. None means no.
    """

    resolution: int = 32
    channels: int = 128
    picture: int = 128
    width: int = 48
    depth: int = 3
    copies: bool | None = None

    def __post_init__(self) -> None:
        factor = self.picture // max(1, self.resolution)
        if factor < 1 or factor & (factor - 1) or factor * self.resolution != self.picture:
            raise ValueError(f"pictures of {self.picture} cannot be halved to maps of {self.resolution}")
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise ValueError(f"the feature map's side must be a power of two of at least 8, not {self.resolution}")

    @property
    def layer(self) -> str:
        """Name of the map in `mien.stylegan2.Trace`: the last styled convolution of its side."""
        return f"conv{2 * int(math.log2(self.resolution)) - 4}"


def feature_config(generator: GeneratorConfig, resolution: int, width: int = 48) -> FeatureConfig:
    """The configuration that fits a generator.

    Raises:
        ValueError: the generator has no feature map of that side, or it is smaller than 8.
    """
    if resolution not in generator.resolutions:
        raise ValueError(f"a generator of {generator.resolution} pixels has no feature map of side {resolution}")
    channels = generator.channels(resolution)
    return FeatureConfig(resolution=resolution, channels=channels, picture=generator.resolution, width=width)


class FeatureEncoder(nn.Module):
    """E_F: picture and inversion (B, 3, S, S) → Δf (B, C, R, R). Starts at Δf = 0; equal pictures need not give it."""

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        halvings = int(math.log2(config.picture // config.resolution))
        self.read = EqualConv(6, width, 3)
        self.down = nn.ModuleList(ResidualDown(width, width) for _ in range(halvings))
        self.inner = nn.ModuleList(EqualConv(width, width, 3) for _ in range(config.depth))
        self.write = EqualConv(width, config.channels, 3, act=False)
        nn.init.zeros_(self.write.weight)

    def forward(self, picture: torch.Tensor, inversion: torch.Tensor) -> torch.Tensor:
        picture, inversion = (shrink_to(x, self.config.picture) for x in (picture, inversion))
        x = self.read(torch.cat([picture, picture - inversion], 1).contiguous(memory_format=torch.channels_last))
        for block in self.down:
            x = block(x)
        for layer in self.inner:
            x = (x + layer(x)) * math.sqrt(0.5)
        return self.write(x)


class FeatureTransformer(nn.Module):
    """FT: Δf, the source's f and the moved f, each (B, C, R, R) → Δf as the moved face needs it.

    FT(Δf) = 2σ(n_m) ⊙ warp(Δf, ½·tanh(n_xy)), with n = N(Δf, f, f_moved) − N(Δf, f, f): a face that does not move keeps
    its Δf exactly, whatever N is. N sees the map at its own side, at half and at a quarter of it.
    """

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.read = EqualConv(3 * config.channels, width, 1)
        self.down = nn.ModuleList(ResidualDown(width, width) for _ in range(2))
        self.up = nn.ModuleList(EqualConv(width, width, 3) for _ in range(2))
        self.write = EqualConv(width, 3, 3, act=False)
        nn.init.zeros_(self.write.weight)

    def rest(self, delta: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """N(Δf, f, f), which is the same for all frames of a source: (B, 3, R, R)."""
        return self._network(delta, source, source)

    def field(
        self, delta: torch.Tensor, source: torch.Tensor, moved: torch.Tensor, rest: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The flow (B, 2, R, R), (x, y) in half sides of the map, and the factors (B, 1, R, R) in 0…2.

        Args:
            delta, source, moved: as `forward`.
            rest: what `rest` gave for the source; None computes it.
        """
        rest = self.rest(delta, source) if rest is None else rest
        raw = (self._network(delta, source, moved) - rest).float()
        return 0.5 * raw[:, :2].tanh(), 2 * raw[:, 2:].sigmoid()

    def forward(
        self, delta: torch.Tensor, source: torch.Tensor, moved: torch.Tensor, rest: torch.Tensor | None = None
    ) -> torch.Tensor:
        if self.config.copies:
            return delta.expand_as(moved)
        flow, factor = self.field(delta, source, moved, rest)
        return factor * warp(delta.float(), flow)

    def _network(self, delta: torch.Tensor, source: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        x = self.read(torch.cat([delta.to(moved.dtype), source.to(moved.dtype), moved], 1))
        maps = [x]
        for block in self.down:
            maps.append(block(maps[-1]))
        x = maps[-1]
        for layer, finer in zip(self.up, reversed(maps[:-1]), strict=True):
            x = (layer(upsample(x)) + finer) * math.sqrt(0.5)
        return self.write(x)


def warp(features: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Sample maps (B, C, H, W) at each place plus flow (B, 2, H, W): (x, y) in half sides; zero outside, bilinear."""
    batch, _, height, width = features.shape
    axes = [(2 * torch.arange(n, device=flow.device, dtype=flow.dtype) + 1) / n - 1 for n in (height, width)]
    y, x = torch.meshgrid(*axes, indexing="ij")
    places = torch.stack([x, y], -1).expand(batch, -1, -1, -1) + flow.permute(0, 2, 3, 1)
    return F.grid_sample(features, places, padding_mode="zeros", align_corners=False)


@dataclass(frozen=True)
class FeatureShift:
    """What refinement knows of B sources, found once: Δf and f (B, C, R, R), and N at rest (B, 3, R, R)."""

    delta: torch.Tensor
    source: torch.Tensor
    rest: torch.Tensor

    def expand(self, count: int) -> FeatureShift:
        """The shift of one source for `count` frames."""
        return FeatureShift(*(getattr(self, f.name).expand(count, -1, -1, -1) for f in fields(self)))


class FeatureRefiner(nn.Module):
    """E_F and FT for one feature map of a generator."""

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = FeatureEncoder(config)
        self.transformer = FeatureTransformer(config)

    def find(self, picture: torch.Tensor, inversion: torch.Tensor, source: torch.Tensor) -> FeatureShift:
        """Δf of sources.

        Args:
            picture, inversion: (B, 3, S, S) in [−1, 1], the source and what its code draws.
            source: (B, C, R, R) the feature map of that drawing, which `reading` keeps.
        """
        delta = self.encoder(picture, inversion)
        return FeatureShift(delta, source, self.transformer.rest(delta, source))

    def reading(self) -> Trace:
        """A trace that keeps the feature map; `kept` gives it after the pass."""
        return Trace(read=(self.config.layer,))

    def kept(self, trace: Trace) -> torch.Tensor:
        """The feature map (B, C, R, R) that a trace of `reading` kept."""
        assert trace.features is not None
        return trace.features[self.config.layer]

    def at_rest(self, delta: torch.Tensor) -> Trace:
        """A trace that draws the sources themselves: f + Δf."""
        return Trace(change={self.config.layer: lambda f: f + delta}, by_sample=len(delta) == 1)

    def moving(self, shift: FeatureShift) -> Trace:
        """A trace that draws sources as their codes moved: f + FT(Δf). A shift of one source serves any batch."""

        def change(moved: torch.Tensor) -> torch.Tensor:
            own = shift.expand(len(moved)) if len(shift.delta) == 1 else shift
            return moved + self.transformer(own.delta, own.source, moved, own.rest)

        return Trace(change={self.config.layer: change}, by_sample=len(shift.delta) == 1)


def copying(refiner: FeatureRefiner) -> FeatureRefiner:
    """The same refiner, but Δf stays where the source's head was."""
    other = FeatureRefiner(replace(refiner.config, copies=True))
    other.load_state_dict(copy.deepcopy(refiner.state_dict()))
    return other.requires_grad_(False).eval().to(next(refiner.parameters()).device)
