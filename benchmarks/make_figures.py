"""The pictures of the documentation, from a bundle and the packaged samples.

    python benchmarks/make_figures.py --bundle avatar --refined runs/layer16 runs/layer32 runs/layer64

Writes docs/images/demo.jpg (driver frames above the results for two sources), methods.jpg (the same frames by each
method, and with the copied shift), samples.jpg (samples of the generator at truncation 0.7 and 1) and, where bundles
with other refinements are given, refined.jpg (the same frames by each of them).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro

import mien
from mien.images import grid, read_image, resize, to_tensor, to_uint8, write_image
from mien.inversion import copying
from mien.media import read_video
from mien.pipelines.moving import Method
from mien.pipelines.reenactor import Reenactor, load

ASSETS = Path(mien.__file__).parent / "assets" / "samples"
SOURCES = ("source_1.jpg", "source_2.jpg")
TILE_PX = 192
ROWS: tuple[Method, ...] = ("directions", "stylemask", "one-shot", "stylemask-refined")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to draw.

    Attributes:
        bundle: name or folder of the bundle.
        out: folder of the pictures.
        columns: driver frames shown in the still picture.
        refined: bundles whose refinement is laid under that of the bundle.
    """

    bundle: str = "avatar"
    out: Path = Path("docs/images")
    columns: int = 7
    refined: tuple[str, ...] = ()


def tiles(images: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) uint8 → (N, TILE_PX, TILE_PX, 3)."""
    return to_uint8(resize(to_tensor(images), TILE_PX))


def drive(model: Reenactor) -> list[np.ndarray]:
    """Driver frames, then the result for each source; each (N, TILE_PX, TILE_PX, 3)."""
    frames = [frame.image for frame in read_video(ASSETS / "driver.mp4")]
    rows = [tiles(np.stack(frames))]
    for name in SOURCES:
        identity = model.identify(read_image(ASSETS / name))
        rows.append(tiles(np.stack(list(model.stream(identity, frames)))))
    return rows


def all_ways(model: Reenactor) -> list[tuple[Reenactor, Method]]:
    """Each method of `ROWS`, and one-shot with the shift left where it was."""
    copied = Reenactor(replace(model.bundle, feature=copying(model.bundle.need_feature())), model.device, model.tracker)
    return [*((model, method) for method in ROWS), (copied, "one-shot")]


def driven_by(ways: list[tuple[Reenactor, Method]], source: str) -> list[np.ndarray]:
    """Driver frames, then what each model makes of a source by its method."""
    frames = [frame.image for frame in read_video(ASSETS / "driver.mp4")]
    picture = read_image(ASSETS / source)
    rows = [tiles(np.stack(frames))]
    for one, method in ways:
        rows.append(tiles(np.stack(list(one.stream(one.identify(picture), frames, method=method)))))
    return rows


def with_sources(rows: list[np.ndarray], index: np.ndarray) -> np.ndarray:
    """The chosen frames as a grid with the sources in the first column."""
    blank = np.full((1, TILE_PX, TILE_PX, 3), 255, np.uint8)
    first = [blank, *(tiles(_square(read_image(ASSETS / name))[None]) for name in SOURCES)]
    return grid(
        np.concatenate([np.concatenate([a, row[index]]) for a, row in zip(first, rows, strict=True)]), len(index) + 1
    )


def _square(image: np.ndarray) -> np.ndarray:
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]


@torch.no_grad()
def write_samples(model: Reenactor, path: Path) -> None:
    """Two rows of samples at ψ = 0.7, two at ψ = 1."""
    generator = model.bundle.generator
    z = torch.randn(16, generator.config.latent_dim, generator=torch.Generator().manual_seed(0))
    images = torch.cat([generator(z, psi) for psi in (0.7, 1.0)])
    write_image(path, grid(to_uint8(images), 8))


def main(settings: Settings) -> None:
    """Write all pictures."""
    model = load(settings.bundle)
    settings.out.mkdir(parents=True, exist_ok=True)
    rows = drive(model)
    index = np.linspace(0, len(rows[0]) - 1, settings.columns).round().astype(int)
    write_image(settings.out / "demo.jpg", with_sources(rows, index))
    pictures = {"methods": all_ways(model)}
    if settings.refined:
        pictures["refined"] = [(model, "one-shot"), *((load(name), "one-shot") for name in settings.refined)]
    for name, ways in pictures.items():
        compared = [row[index] for row in driven_by(ways, SOURCES[1])]
        write_image(settings.out / f"{name}.jpg", grid(np.concatenate(compared), len(index)))
    write_samples(model, settings.out / "samples.jpg")


if __name__ == "__main__":
    main(tyro.cli(Settings))
