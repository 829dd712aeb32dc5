"""Feature-space refinement: what a code cannot say, added to one feature map of the generator (METHODS section 3).

A feature encoder compares a picture with its inversion and predicts Δf, so that f + Δf draws the picture. Δf lies where
the source's head was. A feature transformer therefore carries it along when the head moves: it reads how the features
changed, warps Δf by a flow, and lessens or strengthens it where the new pose asks for that. At rest it changes nothing.
Convolutions see only so far, and heads that turn move farther. The flow therefore begins with soft matches between all
places of both maps, on a coarse grid.

A cell of a map of 64² is four pixels of a picture of 256², and what is finer blurs when it is carried by half a cell.
So a map of twice the side may be refined as well; what is added there goes along with the same flow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from mien.images import shrink_to
from mien.inversion.flow import Matching, Tracing, warp
from mien.stylegan2 import GeneratorConfig, Trace
from mien.stylegan2.discriminator import ResidualDown
from mien.stylegan2.layers import EqualConv
from mien.stylegan2.ops import upsample

SHUT = -5.0
"""Logit of a share of less than a hundredth."""


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
        matching: width of the descriptions by which places of two maps are matched. None matches nothing: the flow
            comes from convolutions alone.
        fold: pictures are read in squares of this side, each a place with as many channels, so that fine ones cost no
            more than coarse ones. None means single pixels.
        fine: width of the generator's map of twice the side where that is refined, too; None refines one map.
        fills: add to the carried Δf what the moved face shows and the source did not: teeth behind lips that part,
            lids that close. None carries Δf alone.
        tracing: width of the networks that correct the flow along itself (`mien.inversion.flow.Tracing`). None leaves
            it as matching and convolutions give it.
        blends: carry the source's map, too, and put it in the place of the moved one as far as a share says that the
            transformer finds place by place. None adds to the moved map alone.
    """

    resolution: int = 32
    channels: int = 128
    picture: int = 128
    width: int = 48
    depth: int = 3
    copies: bool | None = None
    matching: int | None = None
    fills: bool | None = None
    fold: int | None = None
    fine: int | None = None
    tracing: int | None = None
    blends: bool | None = None

    def __post_init__(self) -> None:
        factor = self.picture // max(1, self.resolution)
        if factor < 1 or factor & (factor - 1) or factor * self.resolution != self.picture:
            raise ValueError(f"pictures of {self.picture} cannot be halved to maps of {self.resolution}")
        if self.fold is not None and (self.fold < 1 or factor % self.fold):
            raise ValueError(f"maps of {self.resolution} need all of {self.picture} pixels in squares of {self.fold}")
        if self.fine is not None and factor // (self.fold or 1) < 2:
            raise ValueError(f"maps of {2 * self.resolution} need pictures that are read in as many squares")
        if self.resolution < 8 or self.resolution & (self.resolution - 1):
            raise ValueError(f"the feature map's side must be a power of two of at least 8, not {self.resolution}")

    @property
    def layer(self) -> str:
        """Name of the map in `mien.stylegan2.Trace`: the last styled convolution of its side."""
        return f"conv{2 * int(math.log2(self.resolution)) - 4}"

    @property
    def fine_layer(self) -> str:
        """Name of the map of twice the side."""
        return f"conv{2 * int(math.log2(self.resolution)) - 2}"

    @property
    def num_added(self) -> int:
        """Channels D of Δf: those of the map, then those of four cells of the map of twice the side."""
        return self.channels + 4 * (self.fine or 0)


def feature_config(
    generator: GeneratorConfig, resolution: int, width: int = 48, matching: int | None = None
) -> FeatureConfig:
    """The configuration that fits a generator.

    Raises:
        ValueError: the generator has no feature map of that side, or it is smaller than 8.
    """
    if resolution not in generator.resolutions:
        raise ValueError(f"a generator of {generator.resolution} pixels has no feature map of side {resolution}")
    channels = generator.channels(resolution)
    return FeatureConfig(
        resolution=resolution, channels=channels, picture=generator.resolution, width=width, matching=matching
    )


