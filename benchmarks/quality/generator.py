"""Does the generator draw what it was shown? Fréchet distance between its pictures and renders of people it never saw.

Features: the last hidden layer of the embedded tracker's regressor on the middle of the picture, and the embedding of
the re-identification network on the aligned face. Beside each distance stands that between two sets of renders with no
person in common: the least that can be asked for. All sets have equal size, because the estimate depends on it.

    python benchmarks/quality/generator.py --renders renders/held_out --bundle avatar
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from instruments import CONSOLE, ReidentificationNet, data_folder, enlarged, measure, plain, report, shown
from rich.table import Table

from mien.checkpoints import Bundle, load_bundle
from mien.device import choose_device
from mien.errors import InputError
from mien.face3d import FaceParams
from mien.images import resize, to_tensor, to_uint8
from mien.metrics import Gaussian, GaussianStream, frechet_distance
from mien.pipelines.moving import invert
from mien.synth.dataset import RenderedHeads
from mien.tracking.mediapipe import MediaPipeTracker
from mien.tracking.regressor import FaceRegressor

MAX_COUNT = 2000
LEAST_SHARE = 0.9  # of the set: with fewer faces found a distance is not comparable
FACE_SHARE = 0.6  # of the picture's side: what the regressor is shown
Features = Callable[[np.ndarray], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to measure.

    Attributes:
        renders: folder of rendered heads (`mien.synth.dataset`) that the generator was not trained on.
        bundle: name or folder of the bundle.
        data: the data pack; default MIEN_DATA or ../shared/data.
        count: pictures in each set, at most half of the renders; 0 for as many as there are, up to 2000.
        psi: truncations to sample with, 1 = none; empty for a generator that was not trained to sample.
        batch: pictures drawn at once.
        seed: of the samples and of the split of people.
        device: where the generator runs; default the best there is.
        name: name of the result files.
    """

    renders: Path
    bundle: str = "avatar"
    data: Path | None = None
    count: int = 0
    psi: tuple[float, ...] = (1.0, 0.7)
    batch: int = 32
    seed: int = 0
    device: str | None = None
    name: str = "generator"


def main(settings: Settings) -> None:
    """Measures samples and renders in both kinds of features."""
    data, device = data_folder(settings.data), choose_device(settings.device)
    bundle, heads = load_bundle(settings.bundle, device), RenderedHeads(settings.renders)
    first, second = split_people(np.asarray(heads.person), settings.count, np.random.default_rng(settings.seed))
    settings = replace(settings, count=len(first))
    sets: dict[str, Callable[[int], np.ndarray]] = {
        "renders": lambda i: heads.images(first[i : i + settings.batch]),
        "other renders": lambda i: heads.images(second[i : i + settings.batch]),
    }
    size = heads.images(first[:1]).shape[1]
    sets["other renders, encoded and drawn again"] = lambda i: redrawn(
        bundle, sets["other renders"](i), heads.params(second[i : i + settings.batch])
    )
    for psi in settings.psi:
        sets[f"samples, psi {psi:g}"] = lambda i, psi=psi: samples(bundle, settings, i, psi, size)
    distances = {}
    for name, features in feature_nets(bundle, data).items():
        fitted = {key: gaussian_of(picture, features, settings) for key, picture in sets.items()}
        least = LEAST_SHARE * settings.count
        distances[name] = {k: compared(fitted["renders"], fit, least) for k, fit in fitted.items() if k != "renders"}
        CONSOLE.log(f"{name}: done")
    report(settings.name, settings, {"distances": distances}, table_of(distances, settings))


