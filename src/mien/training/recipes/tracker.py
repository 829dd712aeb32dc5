"""The embedded tracker: a detector and a regressor from renders with exact labels and photographs with MediaPipe's.

Renders bring what no annotator can: exact angles, landmarks behind the head, and every coefficient of the expression.
Photographs and clips of the data pack bring real skin and cameras; their labels are moved to the renders' scale
(`mien.tracking.calibration`), and copies with opened mouths and closed eyes are made of them
(`mien.tracking.reshaping`). A fifth of everything real is never trained on (`mien.tracking.material`).
Pictures of one person come in twos as well, so that the net learns the change between them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import cv2
import numpy as np
import torch
from torch import nn

from mien.errors import MissingDataError, TrainingError
from mien.face3d.morphable import data_folder
from mien.images import to_tensor
from mien.synth.dataset import RenderedHeads
from mien.tracking.detector import DetectorConfig, FaceDetector
from mien.tracking.embedded import save_tracker
from mien.tracking.material import CLIPS, load_clip, load_photographs, reshaped
from mien.tracking.objectives import detector_losses, regressor_losses, twin_losses
from mien.tracking.regressor import FaceRegressor, RegressorConfig
from mien.tracking.relabelling import relabelled
from mien.tracking.samples import CropBatch, LabelledFace, Material, draw_crops, draw_twins
from mien.tracking.scenes import draw_scenes
from mien.training.engine import Ema, Run, RunConfig, seeded, set_rate, start_fabric
from mien.training.parts import load_detector, load_regressor

HELD_OUT_PEOPLE_EVERY = 20
TURN_DEG, TURNED_STRENGTH = 3.0, 0.3
"""Of `TrackerConfig.turned`: standard deviation of the turns about each axis, and share of a random expression."""
_RENDER_TRUST = np.ones(3)


@dataclass(frozen=True, kw_only=True)
class TrackerConfig:
    """What to train on and how.

    Attributes:
        data: folder of rendered heads (`mien render`); None trains on photographs alone.
        twins: folder of rendered heads whose frames differ little (`mien render --spread 0.08`): the change between
            two of them is learned, too; None leaves that out.
        turned: copies of every photograph, turned by a few degrees and with a slightly other expression; the change
            between two of them, and between two frames of a clip, is learned. 0 leaves that out.
        start: run of this recipe, or bundle, with a tracker of the same size to continue from; None starts from zero.
        real: whether photographs and clips of the data pack are used.
        labels: file with steadier labels of them (`mien.tracking.relabelling`), made with MediaPipe when it is missing;
            None takes the data pack's.
        crops, scenes: pictures per step for the regressor and for the detector, over all processes.
        pairs: twins per step.
        scene_px: side of the detector's training pictures, a multiple of 32.
        crop_px: side of the regressor's crops, a multiple of 16.
        widths, hidden: size of the regressor.
        lr: peak learning rate; warmed up over `warm_up` steps, then falling to zero as a cosine.
        ema_images: half-life of the averaged weights in crops.
    """

    data: Path | None = None
    twins: Path | None = None
    turned: int = 0
    start: Path | None = None
    real: bool = True
    labels: Path | None = None
    crops: int = 32
    pairs: int = 6
    scenes: int = 6
    scene_px: int = 192
    crop_px: int = 96
    widths: tuple[int, int, int, int] = (24, 40, 80, 160)
    hidden: int = 256
    lr: float = 2e-3
    warm_up: int = 100
    ema_images: float = 4000.0


PRESETS: dict[str, dict[str, object]] = {
    # hardware, time, expected result                                                          (docs/results.md)
    # two cores, under a minute: runs, losses fall
    "tiny": {"crops": 8, "scenes": 2, "scene_px": 96, "widths": (8, 12, 16, 24), "hidden": 48, "warm_up": 5},
    # one core, about 60 minutes, renders of 256 pixels: where the tracker of the default bundle began
    "two-core": {"scenes": 3, "crop_px": 112},
    # one large GPU with 16 cores for the samples
    "accelerator": {"crops": 256, "scenes": 48, "crop_px": 112, "lr": 3e-3, "warm_up": 500, "ema_images": 20000.0},
}
STEPS = {"tiny": 60, "two-core": 18_000, "accelerator": 60_000}


class RenderedMaterial:
    """Rendered heads as material: training people only (see `held_out_people`).

    Args:
        heads: the dataset.
        rows: which of its frames.
    """

    def __init__(self, heads: RenderedHeads, rows: np.ndarray) -> None:
        self._heads, self._rows = heads, rows
        params = heads.params(rows)
        self._landmarks, self._angles = params.landmarks.double().numpy(), params.angles.double().numpy()
        self._expression = params.expression.double().numpy()
        self._known = np.ones(self._expression.shape[1])

    def __len__(self) -> int:
        return len(self._rows)

    def face(self, index: int, rng: np.random.Generator) -> LabelledFace:
        """One rendered frame; the matte is everything that is not background."""
        row = int(self._rows[index])
        return LabelledFace(
            picture=np.asarray(self._heads.images_file[row]),
            landmarks=self._landmarks[index],
            angles=self._angles[index],
            expression=self._expression[index],
            trust=_RENDER_TRUST,
            known=self._known,
            matte=(np.asarray(self._heads.regions[row]) > 0).astype(np.uint8) * 255,
        )

    def empty(self, rng: np.random.Generator) -> np.ndarray | None:
        """A patch of the backdrop in an upper corner of a frame, or None where the head reaches there."""
        row = int(self._rows[int(rng.integers(len(self._rows)))])
        side = self._heads.images_file.shape[1] // 4
        left = 0 if rng.random() < 0.5 else self._heads.images_file.shape[1] - side
        if self._heads.regions[row, :side, left : left + side].any():
            return None
        return np.ascontiguousarray(self._heads.images_file[row, :side, left : left + side])


class TwinMaterial:
    """Two pictures of one person at a time, which differ little.

    Args:
        faces: where they come from.
        groups: (len(faces),) pictures of one group make pairs; groups of one are left out.

    Raises:
        TrainingError: no group has two.
    """

    def __init__(self, faces: Material, groups: np.ndarray) -> None:
        self._faces = faces
        order = np.argsort(groups, kind="stable")
        members = np.split(order, np.unique(groups[order], return_index=True)[1][1:])
        self._groups = [group for group in members if len(group) > 1]
        if not self._groups:
            raise TrainingError("to learn what changes, the tracker needs two pictures of a person at least")

    def draw(self, count: int, rng: np.random.Generator) -> list[tuple[LabelledFace, LabelledFace]]:
        """`count` pairs, each of another random group."""
        pairs = []
        for group in rng.integers(len(self._groups), size=count):
            first, second = rng.permutation(self._groups[group])[[0, -1]]
            pairs.append((self._faces.face(int(first), rng), self._faces.face(int(second), rng)))
        return pairs


def rendered_twins(heads: RenderedHeads) -> TwinMaterial:
    """Two frames of one scene at a time, of training people only."""
    rows = np.flatnonzero(~held_out_people(heads))
    return TwinMaterial(RenderedMaterial(heads, rows), heads.scene[rows])


def held_out_people(heads: RenderedHeads) -> np.ndarray:
    """(N,) bool: frames of every twentieth person, kept for measuring."""
    people = np.unique(heads.person)
    return np.searchsorted(people, heads.person) % HELD_OUT_PEOPLE_EVERY == HELD_OUT_PEOPLE_EVERY - 1


class Pool(NamedTuple):
    """Training material, how often each kind is used, and what pairs are drawn from."""

    materials: list[Material]
    shares: list[float]
    twins: list[TwinMaterial]


def gather_material(config: TrackerConfig) -> Pool:
    """Training material: renders 30 %, photographs and clips the rest.

    Raises:
        TrainingError: nothing to train on, or no two pictures to learn changes from.
    """
    if config.turned < 0:
        raise TrainingError(f"turned is a number of copies, not {config.turned}")
    materials: list[Material] = []
    shares: list[float] = []
    twins: list[TwinMaterial] = []
    if config.real:
        try:
            folder = data_folder()
        except MissingDataError:
            if config.data is None:
                raise
        else:
            labelled = {"photographs": load_photographs("train", folder)}
            labelled |= {name: load_clip(name, "train", folder) for name in CLIPS}
            if config.turned:
                few = {"folder": folder, "turn_deg": TURN_DEG, "strength": TURNED_STRENGTH}
                labelled["turned"] = reshaped(labelled["photographs"], config.turned, 3, **few)
            if config.labels is not None:
                labelled = relabelled(labelled, config.labels)
            photographs, clips = labelled["photographs"], [labelled[name] for name in CLIPS]
            altered = [reshaped(photographs, 4, 1, folder=folder), *(reshaped(c, 2, 2, 4, folder) for c in clips)]
            materials += [photographs, *clips, *altered]
            shares += [0.14, 0.15, 0.15, 0.18, 0.04, 0.04]
            if config.turned:
                materials.append(labelled["turned"])
                shares.append(0.14)
                twins += [TwinMaterial(faces, faces.people) for faces in (labelled["turned"], *clips)]
    if config.data is not None:
        heads = RenderedHeads(config.data)
        materials.append(RenderedMaterial(heads, np.flatnonzero(~held_out_people(heads))))
        shares.append(0.30)
    if not materials:
        raise TrainingError("the tracker needs rendered heads (data) or photographs (real)")
    if config.twins is not None:
        twins.append(rendered_twins(RenderedHeads(config.twins)))
    return Pool(materials, shares, twins)


class TrackerNetworks(nn.Module):
    """Detector and regressor, trained side by side; they share nothing but the step."""

    def __init__(self, config: TrackerConfig, mean_landmarks: torch.Tensor) -> None:
        super().__init__()
        sizes = RegressorConfig(crop_px=config.crop_px, widths=config.widths, hidden=config.hidden)
        self.detector = FaceDetector(DetectorConfig())
        self.regressor = FaceRegressor(sizes, mean_landmarks)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.02


def mean_landmarks(pool: Pool, crop_px: int) -> torch.Tensor:
    """(68, 2) average points of sample crops, where the regressor starts."""
    batch = draw_crops(pool.materials, pool.shares, crop_px, 128, seed=0)
    return batch.landmarks[batch.presence > 0].mean(0)


def build(config: TrackerConfig, mean: torch.Tensor) -> TrackerNetworks:
    """New networks, or those of `config.start`.

    Raises:
        TrainingError: `start` holds no tracker of this size.
    """
    networks = TrackerNetworks(config, mean)
    if config.start is not None:
        detector, regressor = load_detector(config.start), load_regressor(config.start)
        try:
            networks.detector.load_state_dict(detector.state_dict())
            networks.regressor.load_state_dict(regressor.state_dict())
        except RuntimeError as error:
            raise TrainingError(f"{config.start}: no tracker of this size there ({error})") from error
    return networks


def rate(step: int, config: TrackerConfig, steps: int) -> float:
    """Learning rate of a step: linear warm-up, then half a cosine to zero."""
    rising = min(1.0, (step + 1) / config.warm_up)
    return config.lr * rising * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def draw(run: Run, pool: Pool, config: TrackerConfig):
    """This process's crops and scenes of the step, as network inputs with their targets."""
    processes = run.fabric.world_size
    seed = int(torch.randint(2**62, (1,), generator=run.generator()))
    batch = draw_crops(pool.materials, pool.shares, config.crop_px, max(config.crops // processes, 1), seed)
    count = max(config.scenes // processes, 1)
    scenes, boxes = draw_scenes(pool.materials, pool.shares, config.scene_px, count, seed + 1)
    device = run.fabric.device
    batch = CropBatch(**{name: value.to(device) for name, value in vars(batch).items()})
    inputs = (batch.crops.permute(0, 3, 1, 2).float() / 127.5 - 1, to_tensor(scenes).to(device))
    return batch, boxes, *(part.contiguous(memory_format=torch.channels_last) for part in inputs)


def draw_changes(run: Run, twins: Sequence[TwinMaterial], config: TrackerConfig) -> tuple[CropBatch, torch.Tensor]:
    """This process's twins of the step with their targets, and as network input."""
    seed = int(torch.randint(2**62, (1,), generator=run.generator(2)))
    count, rng = max(config.pairs // run.fabric.world_size, 1), np.random.default_rng(seed)
    kinds = rng.integers(len(twins), size=count)
    pairs = [pair for i, kind in enumerate(twins) for pair in kind.draw(int((kinds == i).sum()), rng)]
    batch = draw_twins(pairs, config.crop_px, seed + 1)
    batch = CropBatch(**{name: value.to(run.fabric.device) for name, value in vars(batch).items()})
    inputs = batch.crops.permute(0, 3, 1, 2).float() / 127.5 - 1
    return batch, inputs.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def show(run: Run, networks: TrackerNetworks, batch: CropBatch, crops: torch.Tensor) -> None:
    """Sample picture: crops with the points read from them (green) and the true ones (red)."""
    reading = networks.regressor(crops[:16])
    drawn = batch.crops[:16].cpu().numpy().copy()
    size = drawn.shape[1]
    for i, picture in enumerate(drawn):
        for points, colour in ((batch.landmarks[i], (255, 0, 0)), (reading.landmarks[i], (0, 255, 0))):
            for x, y in ((points.cpu().numpy() * size + size - 1) / 2).clip(-size, 2 * size):
                cv2.circle(picture, (round(float(x)), round(float(y))), 0, colour, -1)
    run.sample("crops", [to_tensor(drawn)], columns=8)


def train(config: TrackerConfig, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued. The export lies beside it (`save_tracker`)."""
    run = Run(run_config, start_fabric(run_config))
    pool = gather_material(config)
    mean = mean_landmarks(pool, config.crop_px)
    nets = seeded(run_config.seed, lambda: build(config, mean))
    nets = nets.to(run.fabric.device, memory_format=torch.channels_last)
    average = Ema(nets, config.ema_images)
    smooth = cast(TrackerNetworks, average.model)
    optimiser = torch.optim.AdamW(nets.parameters(), lr=config.lr, weight_decay=0.02)
    run.track(networks=nets, average=smooth, optimiser=optimiser)

    for step in run.steps():
        set_rate(optimiser, rate(step, config, run_config.steps))
        batch, boxes, crops, scenes = draw(run, pool, config)
        with run.fabric.autocast():
            reading, maps = nets.regressor(crops), nets.detector(scenes)
        losses = regressor_losses(reading, batch) | detector_losses(maps, boxes, *scenes.shape[2:])
        if pool.twins:
            changes, pictures = draw_changes(run, pool.twins, config)
            with run.fabric.autocast():
                losses |= twin_losses(nets.regressor(pictures), changes)
        run.descend(optimiser, torch.stack(list(losses.values())).sum())
        run.record(**{name: value.detach() for name, value in losses.items()})
        average.update(nets, config.crops, (step + 1) * config.crops)
        if run.every(run_config.sample_every):
            show(run, smooth, batch, crops)
    if run.fabric.global_rank == 0:
        save_tracker(smooth.detector, smooth.regressor, run_config.out)
    return run