class FeatureEncoder(nn.Module):
    """E_F: picture and inversion (B, 3, S, S) → Δf (B, D, R, R). Starts at Δf = 0; equal pictures need not give it."""

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        fold = config.fold or 1
        halvings = int(math.log2(config.picture // fold // config.resolution))
        self.read = EqualConv(6 * fold**2, width, 3)
        self.down = nn.ModuleList(ResidualDown(width, width) for _ in range(halvings))
        self.inner = nn.ModuleList(EqualConv(width, width, 3) for _ in range(config.depth))
        self.write = EqualConv(width, config.channels, 3, act=False)
        nn.init.zeros_(self.write.weight)
        if config.fine is not None:
            self.inner_fine = EqualConv(width, width, 3)
            self.write_fine = EqualConv(width, config.fine, 3, act=False)
            nn.init.zeros_(self.write_fine.weight)

    def forward(self, picture: torch.Tensor, inversion: torch.Tensor) -> torch.Tensor:
        picture, inversion = (shrink_to(x, self.config.picture) for x in (picture, inversion))
        both = F.pixel_unshuffle(torch.cat([picture, picture - inversion], 1), self.config.fold or 1)
        x = finer = self.read(both.contiguous(memory_format=torch.channels_last))
        for block in self.down:
            x, finer = block(x), x
        for layer in self.inner:
            x = (x + layer(x)) * math.sqrt(0.5)
        delta = self.write(x)
        if self.config.fine is None:
            return delta
        fine = self.write_fine((self.inner_fine(finer) + upsample(x)) * math.sqrt(0.5))
        return torch.cat([delta, F.pixel_unshuffle(fine, 2)], 1)


class Field(NamedTuple):
    """How Δf is carried, on the map's own places.

    Attributes:
        flow: (B, 2, R, R), (x, y) in half sides of the map.
        factors: (B, 1 or 2, R, R) in 0…2, of Δf; the second one is that of the map of twice the side.
        share: (B, 1, R, R) in 0…1, how much of the moved map the carried one replaces; no channels where it does not.
        added: (B, C, R, R) what is added; no channels where nothing is.
    """

    flow: torch.Tensor
    factors: torch.Tensor
    share: torch.Tensor
    added: torch.Tensor


class FeatureTransformer(nn.Module):
    """FT: Δf (B, D, R, R), the source's f and the moved f (B, C, R, R) → Δf as the moved face needs it.

    FT(Δf) = 2σ(n_m) ⊙ warp(Δf, v) + σ(n_b + β) ⊙ (warp(f, v) − f_moved) + n_f with the flow v = u + m + t, where
    u = ½·tanh(n_xy), n = N(Δf, f, f_moved) − N(Δf, f, f), m = M(f, f_moved) − M(f, f) and
    t = T(f, f_moved, u + m) − T(f, f, 0): a face that does not move keeps its Δf exactly, whatever N, M and T are. N,
    convolutions, sees the map at its own side, at half and at a quarter of it; M, `Matching`, all places at once; T,
    `Tracing`, what lies around where the flow leads. What is blended in with n_b, n_f and t are there where the
    configuration says so. What belongs to a map of twice the side goes along with the same flow, by cells of half the
    size and with a factor of its own; N does not see it.
    """

    def __init__(self, config: FeatureConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.read = EqualConv(3 * config.channels, width, 1)
        self.down = nn.ModuleList(ResidualDown(width, width) for _ in range(2))
        self.up = nn.ModuleList(EqualConv(width, width, 3) for _ in range(2))
        self.write = EqualConv(width, self.num_fields, 3, act=False)
        nn.init.zeros_(self.write.weight)
        sizes = (config.resolution, config.channels)
        self.matching = None if config.matching is None else Matching(*sizes, config.matching)
        self.tracing = None if config.tracing is None else Tracing(config.channels, config.tracing)
        self.openness = nn.Parameter(torch.tensor(SHUT)) if config.blends else None

    @property
    def num_fields(self) -> int:
        """Channels of N: flow, factors, what is blended, and one for each channel of the map that is filled."""
        return 2 + self.num_factors + bool(self.config.blends) + (self.config.channels if self.config.fills else 0)

    @property
    def num_factors(self) -> int:
        """One for each map that is refined."""
        return 1 if self.config.fine is None else 2

    def rest(self, delta: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
        """N(Δf, f, f), and behind it M(f, f) and T(f, f, 0), which are the same for all frames of a source:
        (B, F, R, R)."""
        known = self._network(delta, source, source)
        return known if self.tracing is None else torch.cat([known.float(), _unmoved(self.tracing, source)], 1)

    def field(
        self, delta: torch.Tensor, source: torch.Tensor, moved: torch.Tensor, rest: torch.Tensor | None = None
    ) -> Field:
        """How Δf is carried.

        Args:
            delta, source, moved: as `forward`.
            rest: what `rest` gave for the source; None computes it.
        """
        rest = self.rest(delta, source) if rest is None else rest
        answer = self._network(delta, source, moved)
        raw = (answer - rest[:, : answer.shape[1]]).float()
        flow = 0.5 * raw[:, :2].tanh()
        flow = flow if self.matching is None else flow + raw[:, -2:]
        if self.tracing is not None:
            flow = flow + self.tracing(source, moved, flow) - rest[:, -2:].float()
        first, second = 2 + self.num_factors, 2 + self.num_factors + bool(self.config.blends)
        factors, share, added = raw[:, 2:first], raw[:, first:second], raw[:, second : self.num_fields]
        share = share if self.openness is None else (share + self.openness).sigmoid()
        return Field(flow, 2 * factors.sigmoid(), share, added)

    def flow(self, source: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        """m + t alone: the flow (B, 2, R, R) of what can be seen in the generator's own maps.

        Raises:
            ValueError: the configuration has no matching or no tracing.
        """
        if self.matching is None or self.tracing is None:
            raise ValueError("this transformer follows nothing: it lacks matching or tracing")
        flow = self.matching(source, moved) - self.matching(source, source)
        return flow + self.tracing(source, moved, flow) - _unmoved(self.tracing, source)

    def fix_flow(self) -> None:
        """Let matching and tracing learn no more."""
        for part in (self.matching, self.tracing):
            if part is not None:
                part.requires_grad_(False)

    def forward(
        self, delta: torch.Tensor, source: torch.Tensor, moved: torch.Tensor, rest: torch.Tensor | None = None
    ) -> torch.Tensor:
        if self.config.copies:
            return delta.expand(len(moved), -1, -1, -1)
        field = self.field(delta, source, moved, rest)
        coarse, fine = delta.float().split([self.config.channels, delta.shape[1] - self.config.channels], 1)
        carried = field.factors[:, :1] * warp(coarse, field.flow)
        if self.config.blends:
            carried = carried + field.share * (warp(source.float(), field.flow) - moved.float())
        carried = carried + field.added if self.config.fills else carried
        if self.config.fine is None:
            return carried
        flow, factor = (F.interpolate(x, scale_factor=2, mode="bilinear") for x in (field.flow, field.factors[:, 1:]))
        return torch.cat([carried, F.pixel_unshuffle(factor * warp(F.pixel_shuffle(fine, 2), flow), 2)], 1)

    def _network(self, delta: torch.Tensor, source: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
        coarse = delta[:, : self.config.channels].to(moved.dtype)
        x = self.read(torch.cat([coarse, source.to(moved.dtype), moved], 1))
        maps = [x]
        for block in self.down:
            maps.append(block(maps[-1]))
        x = maps[-1]
        for layer, finer in zip(self.up, reversed(maps[:-1]), strict=True):
            x = (layer(upsample(x)) + finer) * math.sqrt(0.5)
        answer = self.write(x)
        return answer if self.matching is None else torch.cat([answer.float(), self.matching(source, moved)], 1)


def _unmoved(tracing: Tracing, source: torch.Tensor) -> torch.Tensor:
    """T(f, f, 0)."""
    return tracing(source, source, torch.zeros_like(source[:, :2], dtype=torch.float32))


@dataclass(frozen=True)
class FeatureShift:
    """What refinement knows of B sources, found once: Δf (B, D, R, R), f (B, C, R, R), N and M at rest (B, F, R, R)."""

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
        return self._adding(lambda _: delta, by_sample=len(delta) == 1)

    def moving(self, shift: FeatureShift) -> Trace:
        """A trace that draws sources as their codes moved: f + FT(Δf). A shift of one source serves any batch."""

        def carried(moved: torch.Tensor) -> torch.Tensor:
            own = shift.expand(len(moved)) if len(shift.delta) == 1 else shift
            return self.transformer(own.delta, own.source, moved, own.rest)

        return self._adding(carried, by_sample=len(shift.delta) == 1)

    def _adding(self, find: Callable[[torch.Tensor], torch.Tensor], by_sample: bool) -> Trace:
        """A trace that adds what `find` says of the map; its part for the map of twice the side waits until there."""
        waiting: list[torch.Tensor] = []

        def change(f: torch.Tensor) -> torch.Tensor:
            delta = find(f)
            waiting[:] = [delta[:, self.config.channels :]]
            return f + delta[:, : self.config.channels]

        def change_fine(f: torch.Tensor) -> torch.Tensor:
            return f + F.pixel_shuffle(waiting.pop(), 2)

        fine = {} if self.config.fine is None else {self.config.fine_layer: change_fine}
        return Trace(change={self.config.layer: change, **fine}, by_sample=by_sample)