def split_people(person: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint index sets of `count` renders each (0: as many as there are) with no person in common.

    Raises:
        InputError: there are too few renders.
    """
    people = rng.permutation(np.unique(person))
    is_first = np.isin(person, people[: len(people) // 2])
    halves = [rng.permutation(np.flatnonzero(half)) for half in (is_first, ~is_first)]
    most = min(map(len, halves))
    if most < max(count, 2):
        raise InputError(f"Two sets of {count} need more renders; the smaller half holds {most}.")
    taken = count or min(most, MAX_COUNT)
    return halves[0][:taken], halves[1][:taken]


@torch.no_grad()
def samples(bundle: Bundle, settings: Settings, start: int, psi: float, size: int) -> np.ndarray:
    """Samples `start`.. of the seed as uint8 NHWC at the renders' size; sample i does not depend on the batch."""
    generator, device = bundle.generator, next(bundle.generator.parameters()).device
    numbers = range(start, min(start + settings.batch, settings.count))
    draws = [np.random.default_rng([settings.seed, i]).standard_normal(generator.config.latent_dim) for i in numbers]
    w = generator.mapping(torch.from_numpy(np.stack(draws)).float().to(device))
    center = bundle.w_mean.to(w)
    images = generator.synthesis(generator.broadcast(center + psi * (w - center)))
    return to_uint8(resize(images.float().clamp(-1, 1), size))


@torch.no_grad()
def redrawn(bundle: Bundle, images: np.ndarray, params: FaceParams) -> np.ndarray:
    """uint8 NHWC pictures encoded and drawn again without being moved, at their own size."""
    device = next(bundle.generator.parameters()).device
    codes = invert(bundle, to_tensor(images).to(device), bundle.motion.encode(params))
    codes = bundle.generator.truncate(codes, bundle.truncation)
    return to_uint8(resize(bundle.generator.synthesis(codes).float().clamp(-1, 1), images.shape[1]))


def gaussian_of(pictures: Callable[[int], np.ndarray], features: Features, settings: Settings) -> Gaussian | None:
    """The Gaussian of the features of `count` pictures, batch by batch; None where fewer than two show a face."""
    stream = GaussianStream()
    for start in range(0, settings.count, settings.batch):
        batch = pictures(start)[: settings.count - start]
        stream.update(features(batch))
    try:
        return stream.result()
    except InputError:
        return None


def compared(renders: Gaussian | None, other: Gaussian | None, least: float) -> dict[str, float | None]:
    """Distance of two Gaussians and the number of pictures behind the second; null where that is below `least`."""
    if renders is None or other is None or other.count < least:
        return {"distance": None, "count": 0 if other is None else other.count}
    return {"distance": plain(frechet_distance(renders, other)), "count": other.count}


def feature_nets(bundle: Bundle, data: Path) -> dict[str, Features]:
    """The feature extractors by name, each uint8 NHWC → (n, D); pictures without a face may be dropped."""
    judge, reid = MediaPipeTracker(data / "models" / "face_landmarker.task"), ReidentificationNet(data)

    def embedded_identity(images: np.ndarray) -> torch.Tensor:
        pictures: Sequence[np.ndarray] = enlarged(list(images))
        faces = measure(judge, pictures)
        return reid.embed(pictures, faces)[faces.valid]

    nets: dict[str, Features] = {ReidentificationNet.NAME: embedded_identity}
    if bundle.tracker is not None:
        regressor = bundle.tracker.regressor
        nets["embedded tracker, last hidden layer"] = lambda images: hidden_layer(regressor, images)
    return nets


@torch.no_grad()
def hidden_layer(regressor: FaceRegressor, images: np.ndarray) -> torch.Tensor:
    """Activations (n, hidden) of the regressor's dense layer on the middle of each picture."""
    side = round(images.shape[1] * FACE_SHARE)
    start = (images.shape[1] - side) // 2
    middle = to_tensor(images[:, start : start + side, start : start + side])
    device = next(regressor.parameters()).device
    crops = resize(middle, regressor.config.crop_px).to(device)
    return regressor.dense(regressor.trunk(crops).flatten(1)).cpu()


def table_of(distances: dict[str, dict[str, dict[str, float | None]]], settings: Settings) -> Table:
    """One row per feature net and set."""
    table = Table(
        title="Generator: squared Fréchet distance to renders",
        caption=f"{settings.count} pictures in each set; no distance with faces in under {LEAST_SHARE:.0%} of them.",
    )
    for column in ("features", "set", "distance", "pictures"):
        table.add_column(column)
    for net, by_set in distances.items():
        for name, value in by_set.items():
            table.add_row(net, name, shown(value["distance"], 3), str(value["count"]))
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings))
