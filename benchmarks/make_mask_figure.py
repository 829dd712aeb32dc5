"""Draw what StyleMask's networks have learned: which channels of which layer they take from the target.

    python benchmarks/make_mask_figure.py --bundle my-avatar

Writes docs/images/masks.png. Every band is a layer, coarse ones first. A line of a band is a pair of samples, a column
a channel, ordered by its mean over all pairs: dark channels stay with the source, bright ones come from the target. The
text beside a band gives the layer's resolution, the mean mask, and the share of its channels above one half.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro

from mien.checkpoints import Bundle, load_bundle
from mien.images import write_image

TEXT_PX = 210
GAP_PX = 6


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to draw.

    Attributes:
        bundle: name or folder of a bundle with mask networks.
        out: the picture.
        pairs: pairs of samples, each a line of every band.
        width_px: of the bands; channels are stretched to it.
        line_px: height of a line.
        psi: truncation of the samples.
        seed: of the samples.
    """

    bundle: str = "avatar"
    out: Path = Path("docs/images/masks.png")
    pairs: int = 24
    width_px: int = 512
    line_px: int = 1
    psi: float = 0.7
    seed: int = 0


@dataclass(frozen=True)
class Layer:
    """Masks (pairs, channels) in 0..1 of one controlled layer, and the side of the feature maps that it makes."""

    resolution: int
    masks: np.ndarray

    @property
    def mean(self) -> float:
        """Mean mask."""
        return float(self.masks.mean())

    @property
    def share(self) -> float:
        """Share of the channels whose mean over pairs is above one half."""
        return float((self.masks.mean(0) > 0.5).mean())


@torch.no_grad()
def measure(bundle: Bundle, pairs: int, psi: float = 0.7, seed: int = 0) -> list[Layer]:
    """The masks between random samples.

    Raises:
        BundleError: the bundle has no mask networks.
    """
    networks, generator = bundle.need_masks(), bundle.generator
    z = torch.randn(2 * pairs, generator.config.latent_dim, generator=torch.Generator().manual_seed(seed))
    codes = generator.broadcast(generator.truncate(generator.mapping(z), psi))
    styles = generator.styles(generator.truncate(codes, bundle.truncation))
    masks = networks.masks(styles[:pairs], styles[pairs:])
    return [Layer(2 ** (2 + (i + 1) // 2), mask.numpy()) for i, mask in enumerate(masks)]


def band(layer: Layer, width_px: int, line_px: int) -> np.ndarray:
    """uint8 (pairs · line_px, width_px, 3): channels ordered by their mean, the brightest first."""
    ordered = layer.masks[:, np.argsort(-layer.masks.mean(0), kind="stable")]
    grey = np.clip(np.rint(ordered * 255), 0, 255).astype(np.uint8)
    size = (width_px, line_px * len(grey))
    stretched = cv2.resize(grey, size, interpolation=cv2.INTER_NEAREST)
    return cv2.applyColorMap(stretched, cv2.COLORMAP_VIRIDIS)[..., ::-1].copy()


def figure(layers: list[Layer], width_px: int, line_px: int) -> np.ndarray:
    """uint8 (H, W, 3): a band for each layer, and what it shows in numbers."""
    rows = []
    for number, layer in enumerate(layers):
        drawn = band(layer, width_px, line_px)
        height = max(len(drawn), 16)
        row = np.full((height + GAP_PX, TEXT_PX + width_px, 3), 255, np.uint8)
        row[: len(drawn), TEXT_PX:] = drawn
        words = f"{number + 1:2d}  {layer.resolution:>3d} px  {layer.mean:.2f}  {100 * layer.share:3.0f} %"
        cv2.putText(row, words, (4, height // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (20, 20, 20), 1, cv2.LINE_AA)
        rows.append(row)
    return np.concatenate(rows)


def main(settings: Settings) -> None:
    """Measure and draw."""
    bundle = load_bundle(settings.bundle, torch.device("cpu"))
    layers = measure(bundle, settings.pairs, settings.psi, settings.seed)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_image(settings.out, figure(layers, settings.width_px, settings.line_px))


if __name__ == "__main__":
    main(tyro.cli(Settings))
