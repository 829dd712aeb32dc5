"""The StyleGAN2 generator (Karras et al. 2020), skip architecture, in three public steps.

z —mapping→ w —broadcast→ w+ —styles→ s —synthesis→ image. Features can be read and replaced at any layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, cast

import torch
from torch import nn

from mien.stylegan2.config import GeneratorConfig
from mien.stylegan2.layers import EqualLinear, StyledConv, ToRGB
from mien.stylegan2.ops import upsample

AnyLayer = TypeVar("AnyLayer", bound=nn.Module)
NoiseMode = Literal["fixed", "random", "none"]
ACTIVATION_BYTES = 2**24


@dataclass(frozen=True)
class Styles:
    """Modulation vectors of every layer: `conv[i]` is (B, in-channels) of styled conv i, `rgb[j]` of ToRGB j."""

    conv: tuple[torch.Tensor, ...]
    rgb: tuple[torch.Tensor, ...]

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.conv[0])

    def __getitem__(self, part: slice) -> Styles:
        """Some of the samples."""
        return Styles(tuple(s[part] for s in self.conv), tuple(s[part] for s in self.rgb))


@dataclass
class Trace:
    """What a synthesis pass should read and replace.

    Attributes:
        read: names of what to keep in `features`: the output of a styled conv ("conv0", "conv1", …), or the picture
            as it stands after a ToRGB ("rgb0", "rgb1", …).
        replace: values to put in place of a layer's own.
        features: filled by the pass, name → (B, C, H, W).
        change: functions of a layer's own (or replaced) value that give what takes its place.
        by_sample: they serve any part of the batch, so that a large one may come in several parts.
    """

    read: tuple[str, ...] = ()
    replace: Mapping[str, torch.Tensor] | None = None
    features: dict[str, torch.Tensor] | None = None
    change: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] | None = None
    by_sample: bool = False

    def visit(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """Replace and record the output of one layer."""
        if self.replace and name in self.replace:
            x = self.replace[name].to(x.dtype)
        if self.change and name in self.change:
            x = self.change[name](x).to(x.dtype)
        if name in self.read:
            self.features = {**(self.features or {}), name: x}
        return x


class _Layers(nn.ModuleList, Generic[AnyLayer]):
    """A module list that knows what it holds."""

    def __init__(self, layers: list[AnyLayer]) -> None:
        super().__init__(layers)

    def __iter__(self) -> Iterator[AnyLayer]:
        return cast(Iterator[AnyLayer], super().__iter__())

    def __getitem__(self, index: int) -> AnyLayer:  # type: ignore[override]
        return cast(AnyLayer, super().__getitem__(index))


class Generator(nn.Module):
    """z (B, latent_dim) → image (B, 3, R, R) in about [−1, 1].

    The buffer `w_mean` is w̄, the centre of truncation; training keeps it up to date and it travels with the weights.
    With `GeneratorConfig.row_maps`, `row_weight` (L, D, D) and `row_bias` (L, D) are what `broadcast` does to w; they
    begin as repetition.
    """

    w_mean: torch.Tensor
    row_weight: torch.Tensor
    row_bias: torch.Tensor

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        lr = config.mapping_lr_multiplier
        widths = [config.latent_dim] + [config.style_dim] * config.mapping_layers
        self.mapping_layers = nn.ModuleList(
            EqualLinear(a, b, lr=lr, act=not config.affine_mapping) for a, b in zip(widths, widths[1:], strict=False)
        )
        self.register_buffer("w_mean", torch.zeros(config.style_dim))
        if config.row_maps:
            self.register_buffer("row_weight", torch.eye(config.style_dim).repeat(config.num_rows, 1, 1))
            self.register_buffer("row_bias", torch.zeros(config.num_rows, config.style_dim))
        self.const = nn.Parameter(torch.randn(1, config.channels(4), 4, 4))
        convs: list[StyledConv] = []
        rgbs: list[ToRGB] = []
        previous, dim, limit = config.channels(4), config.style_dim, config.activation_limit
        for resolution in config.resolutions:
            width = config.channels(resolution)
            if resolution > 4:
                up = config.upsample
                convs.append(StyledConv(previous, width, dim, up=up, noise_size=resolution, limit=limit))
            convs.append(StyledConv(width, width, dim, up=None, noise_size=resolution, limit=limit))
            rgbs.append(ToRGB(width, dim, limit))
            previous = width
        self.convs, self.rgbs = _Layers(convs), _Layers(rgbs)

    @property
    def num_rows(self) -> int:
        """Rows of a W+ code."""
        return self.config.num_rows

    def mapping(self, z: torch.Tensor) -> torch.Tensor:
        """z (B, latent_dim) → w (B, style_dim): z is normalised to unit mean square, then the dense layers."""
        w = z * z.square().mean(1, keepdim=True).add(1e-8).rsqrt()
        for layer in self.mapping_layers:
            w = layer(w)
        return w

    @property
    def centre(self) -> torch.Tensor:
        """(L, D) the W+ code of w̄."""
        return self.broadcast(self.w_mean[None])[0]

    def truncate(self, w: torch.Tensor, psi: float) -> torch.Tensor:
        """w̄ + ψ · (w − w̄) for w (B, D) or w+ (B, L, D), whose centre is what w̄ is broadcast to."""
        centre = self.centre if w.ndim == 3 else self.w_mean
        return torch.lerp(centre.to(w.dtype).expand_as(w), w, psi)

    def broadcast(self, w: torch.Tensor) -> torch.Tensor:
        """w (B, D) → w+ (B, L, D): repeated, or row i = row_weight_i · w + row_bias_i where there are row maps."""
        if not self.config.row_maps:
            return w[:, None].expand(-1, self.num_rows, -1)
        return torch.einsum("lij,bj->bli", self.row_weight.to(w.dtype), w) + self.row_bias.to(w.dtype)

    def styles(self, wp: torch.Tensor) -> Styles:
        """w+ (B, L, D) → modulation vectors. Styled conv i reads row i; ToRGB at 2^r reads row 2r − 3."""
        if wp.ndim != 3 or wp.shape[1] != self.num_rows:
            raise ValueError(f"expected W+ codes (B, {self.num_rows}, {self.config.style_dim}), got {tuple(wp.shape)}")
        conv = tuple(layer.affine(wp[:, i]) for i, layer in enumerate(self.convs))
        rgb = tuple(layer.affine(wp[:, 2 * j + 1]) for j, layer in enumerate(self.rgbs))
        return Styles(conv, rgb)

    def synthesis(
        self, code: torch.Tensor | Styles, *, noise: NoiseMode = "fixed", fast: bool = True, trace: Trace | None = None
    ) -> torch.Tensor:
        """w+ codes or styles → images (B, 3, R, R).

        Args:
            code: w+ (B, L, D) or `Styles`.
            noise: "fixed" uses the stored noise images, "random" draws new ones, "none" leaves them out.
            fast: False takes the readable reference operations; equal up to rounding.
            trace: layers to read or replace.
        """
        styles = code if isinstance(code, Styles) else self.styles(code)
        is_divisible = trace is None or trace.by_sample
        if fast and is_divisible and len(styles) > (most := self._samples_at_once(styles)):
            parts = [styles[i : i + most] for i in range(0, len(styles), most)]
            return torch.cat([self.synthesis(part, noise=noise, trace=trace) for part in parts])
        trace = trace or Trace()
        dtype = styles.conv[0].dtype
        x = self.const.to(dtype).expand(styles.conv[0].shape[0], -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        image: torch.Tensor | None = None
        for i, layer in enumerate(self.convs):
            x = trace.visit(f"conv{i}", layer(x, styles.conv[i], self._noise(layer, x, noise), fast))
            if i % 2 == 0:
                rgb = self.rgbs[i // 2](x, styles.rgb[i // 2], fast)
                image = trace.visit(f"rgb{i // 2}", rgb if image is None else upsample(image) + rgb)
        assert image is not None
        return image

    def feature_map(self, code: torch.Tensor | Styles, layer: str, noise: NoiseMode = "fixed") -> torch.Tensor:
        """w+ codes or styles → one feature map (B, C, H, W) of the synthesis network, without what lies behind it.

        Args:
            code, noise: as `synthesis`.
            layer: the name of a styled convolution (see `Trace.read`).

        Raises:
            ValueError: there is no such layer.
        """
        names = [f"conv{i}" for i in range(len(self.convs))]
        if layer not in names:
            raise ValueError(f"no layer {layer!r}: there are conv0 to {names[-1]}")
        styles = code if isinstance(code, Styles) else self.styles(code)
        x = self.const.to(styles.conv[0].dtype).expand(len(styles), -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        for i in range(names.index(layer) + 1):
            x = self.convs[i](x, styles.conv[i], self._noise(self.convs[i], x, noise), True)
        return x

    def _samples_at_once(self, styles: Styles) -> int:
        """How many samples to draw together: all of them, but on processors no more than keeps activations small.

        Larger ones leave the caches, and their memory is fetched from the system anew for each.
        """
        example, finest = styles.conv[0], self.config.resolution
        if torch.is_grad_enabled() or example.device.type != "cpu":
            return len(styles)
        sample_bytes = self.config.channels(finest) * finest**2 * example.element_size()
        return max(1, ACTIVATION_BYTES // sample_bytes)

    def _noise(self, layer: StyledConv, x: torch.Tensor, mode: NoiseMode) -> torch.Tensor | None:
        if mode == "none" or not self.config.noise:
            return None
        if mode == "fixed":
            return layer.noise
        return torch.randn(x.shape[0], 1, *layer.noise.shape, device=x.device)

    def forward(self, z: torch.Tensor, psi: float = 1.0, noise: NoiseMode = "fixed") -> torch.Tensor:
        """z → image with truncation ψ."""
        return self.synthesis(self.broadcast(self.truncate(self.mapping(z), psi)), noise=noise)
