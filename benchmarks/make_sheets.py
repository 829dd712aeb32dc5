"""Pictures that show what a generator has learned: samples, their nearest training pictures, mixtures, interpolations.

    python benchmarks/make_sheets.py --renders runs/renders --bundle avatar

Writes docs/images/samples_1.jpg and samples_0.7.jpg (64 samples at truncation 1 and .7), mixing.jpg (coarse rows of one
code, fine rows of another) and interpolation.jpg (straight ways in W between samples); and, beside the renders,
nearest.jpg (16 samples, each beside the three training pictures that are most like it).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

from mien.checkpoints import Bundle, load_bundle
from mien.images import grid, resize, shrink_to, to_tensor, to_uint8, write_image
from mien.synth.dataset import RenderedHeads

COMPARED_PX, TILE_PX = 32, 192
CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to draw.

    Attributes:
        renders: folder of the rendered heads that the generator was trained on.
        bundle: name or folder of the bundle.
        out: folder of the pictures.
        seed: of the samples.
        coarse_rows: rows of W+ that mixtures take from the first code.
    """

    renders: Path
    bundle: str = "avatar"
    out: Path = Path("docs/images")
    seed: int = 0
    coarse_rows: int = 6


@torch.no_grad()
def codes(bundle: Bundle, count: int, seed: int, psi: float) -> torch.Tensor:
    """(count, D) codes in W; code i does not depend on the count."""
    size = bundle.generator.config.latent_dim
    z = np.stack([np.random.default_rng([seed, i]).standard_normal(size) for i in range(count)])
    return torch.lerp(bundle.w_mean, bundle.generator.mapping(torch.from_numpy(z).float()), psi)


@torch.no_grad()
def draw(bundle: Bundle, wp: torch.Tensor) -> np.ndarray:
    """uint8 pictures (N, TILE_PX, TILE_PX, 3) of codes (N, L, D)."""
    drawn = [resize(bundle.generator.synthesis(part).float(), TILE_PX) for part in wp.split(16)]
    return to_uint8(torch.cat(drawn).clamp(-1, 1))


def nearest(pictures: np.ndarray, heads: RenderedHeads, count: int) -> np.ndarray:
    """(N, count) numbers of the training pictures with the least mean square difference at 32 pixels."""
    wanted = shrink_to(to_tensor(pictures), COMPARED_PX).flatten(1)
    distances = []
    for start in range(0, len(heads), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(heads)))
        distances.append(torch.cdist(wanted, shrink_to(to_tensor(heads.images(rows)), COMPARED_PX).flatten(1)))
    return torch.cat(distances, 1).topk(count, largest=False).indices.numpy()


def nearest_sheet(bundle: Bundle, settings: Settings) -> np.ndarray:
    """Two quadruples a row: a sample and its three nearest training pictures."""
    heads = RenderedHeads(settings.renders)
    made = draw(bundle, bundle.generator.broadcast(codes(bundle, 16, settings.seed, 1.0)))
    close = nearest(made, heads, 3)
    rows = [to_uint8(resize(to_tensor(heads.images(numbers)), TILE_PX)) for numbers in close]
    return grid(np.concatenate([part for pair in zip(made[:, None], rows, strict=True) for part in pair]), 8)


def mixing_sheet(bundle: Bundle, settings: Settings) -> np.ndarray:
    """First row: where fine rows come from; first column: where coarse rows come from."""
    w = bundle.generator.broadcast(codes(bundle, 12, settings.seed, 0.8))
    coarse, fine = w[:5], w[5:]
    rows = [np.concatenate([np.full_like(draw(bundle, w[:1]), 255), draw(bundle, fine)])]
    for code in coarse:
        mixed = torch.cat([code[None, : settings.coarse_rows].expand(len(fine), -1, -1),
                           fine[:, settings.coarse_rows :]], 1)  # fmt: skip
        rows.append(np.concatenate([draw(bundle, code[None]), draw(bundle, mixed)]))
    return grid(np.concatenate(rows), len(fine) + 1)


def interpolation_sheet(bundle: Bundle, settings: Settings) -> np.ndarray:
    """Four ways of eight steps."""
    w = codes(bundle, 8, settings.seed, 0.8)
    steps = torch.linspace(0, 1, 8)[:, None]
    ways = torch.cat([torch.lerp(w[i], w[i + 1], steps) for i in (0, 2, 4, 6)])
    return grid(draw(bundle, bundle.generator.broadcast(ways)), 8)


def main(settings: Settings) -> None:
    """Write all sheets."""
    bundle = load_bundle(settings.bundle, torch.device("cpu"))
    settings.out.mkdir(parents=True, exist_ok=True)
    for psi in (1.0, 0.7):
        wp = bundle.generator.broadcast(codes(bundle, 64, settings.seed, psi))
        write_image(settings.out / f"samples_{psi:g}.jpg", grid(draw(bundle, wp), 8))
    write_image(settings.renders / "nearest.jpg", nearest_sheet(bundle, settings))
    write_image(settings.out / "mixing.jpg", mixing_sheet(bundle, settings))
    write_image(settings.out / "interpolation.jpg", interpolation_sheet(bundle, settings))


if __name__ == "__main__":
    main(tyro.cli(Settings))
