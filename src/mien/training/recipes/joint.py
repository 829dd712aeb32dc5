"""Encoder and A together, with the cycle (One-shot, METHODS section 3); generator and Net3D are frozen.

Half of each batch are pairs of frames, half cross subjects. The run serves as encoder and as directions of a bundle.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.training.engine import Ema, Run, RunConfig, start_fabric
from mien.training.joining import JOINT_WEIGHTS, Jury, Questions, Reenactment, draw_questions
from mien.training.judges import load_judges
from mien.training.parts import describe, load_directions, load_discriminator, load_encoder, load_generator
from mien.training.photographs import Photographs
from mien.training.recipes.direction import open_pairs


@dataclass(frozen=True, kw_only=True)
class JointRecipe:
    """What to train on and how.

    Attributes:
        generator, identity, tracker: folders of finished runs; frozen.
        encoder, directions: runs whose encoder and A are the beginning; directions None takes the encoder's run.
        data: frames in scenes: a folder of rendered heads, or of videos prepared with the `head` crop.
        discriminator: run whose discriminator keeps pictures sharp; None leaves that loss out.
        photographs: share of photographs among the sources that cross subjects (needs the data pack).
        single_share: of what crosses subjects, this share moves along one coordinate only.
        truncation: ψ applied after the shift.
        cycle: False leaves the cycle out, for comparison.
        batch: even; half are pairs.
        lr: of A; encoder_lr: of the encoder, whose layers scale their weights at run time and need more.
        weights: of the losses, `mien.training.joining.JOINT_WEIGHTS`.
    """

    generator: Path
    identity: Path
    tracker: Path
    encoder: Path
    data: Path
    directions: Path | None = None
    discriminator: Path | None = None
    photographs: float = 0.5
    single_share: float = 0.0
    truncation: float = 1.0
    cycle: bool = True
    batch: int = 12
    lr: float = 1e-4
    encoder_lr: float = 3e-4
    weights: dict[str, float] = field(default_factory=lambda: dict(JOINT_WEIGHTS))

    def check(self, num_processes: int = 1) -> None:
        """Make sure that the settings fit together.

        Raises:
            TrainingError: they do not.
        """
        if self.batch < 2 * num_processes or self.batch % (2 * num_processes):
            raise TrainingError(f"a batch of {self.batch} has no equal halves for {num_processes} process(es)")
        if not 0 <= self.photographs <= 1 or not 0 <= self.single_share <= 1:
            raise TrainingError("--photographs and --single-share are shares from 0 to 1")
        if set(self.weights) != set(JOINT_WEIGHTS):
            raise TrainingError(f"loss weights: {', '.join(self.weights)}; expected {', '.join(JOINT_WEIGHTS)}")


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"batch": 4, "photographs": 0.0},
    # two cores, from a trained encoder and directions; end it with --max-minutes
    "two-core": {"batch": 8},
    # one large GPU
    "accelerator": {"batch": 32},
}
STEPS = {"tiny": 20, "two-core": 3_000, "accelerator": 100_000}


def load_reenactment(config: JointRecipe, device: torch.device) -> Reenactment:
    """The networks at the beginning; encoder and A train.

    Raises:
        TrainingError: a run is missing, or its network does not fit the generator.
    """
    generator = load_generator(config.generator).to(device)
    encoder = load_encoder(config.encoder).to(device)
    matrix = load_directions(config.directions or config.encoder).to(device)
    rows, dim = generator.num_rows, generator.config.style_dim
    if (encoder.config.num_rows, encoder.config.style_dim) != (rows, dim):
        raise TrainingError(f"{config.encoder}: its encoder does not fit this generator")
    fits = matrix.config.coordinates == len(arkit_motion_space()) and matrix.config.rows <= rows
    if not fits or matrix.config.dim != dim:
        raise TrainingError(f"{config.directions or config.encoder}: its directions do not fit this generator")
    for network in (encoder, matrix):
        network.train().requires_grad_(True)
    return Reenactment(encoder, matrix, generator, config.truncation)


def train(config: JointRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    run = Run(run_config, start_fabric(run_config))
    config.check(run.fabric.world_size)
    device, motion = run.fabric.device, arkit_motion_space()
    networks = load_reenactment(config, device)
    generator, encoder, matrix = networks.generator, networks.encoder, networks.directions
    critic = load_discriminator(config.discriminator).to(device) if config.discriminator else None
    jury = Jury(load_judges(config.tracker, config.identity, device), motion, critic)
    side = generator.config.resolution
    pairs = open_pairs(config.data, motion, side)
    photographs = Photographs(side) if config.photographs else None
    counts = config.batch, round(config.photographs * config.batch / 2)
    trained = nn.ModuleDict({"encoder": encoder, "directions": matrix})
    average = Ema(trained, 5000.0)
    optimiser = torch.optim.Adam(
        [
            {"params": list(encoder.parameters()), "lr": config.encoder_lr},
            {"params": list(matrix.parameters()), "lr": config.lr},
        ]
    )
    run.track(encoder=encoder, directions=matrix, average=average.model, optimiser=optimiser)
    describe(run_config.out, encoder=encoder, directions=matrix)

    for step in run.steps():
        drawn = draw_questions(pairs, photographs, motion, counts, config.single_share, run.shared_generator())
        questions: Questions = drawn.part(run.share).to(device)
        with run.fabric.autocast():
            answers = networks.answer(questions, config.cycle)
            losses = jury.verdict(questions, answers, generator.w_mean)
        losses = {name: value for name, value in losses.items() if config.cycle or not name.startswith("cycle")}
        run.descend(optimiser, torch.stack([config.weights[name] * value for name, value in losses.items()]).sum())
        average.update(trained, config.batch, (step + 1) * config.batch)
        run.record(**losses)
        if run.every(run_config.sample_every):
            shown = [questions.images, answers.inversion, answers.moved, answers.cycled]
            run.sample("joint", [part[:8] for part in shown], columns=min(8, len(questions.images)))
    return run
