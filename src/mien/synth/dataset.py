"""Folders of rendered heads with their exact parameters: a resumable writer and a memory-mapped reader.

Seeds are pictures: frame j of scene i is the same at any count and number of processes. Training people have even
seeds, held-out people odd ones, so that no held-out person is ever in a training set, whatever the datasets' seeds.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import torch
from rich.progress import track

from mien.errors import InputError, OutputError
from mien.face3d.params import FaceParams
from mien.synth.motion import random_angles, random_expression
from mien.synth.people_pack import PeoplePack
from mien.synth.photo_renderer import PhotoRenderer
from mien.synth.photo_scene import random_photo_scene
from mien.synth.renderer import Frame, HeadRenderer
from mien.synth.scenery import random_scene

VERSION = 3
SPLITS = ("train", "heldout")
PHOTO_REACH = 0.75
"""Photographed heads turn less far: beyond 35 degrees their hidden sides show."""
_LABELS = ("angles", "expression", "landmarks", "visibility", "person", "scene", "identity")
_SEED_STRIDE = 1_000_003
_FRAME_FIELDS = ("image", "regions", "angles", "expression", "landmarks", "visibility")
_PLURAL = {"image": "images"}


@dataclass(frozen=True, kw_only=True)
class DatasetConfig:
    """What a dataset holds.

    Attributes:
        num_scenes: scenes; each is another person in another place.
        frames_per_scene: pictures of each scene, in different pose, expression and gaze.
        size: side of the pictures in pixels.
        seed: another seed is other people, places and motion.
        split: `train` or `heldout` people.
        supersample: pixels drawn per pixel and axis.
        jitter: spread of a random shift (share of the side) and scale of the framing.
        processes: processes that render.
        scenes_per_shard: scenes between two checkpoints.
        people: pack of photographed people (`mien fit`) that scenes are made of; none: drawn people only.
        photo_share: share of the scenes that show photographed people, if there is a pack.
        spread: how far the frames of a scene are from its first, as a share of the usual: small values make frames that
            differ as little as those of a video.
    """

    num_scenes: int = 5000
    frames_per_scene: int = 4
    size: int = 128
    seed: int = 0
    split: str = "train"
    supersample: int = 2
    jitter: float = 0.0
    processes: int = 2
    scenes_per_shard: int = 25
    people: str | None = None
    photo_share: float = 0.8
    spread: float = 1.0

    def content(self) -> dict[str, Any]:
        """What decides the pixels, as it is stored."""
        hidden = ("processes", "scenes_per_shard", "people", "photo_share", "spread")
        content = {"version": VERSION} | {k: v for k, v in asdict(self).items() if k not in hidden}
        if self.spread != 1.0:
            content["spread"] = self.spread
        if self.people is None:
            return content
        with PeoplePack(self.people) as pack:
            return content | {"people": pack.signature(), "photo_share": self.photo_share}


def person_seed(config: DatasetConfig, scene: int) -> int:
    """Seed of the person in a scene: even in the training split, odd in the held-out split."""
    return 2 * (config.seed * _SEED_STRIDE + scene) + SPLITS.index(config.split)


def frame_motion(config: DatasetConfig, scene: int, frame: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Angles (3,), expression (51,) and framing jitter (3,) of a frame."""
    rng = np.random.default_rng([person_seed(config, scene), frame, 0xF4A3E])
    reach = PHOTO_REACH if is_photographed(config, scene) else 1.0
    angles, expression, jitter = reach * random_angles(rng), random_expression(rng), rng.normal(0, 1, 3) * config.jitter
    if frame and config.spread != 1.0:
        first = frame_motion(config, scene, 0)
        angles, expression, jitter = (
            a + config.spread * (b - a) for a, b in zip(first, (angles, expression, jitter), strict=True)
        )
    return angles, expression, jitter


def is_photographed(config: DatasetConfig, scene: int) -> bool:
    """Whether a scene shows a photographed person."""
    if config.people is None:
        return False
    return bool(np.random.default_rng([person_seed(config, scene), 0xF070]).random() < config.photo_share)


_Job = tuple[DatasetConfig, int, int, str]


