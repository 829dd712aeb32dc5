"""Where things go when a head moves, learned from pictures alone: the flow of the refinement's transformer.

A frame of a scene, carried by the flow between the generator's maps of both frames, should show the other frame. That
needs neither what lies behind the refined map nor gradients through the generator, so that thousands of steps take
minutes; what `feature` and `grow` then teach starts from flows that lead to the right place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.images import shrink_to
from mien.inversion import FeatureRefiner, following
from mien.inversion.flow import warp
from mien.losses.image import pyramid_l1
from mien.stylegan2 import Generator
from mien.training.engine import Ema, Run, RunConfig, seeded, set_rate, settled, start_fabric
from mien.training.parts import describe, load_directions, load_encoder, load_fitting_feature, load_generator
from mien.training.recipes.direction import open_pairs
from mien.training.refining import Inversion, draw_lessons


@dataclass(frozen=True, kw_only=True)
class FlowRecipe:
    """What to train on and how.

    Attributes:
        generator, encoder: finished runs, or a bundle; frozen.
        feature: run or bundle whose refinement is the beginning; its transformer must match places. All else that it
            has learned stays; the flow of its convolutions, which is not needed any more, begins again at zero.
        data: frames in scenes, at the generator's resolution: a folder of rendered heads.
        directions: run or bundle whose A moves codes; None takes the encoder's.
        tracing: width of the networks that correct the flow.
        opening: share of the moved map that the carried one replaces at first.
        picture: side at which pictures are carried and compared.
        smooth: weight of the mean squared differences of the flow, in cells.
        settle: share of the steps, at the end, over which the learning rate falls to a tenth.
        truncation: ψ applied after the shift, as in the bundle.
    """

    generator: Path
    encoder: Path
    feature: Path
    data: Path
    directions: Path | None = None
    tracing: int = 32
    opening: float = 0.5
    picture: int = 128
    smooth: float = 0.003
    batch: int = 8
    lr: float = 2e-3
    settle: float = 0.4
    truncation: float = 1.0
    ema_images: float = 4000.0

    def check(self, side: int, num_processes: int) -> None:
        """Raises TrainingError: the numbers do not fit each other or pictures of `side` pixels."""
        if not 0 < self.opening < 1:
            raise TrainingError("--opening is a share between 0 and 1")
        if self.batch % num_processes:
            raise TrainingError(f"a batch of {self.batch} cannot be shared by {num_processes} processes")
        if self.picture > side or side % self.picture:
            raise TrainingError(f"--picture {self.picture}: pictures of {side} pixels cannot be shrunk to that")


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"batch": 4, "tracing": 8, "picture": 16},
    # two cores, 17 minutes
    "two-core": {},
    # one large GPU
    "accelerator": {"batch": 64, "tracing": 64, "picture": 256},
}
STEPS = {"tiny": 30, "two-core": 2_000, "accelerator": 40_000}


def new_refiner(config: FlowRecipe, generator: Generator) -> FeatureRefiner:
    """The networks of `config.feature`, which from now on follow their flow and blend.

    Raises:
        TrainingError: they do so already, match nothing, or refine another generator's maps.
    """
    refiner = load_fitting_feature(config.feature, generator)
    if refiner.config.tracing is not None or refiner.config.matching is None:
        raise TrainingError(f"{config.feature}: its refinement traces flows already, or has no matches to trace")
    made = following(refiner, config.tracing, math.log(config.opening / (1 - config.opening)))
    nn.init.zeros_(made.transformer.write.weight.data[:2])
    return made.requires_grad_(False)


def carried(pictures: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Pictures (B, 3, P, P) carried by a flow (B, 2, R, R) of a coarser grid."""
    return warp(pictures, F.interpolate(flow, size=pictures.shape[-2:], mode="bilinear", align_corners=False))


def flow_losses(
    flow: torch.Tensor, source: torch.Tensor, target: torch.Tensor, weight: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Means of `pixel`, the distance (`pyramid_l1`) of carried sources from targets (B, 3, P, P), and `smooth`, squared
    differences of the flow (B, 2, R, R) in cells of its own grid."""
    cells = flow * flow.shape[-1] / 2
    bends = cells.diff(dim=2).square().mean() + cells.diff(dim=3).square().mean()
    return {"pixel": pyramid_l1(carried(source, flow), target, weight).mean(), "smooth": bends}


def train(config: FlowRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    run = Run(run_config, start_fabric(run_config))
    device, motion = run.fabric.device, arkit_motion_space()
    generator = load_generator(config.generator).to(device)
    config.check(generator.config.resolution, run.fabric.world_size)
    matrix = load_directions(config.directions or config.encoder).to(device)
    inversion = Inversion(load_encoder(config.encoder).to(device), matrix, generator, config.truncation)
    pairs = open_pairs(config.data, motion, generator.config.resolution)
    refiner = seeded(run_config.seed, lambda: new_refiner(config, generator)).to(device)
    layer, transformer = refiner.config.layer, refiner.transformer
    assert transformer.matching is not None and transformer.tracing is not None
    learning = [*transformer.matching.parameters(), *transformer.tracing.parameters()]
    for parameter in learning:
        parameter.requires_grad_(True)
    average = Ema(refiner, config.ema_images)
    optimiser = torch.optim.Adam(learning, lr=config.lr, betas=(0.9, 0.99))
    run.track(feature=refiner, average=average.model, optimiser=optimiser)
    describe(run_config.out, feature=refiner)

    for step in run.steps():
        set_rate(optimiser, config.lr * settled(step, run_config.steps, config.settle))
        drawn = draw_lessons(pairs, None, motion, (config.batch, 0), run.shared_generator())
        lessons = drawn.part(run.share).to(device)
        with run.fabric.autocast():
            with torch.no_grad():
                source, moved = (generator.feature_map(code, layer, "none") for code in inversion.codes(lessons))
            flow = transformer.flow(source, moved)
        seen = [shrink_to(x, config.picture) for x in (lessons.images, lessons.targets, lessons.target_weight)]
        losses = flow_losses(flow, *seen)
        run.descend(optimiser, losses["pixel"] + config.smooth * losses["smooth"])
        average.update(refiner, config.batch, (step + 1) * config.batch)
        with torch.no_grad():
            unmoved = flow_losses(torch.zeros_like(flow), *seen)["pixel"]
        run.record(**losses, unmoved=unmoved)
        if run.every(run_config.sample_every):
            run.sample("carried", [*seen[:2], carried(seen[0], flow.detach())], columns=len(lessons.images))
    return run
