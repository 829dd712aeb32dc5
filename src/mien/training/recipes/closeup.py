"""Close-ups for a finished tracker: corrections of the expression from enlarged cuts of mouth and eyes.

Whatever close-ups say is learned twice: read from their pixels alone, and as a correction of what the tracker read.
The tracker stays as it is, bit for bit. It looks at each crop as in use, the close-ups are cut where its landmarks lie,
and only the net for them learns (`mien.tracking.closeup`), on the material of the `tracker` recipe, in crops of twice
the resolution: what single pictures show, and what changes between two pictures of one person. The export is the
tracker with its close-ups.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch.nn import functional as F

from mien.errors import TrainingError
from mien.tracking.closeup import CloseUpConfig, CloseUpNet, CloseUps, cut_closeups
from mien.tracking.embedded import merged, save_tracker
from mien.tracking.layers import folded
from mien.tracking.objectives import regressor_losses, twin_losses
from mien.tracking.regressor import FaceReading, FaceRegressor
from mien.tracking.samples import CropBatch, draw_enlarged, draw_faces
from mien.training.engine import Ema, Run, RunConfig, seeded, set_rate, start_fabric
from mien.training.parts import load_closeup, load_detector, load_regressor
from mien.training.recipes.tracker import Pool, TrackerConfig, gather_material

ENLARGEMENT = 2
"""Side of the crops that close-ups are cut from over that of the regressor's."""
TWIN_DOUBT = 0.3
"""How much less alike the numbers are that are added to what was read of two twins."""
_SHIFT, _SPREAD = 0.012, 0.04
"""Standard deviations of how far off close-ups are cut, in sides of the face's square, and of their relative size."""


@dataclass(frozen=True, kw_only=True)
class CloseUpRecipe:
    """What to train on and how.

    Attributes:
        start: run of recipe `tracker` or `closeup`, or bundle, whose tracker is to look closer; close-ups that it has
            are trained further.
        data, twins, turned, real, labels: the material, as for the `tracker` recipe.
        rendered: share of the single faces that are rendered, where there are renders; photographs and clips are few,
            and the tracker knows them: what it reads there is no measure of what it reads elsewhere.
        crops, pairs: single faces and twins per step, over all processes.
        mouth_px, eye_px, widths, squeeze, hidden: size of the net.
        twin_weight: of the loss of what changes, in that of the `tracker` recipe.
        lr: peak learning rate; warmed up over `warm_up` steps, then falling to zero as a cosine.
        decay: weight decay.
        doubt: standard deviation of what is added to the logits that the regressor read, before they are corrected.
        ema_images: half-life of the averaged weights in crops.
    """

    start: Path
    data: Path | None = None
    twins: Path | None = None
    turned: int = 0
    real: bool = True
    labels: Path | None = None
    rendered: float = 0.6
    crops: int = 44
    pairs: int = 12
    mouth_px: int = 96
    eye_px: int = 64
    widths: tuple[int, int, int, int] = (20, 32, 56, 96)
    squeeze: int = 24
    hidden: int = 96
    twin_weight: float = 1.0
    lr: float = 3e-3
    warm_up: int = 100
    decay: float = 0.05
    doubt: float = 0.4
    ema_images: float = 4000.0


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under a minute: runs, losses fall
    "tiny": {"crops": 6, "pairs": 2, "widths": (4, 8, 8, 12), "squeeze": 4, "hidden": 16, "warm_up": 5},
    # one core, about 35 minutes, renders of 256 pixels
    "two-core": {},
    # one large GPU with 16 cores for the samples
    "accelerator": {"crops": 192, "pairs": 48, "widths": (32, 48, 80, 128), "hidden": 192, "ema_images": 20000.0},
}
STEPS = {"tiny": 40, "two-core": 4_000, "accelerator": 20_000}


class Lesson(NamedTuple):
    """Faces of one step.

    Attributes:
        batch: single faces, then twins two by two.
        singles: how many of the faces are single.
        seen: their close-ups.
        reading: what the frozen regressor read in them.
    """

    batch: CropBatch
    singles: int
    seen: CloseUps
    reading: FaceReading


def gather(config: CloseUpRecipe) -> Pool:
    """The tracker's training material; see `gather_material`."""
    fields = ("data", "twins", "turned", "real", "labels")
    pool = gather_material(TrackerConfig(**{name: getattr(config, name) for name in fields}))
    if config.data is None or len(pool.shares) == 1:
        return pool
    *others, _ = pool.shares  # renders come last
    others = [share * (1 - config.rendered) / sum(others) for share in others]
    return pool._replace(shares=[*others, config.rendered])


def build(config: CloseUpRecipe) -> CloseUpNet:
    """A new net whose corrections are zero, or that of `config.start`.

    Raises:
        TrainingError: `start` has close-ups of another size.
    """
    names = ("mouth_px", "eye_px", "widths", "squeeze", "hidden")
    net = CloseUpNet(CloseUpConfig(**{name: getattr(config, name) for name in names}))
    before = load_closeup(config.start)
    if before is not None:
        if before.config != net.config:
            raise TrainingError(f"{config.start}: its close-ups have another size ({before.config})")
        net.load_state_dict(before.state_dict())
    return net


def rate(step: int, config: CloseUpRecipe, steps: int) -> float:
    """Learning rate of a step: linear warm-up, then half a cosine to zero."""
    rising = min(1.0, (step + 1) / config.warm_up)
    return config.lr * rising * 0.5 * (1 + math.cos(math.pi * min(step / steps, 1.0)))