class SceneRenderer:
    """Renders the scenes of a dataset, drawn and photographed; owns OpenGL contexts of this thread and process.

    Args:
        config: the dataset.
    """

    def __init__(self, config: DatasetConfig) -> None:
        self._config = config
        self._pack = PeoplePack(config.people) if config.people else None
        self._numbers = self._pack.numbers(held_out=config.split == "heldout") if self._pack else []
        if self._pack is not None and not self._numbers:
            self._pack.close()
            raise InputError(f"{config.people} holds nobody of the split {config.split!r}.")
        self._drawn = HeadRenderer(config.size, config.supersample)
        self._photographed = PhotoRenderer(config.size, config.supersample) if self._pack else None

    def __enter__(self) -> SceneRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        self._drawn.close()
        if self._photographed is not None:
            self._photographed.close()
        if self._pack is not None:
            self._pack.close()

    def render(self, scene: int) -> tuple[np.ndarray, list[Frame]]:
        """Identity (100,) and frames of a scene."""
        config = self._config
        seed = person_seed(config, scene)
        motions = [frame_motion(config, scene, j) for j in range(config.frames_per_scene)]
        curves = [np.stack(part) for part in zip(*motions, strict=True)]
        if self._pack is not None and self._photographed is not None and is_photographed(config, scene):
            place = random_photo_scene(self._pack, self._numbers, seed, config.size)
            return place.identity, self._photographed.render(place, *curves)
        drawn = random_scene(seed, seed, config.size)
        return drawn.person.identity, self._drawn.render(drawn, *curves)


_worker: dict[str, SceneRenderer] = {}


def _start_worker(config: DatasetConfig) -> None:
    os.environ["LP_NUM_THREADS"] = "0"  # software OpenGL: one process per core draws faster than many threads
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _worker["renderer"] = SceneRenderer(config)


def _render_scene(renderer: SceneRenderer, config: DatasetConfig, scene: int) -> dict[str, np.ndarray]:
    identity, frames = renderer.render(scene)
    columns = {name: np.stack([getattr(frame, name) for frame in frames]) for name in _FRAME_FIELDS}
    return columns | {
        "person": np.full(len(frames), person_seed(config, scene), np.int64),
        "scene": np.full(len(frames), scene, np.int64),
        "identity": np.repeat(identity[None], len(frames), 0),
    }


def _save_arrays(file: IO[bytes], arrays: dict[str, np.ndarray]) -> None:
    named: dict[str, Any] = dict(arrays)
    np.savez(file, **named)


def _write_shard(renderer: SceneRenderer, job: _Job) -> None:
    """Render scenes [start, end) into one file, which appears only when it is whole."""
    config, start, end, path = job
    parts = [_render_scene(renderer, config, scene) for scene in range(start, end)]
    partial = Path(path + ".partial")
    with partial.open("wb") as file:
        _save_arrays(file, {_PLURAL.get(k, k): np.concatenate([part[k] for part in parts]) for k in parts[0]})
    partial.rename(path)


def _work(job: _Job) -> None:
    _write_shard(_worker["renderer"], job)


def _jobs(config: DatasetConfig, shards: Path) -> list[_Job]:
    jobs: list[_Job] = []
    for start in range(0, config.num_scenes, config.scenes_per_shard):
        end = min(start + config.scenes_per_shard, config.num_scenes)
        path = shards / f"{start:07d}-{end:07d}.npz"
        if not path.exists():
            jobs.append((config, start, end, str(path)))
    return jobs


def _render_all(config: DatasetConfig, jobs: list[_Job]) -> Iterator[None]:
    if config.processes <= 1:
        with SceneRenderer(config) as renderer:
            for job in jobs:
                yield _write_shard(renderer, job)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(config.processes, _start_worker, (config,)) as pool:
        yield from pool.imap_unordered(_work, jobs)


def _assemble(config: DatasetConfig, folder: Path, shards: Path) -> None:
    paths = sorted(shards.glob("*.npz"))
    total = config.num_scenes * config.frames_per_scene
    shape = (total, config.size, config.size)
    labels: dict[str, list[np.ndarray]] = {key: [] for key in _LABELS}
    images = np.lib.format.open_memmap(shards / "images.npy", "w+", np.uint8, (*shape, 3))
    regions = np.lib.format.open_memmap(shards / "regions.npy", "w+", np.uint8, shape)
    row = 0
    for path in paths:
        with np.load(path) as shard:
            count = len(shard["images"])
            images[row : row + count], regions[row : row + count] = shard["images"], shard["regions"]
            for key in _LABELS:
                labels[key].append(shard[key])
            row += count
    if row != total:
        raise OutputError(f"{shards} holds {row} pictures where {total} were expected; delete it and start again.")
    images.flush()
    regions.flush()
    del images, regions
    with (shards / "labels.npz").open("wb") as file:
        _save_arrays(file, {key: np.concatenate(parts) for key, parts in labels.items()})
    description = config.content() | {"count": total}
    (shards / "dataset.json").write_text(json.dumps(description, indent=2) + "\n")
    for name in ("images.npy", "regions.npy", "labels.npz", "dataset.json"):
        (shards / name).replace(folder / name)
    shutil.rmtree(shards)


