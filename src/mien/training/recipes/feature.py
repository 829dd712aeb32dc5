"""Feature refinement (One-shot, METHODS section 3): E_F on inversions, FT on pairs; everything else is frozen.

Train it on the encoder and the directions of the bundle that it goes into: it mends what these two leave.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.inversion import FeatureRefiner, copying, feature_config, filling
from mien.stylegan2 import Discriminator, Generator
from mien.training.engine import Ema, Run, RunConfig, seeded, set_rate, settled, start_fabric
from mien.training.game import judge_loss
from mien.training.judges import load_judges
from mien.training.parts import (
    describe,
    load_directions,
    load_discriminator,
    load_encoder,
    load_fitting_feature,
    load_generator,
)
from mien.training.photographs import Photographs
from mien.training.recipes.direction import open_pairs
from mien.training.refining import FEATURE_WEIGHTS, Inversion, Lessons, Refined, RefinementJury, draw_lessons, refine


@dataclass(frozen=True, kw_only=True)
class FeatureRecipe:
    """What to train on and how.

    Attributes:
        generator, identity, tracker: folders of finished runs; frozen.
        encoder, directions: runs whose encoder and A make the codes (`joint` is both); directions None takes the
            encoder's run.
        data: frames in scenes: a folder of rendered heads, or of videos prepared with the `head` crop.
        start: run of this recipe or bundle whose refinement is the beginning; layer, width and matching are then its
            own. None starts from zero.
        layer: side of the feature map that is refined: 16, 32 or 64.
        width: of the inner layers of both networks.
        matching: width of the descriptions by which the transformer matches places; None leaves the matching out.
        fills: let the transformer add what moved faces show and the source did not; with `start`, too.
        discriminator: run whose discriminator keeps pictures sharp; None leaves that loss out.
        critic_lr: learning rate at which it goes on learning, from refined pictures against the true ones; 0 leaves it
            as it was.
        settle: share of the steps, at the end, over which the learning rates fall to a tenth.
        finest: what the finest level and the edges count in the pixel loss of moved pictures.
        r1: γ of the R1 and R2 penalties, applied every `r1_every` steps.
        photographs: share of photographs in a batch (needs the data pack); they teach E_F.
        crossing: let photographs teach FT, too: moved like somebody else, with Net3D and the identity net as judges.
        truncation: ψ applied after the shift, as in the bundle.
        weights: of the losses, `mien.training.refining.FEATURE_WEIGHTS`.
    """

    generator: Path
    identity: Path
    tracker: Path
    encoder: Path
    data: Path
    directions: Path | None = None
    start: Path | None = None
    layer: int = 32
    width: int = 48
    matching: int | None = 32
    fills: bool = False
    discriminator: Path | None = None
    photographs: float = 0.35
    crossing: bool = False
    truncation: float = 1.0
    batch: int = 12
    lr: float = 1e-3
    critic_lr: float = 1e-3
    settle: float = 0.25
    finest: float = 0.25
    r1: float = 1.0
    r1_every: int = 16
    weights: dict[str, float] = field(default_factory=lambda: dict(FEATURE_WEIGHTS))

    def counts(self, num_processes: int = 1) -> tuple[int, int]:
        """B and the number of photographs among them.

        Raises:
            TrainingError: they do not divide among the processes, or leave no pairs; or the losses' names are wrong.
        """
        if set(self.weights) != set(FEATURE_WEIGHTS):
            raise TrainingError(f"loss weights: {', '.join(self.weights)}; expected {', '.join(FEATURE_WEIGHTS)}")
        num_photos = round(self.photographs * self.batch / num_processes) * num_processes
        if self.batch % num_processes or not 0 <= num_photos < self.batch:
            raise TrainingError(
                f"a batch of {self.batch} with {num_photos} photographs cannot be shared or has no pairs"
            )
        return self.batch, num_photos


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"batch": 4, "layer": 16, "width": 8, "photographs": 0.0},
    # two cores, from a trained encoder and directions; end it with --max-minutes
    "two-core": {"batch": 8, "layer": 64},
    # one large GPU
    "accelerator": {"batch": 32, "width": 128},
}
STEPS = {"tiny": 20, "two-core": 3_000, "accelerator": 100_000}


def new_refiner(config: FeatureRecipe, generator: Generator) -> FeatureRefiner:
    """Networks that fit the generator and change nothing yet, or those of `config.start`.

    Raises:
        TrainingError: the generator has no such feature map.
    """
    if config.start is not None:
        refiner = load_fitting_feature(config.start, generator).train().requires_grad_(True)
        return filling(refiner) if config.fills and not refiner.config.fills else refiner
    try:
        refiner = FeatureRefiner(feature_config(generator.config, config.layer, config.width, config.matching))
    except ValueError as error:
        raise TrainingError(f"--layer {config.layer}: {error}") from error
    return filling(refiner) if config.fills else refiner


class Game:
    """A discriminator that goes on learning to tell refined pictures from the true ones, pair by pair."""

    def __init__(self, critic: Discriminator, config: FeatureRecipe) -> None:
        self.critic, self._gamma, self._every = critic, config.r1, config.r1_every
        self.optimiser = torch.optim.Adam(critic.parameters(), lr=config.critic_lr, betas=(0.0, 0.99))

    def play(self, run: Run, lessons: Lessons, refined: Refined) -> dict[str, torch.Tensor]:
        """One step of the discriminator, frozen before and after; its losses."""
        self.critic.requires_grad_(True)
        gamma = self._gamma * self._every if run.every(self._every) else None
        with run.fabric.autocast():
            losses = judge_loss(self.critic, lessons.true, refined.drawn.detach(), gamma)
        run.descend(self.optimiser, torch.stack(list(losses.values())).sum())
        self.critic.requires_grad_(False)
        return losses


def train(config: FeatureRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    run = Run(run_config, start_fabric(run_config))
    counts = config.counts(run.fabric.world_size)
    device, motion = run.fabric.device, arkit_motion_space()
    generator = load_generator(config.generator).to(device)
    matrix = load_directions(config.directions or config.encoder).to(device)
    inversion = Inversion(load_encoder(config.encoder).to(device), matrix, generator, config.truncation)
    critic = load_discriminator(config.discriminator).to(device) if config.discriminator else None
    finest = 1.0 if critic is None else config.finest
    jury = RefinementJury(load_judges(config.tracker, config.identity, device), motion, critic, finest)
    pairs = open_pairs(config.data, motion, generator.config.resolution)
    photographs = Photographs(generator.config.resolution) if counts[1] else None
    refiner = seeded(run_config.seed, lambda: new_refiner(config, generator)).to(device)
    average = Ema(refiner, 5000.0)
    optimiser = torch.optim.Adam(refiner.parameters(), lr=config.lr, betas=(0.9, 0.99))
    game = Game(critic, config) if critic is not None and config.critic_lr else None
    playing = {} if game is None else {"critic": game.critic, "critic_optimiser": game.optimiser}
    run.track(feature=refiner, average=average.model, optimiser=optimiser, **playing)
    describe(run_config.out, feature=refiner)

    for step in run.steps():
        share = settled(step, run_config.steps, config.settle)
        set_rate(optimiser, config.lr * share)
        if game is not None:
            set_rate(game.optimiser, config.critic_lr * share)
        drawn = draw_lessons(pairs, photographs, motion, counts, run.shared_generator(), config.crossing)
        lessons: Lessons = drawn.part(run.share).to(device)
        with run.fabric.autocast():
            refined = refine(inversion, refiner, lessons)
            losses = jury.verdict(lessons, refined)
        run.descend(optimiser, torch.stack([config.weights[name] * value for name, value in losses.items()]).sum())
        average.update(refiner, config.batch, (step + 1) * config.batch)
        run.record(**losses)
        if game is not None:
            run.record(**game.play(run, lessons, refined))
        if run.every(run_config.sample_every):
            with torch.no_grad():
                copied = refine(inversion, copying(refiner), lessons).moved
            count = len(lessons.targets)
            shown = [lessons.images, refined.plain, refined.inversion, lessons.targets, copied, refined.moved]
            run.sample("feature", [part[:count] for part in shown], columns=count)
            if len(refined.crossed):
                crossing = [lessons.images[-len(refined.crossed) :], refined.crossed]
                run.sample("crossing", crossing, columns=len(refined.crossed))
    return run