def draw(run: Run, pool: Pool, config: CloseUpRecipe, size: int) -> tuple[CropBatch, int]:
    """This process's enlarged crops of the step, single faces before twins, and how many are single."""
    rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=run.generator())))
    singles = draw_faces(pool.materials, pool.shares, max(config.crops // run.fabric.world_size, 1), rng)
    parts = [draw_enlarged(singles, size, int(rng.integers(2**62)))]
    if pool.twins:
        kinds = rng.integers(len(pool.twins), size=max(config.pairs // run.fabric.world_size, 1))
        pairs = [pair for i, twins in enumerate(pool.twins) for pair in twins.draw(int((kinds == i).sum()), rng)]
        faces = [face for pair in pairs for face in pair]
        parts.append(draw_enlarged(faces, size, int(rng.integers(2**62)), alike=2))
    columns = {name: torch.cat([getattr(part, name) for part in parts]) for name in vars(parts[0])}
    return CropBatch(**columns), len(singles)


@torch.no_grad()
def look(run: Run, regressor: FaceRegressor, batch: CropBatch, config: CloseUpConfig) -> tuple[CloseUps, FaceReading]:
    """Close-ups of the crops' faces, placed nearly where the regressor sees them, and what it reads as in use."""
    device, size = run.fabric.device, batch.crops.shape[1]
    crops = F.avg_pool2d(batch.crops.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1, ENLARGEMENT)
    both = torch.cat([crops, crops.flip(3)]).contiguous(memory_format=torch.channels_last)
    with run.fabric.autocast():
        reading = merged(FaceReading(*(value.float() for value in regressor(both))))
    points = (reading.landmarks.cpu() * size + size - 1) / 2
    noise = torch.randn(len(points), 3, generator=run.generator(1))
    middle = points.mean(1, keepdim=True)
    points = middle + (points - middle) * torch.exp(_SPREAD * noise[:, None, 2:])
    points = points + _SHIFT * size * noise[:, None, :2]
    cuts = cut_closeups(list(batch.crops.numpy()), points.double().numpy(), config)
    return CloseUps(*(cut.to(device) for cut in cuts)), reading


def doubted(run: Run, lesson: Lesson, doubt: float) -> Lesson:
    """The lesson with random numbers added to the logits that were read, nearly the same ones for both of two twins.

    The regressor knows the pictures that it was trained with too well: what it reads there leaves a net nothing to
    learn, and errs elsewhere.
    """
    seen, generator = lesson.reading.expression, run.generator(2)
    noise = torch.randn(seen.shape, generator=generator)
    noise[lesson.singles + 1 :: 2] = noise[lesson.singles :: 2]
    noise[lesson.singles :] += TWIN_DOUBT * torch.randn(noise[lesson.singles :].shape, generator=generator)
    return lesson._replace(reading=lesson.reading._replace(expression=seen + doubt * noise.to(seen)))


def losses_of(lesson: Lesson, expression: torch.Tensor, config: CloseUpRecipe) -> dict[str, torch.Tensor]:
    """Scalar losses of the logits of expressions: of single faces, and of changes between twins where there are any."""
    singles, device = lesson.singles, expression.device
    reading = lesson.reading._replace(expression=expression)

    def part(rows: slice) -> tuple[FaceReading, CropBatch]:
        columns = {name: value[rows].to(device) for name, value in vars(lesson.batch).items()}
        return FaceReading(*(value[rows] for value in reading)), CropBatch(**columns)

    losses = {"expression": regressor_losses(*part(slice(singles)))["expression"]}
    if len(expression) > singles:
        losses["change"] = config.twin_weight * twin_losses(*part(slice(singles, None)))["twin_expression"]
    return losses


def train(config: CloseUpRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued. The export lies beside it (`save_tracker`)."""
    run = Run(run_config, start_fabric(run_config))
    base = load_regressor(config.start)
    regressor = cast(FaceRegressor, folded(base)).to(run.fabric.device)
    pool = gather(config)
    net = seeded(run_config.seed, lambda: build(config)).to(run.fabric.device, memory_format=torch.channels_last)
    average = Ema(net, config.ema_images)
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=config.decay)
    run.track(net=net, average=average.model, optimiser=optimiser)

    for step in run.steps():
        set_rate(optimiser, rate(step, config, run_config.steps))
        batch, singles = draw(run, pool, config, ENLARGEMENT * base.config.crop_px)
        lesson = Lesson(batch, singles, *look(run, regressor, batch, net.config))
        doubtful = doubted(run, lesson, config.doubt)
        with run.fabric.autocast():
            closer = net(doubtful.seen, doubtful.reading)
        losses = losses_of(lesson, doubtful.reading.expression + closer.correction, config)
        losses |= {f"own_{name}": value for name, value in losses_of(lesson, closer.own, config).items()}
        run.descend(optimiser, torch.stack(list(losses.values())).sum())
        before = losses_of(lesson, lesson.reading.expression, config)
        run.record(**losses, **{f"{name}_before": value for name, value in before.items()})
        average.update(net, len(closer.own), (step + 1) * len(closer.own))
        if run.every(run_config.sample_every):
            left, right = lesson.seen.eyes[:8].flip(-1)[:, 1], lesson.seen.eyes[:8, 0]
            mouths = F.interpolate(lesson.seen.mouth[:8], left.shape[-1], mode="area")
            run.sample("closeups", [mouths, right, left], columns=8)
    if run.fabric.global_rank == 0:
        save_tracker(load_detector(config.start), base, run_config.out, average.model)
    return run