def write_dataset(config: DatasetConfig, folder: str | Path, *, show_progress: bool = False) -> Path:
    """Render a dataset, continuing where an interrupted run of the same config stopped.

    Writes `images.npy` (N, S, S, 3) and `regions.npy` (N, S, S) uint8, `labels.npz` and `dataset.json`; they appear
    when all of them are whole.

    Args:
        config: what to render.
        folder: where to; made if absent.
        show_progress: draw a progress bar on the terminal.

    Returns:
        The folder.

    Raises:
        OutputError: the folder holds another dataset.
        MissingDataError, MissingExtraError, RenderError: rendering is not possible here.
    """
    if config.split not in SPLITS:
        raise InputError(f"unknown split {config.split!r}; known: {', '.join(SPLITS)}")
    folder = Path(folder)
    shards = folder / "shards"
    content = json.dumps(config.content(), sort_keys=True)
    done = folder / "dataset.json"
    if done.exists():
        stored = json.loads(done.read_text())
        stored.pop("count", None)
        if json.dumps(stored, sort_keys=True) != content:
            raise OutputError(f"{folder} already holds another dataset; choose another folder.")
        return folder
    shards.mkdir(parents=True, exist_ok=True)
    note = shards / "config.json"
    if note.exists() and note.read_text() != content:
        raise OutputError(f"{folder} holds a part of another dataset; delete {shards} or choose another folder.")
    note.write_text(content)
    jobs = _jobs(config, shards)
    finished = _render_all(config, jobs)
    deque(track(finished, "rendering", len(jobs), disable=not show_progress), maxlen=0)
    _assemble(config, folder, shards)
    return folder


class RenderedHeads:
    """A dataset written by `write_dataset`; pictures stay on disk until they are read.

    Attributes:
        images_file: (N, S, S, 3) uint8 memory map.
        regions: (N, S, S) uint8 memory map.
        visibility: (N, 68) bool.
        person, scene: (N,) int64.
        identity: (N, 100) float32.
        config: content of `dataset.json`.

    Args:
        folder: the dataset.

    Raises:
        InputError: there is no complete dataset.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        if not (folder / "dataset.json").is_file():
            raise InputError(f"{folder} holds no complete dataset of rendered heads.")
        self.config: dict[str, Any] = json.loads((folder / "dataset.json").read_text())
        self.images_file: np.ndarray = np.load(folder / "images.npy", mmap_mode="r")
        self.regions: np.ndarray = np.load(folder / "regions.npy", mmap_mode="r")
        with np.load(folder / "labels.npz") as labels:
            self._angles = torch.from_numpy(labels["angles"])
            self._expression = torch.from_numpy(labels["expression"])
            self._landmarks = torch.from_numpy(labels["landmarks"])
            self.visibility: np.ndarray = labels["visibility"]
            self.person: np.ndarray = labels["person"]
            self.scene: np.ndarray = labels["scene"]
            self.identity: np.ndarray = labels["identity"]

    def __len__(self) -> int:
        return len(self.images_file)

    def images(self, index: Sequence[int] | np.ndarray | slice) -> np.ndarray:
        """(B, S, S, 3) uint8 pictures at positions, read from disk."""
        return np.asarray(self.images_file[index])

    def params(self, index: Sequence[int] | np.ndarray | slice) -> FaceParams:
        """True parameters at positions; landmarks in pixels of the pictures."""
        rows = index if isinstance(index, slice) else torch.as_tensor(np.asarray(index, np.int64))
        angles = self._angles[rows].float()
        count = len(angles)
        return FaceParams(
            angles=angles,
            expression=self._expression[rows].float(),
            landmarks=self._landmarks[rows].float(),
            valid=torch.ones(count, dtype=torch.bool),
            score=torch.ones(count),
        )
