"""Twice the resolution for a finished system: only refinement, and the layers behind its feature map, learn.

Encoder, directions and mask networks serve the grown generator as they are (`mien.training.growing`), so nothing else
needs to be trained again. The run holds generator, encoder (with two more rows), directions, refinement and
discriminator.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import torch

from mien.errors import TrainingError
from mien.face3d import MotionSpace, arkit_motion_space
from mien.face3d.motion import Q_LIMIT
from mien.inversion import FeatureRefiner
from mien.stylegan2 import DiscriminatorConfig, Generator
from mien.tracking.material import GENERATED
from mien.training.engine import Ema, Run, RunConfig, seeded, set_rate, settled, start_fabric
from mien.training.game import judge_loss, total_loss
from mien.training.growing import (
    GROWTH_WEIGHTS,
    Grown,
    Redrawing,
    Redrawn,
    growth_losses,
    look,
    watched_losses,
)
from mien.training.judges import load_judges
from mien.training.parts import (
    describe,
    load_directions,
    load_discriminator,
    load_encoder,
    load_feature,
    load_generator,
)
from mien.training.photographs import Photographs
from mien.training.recipes.direction import open_pairs
from mien.training.refining import Inversion, Lessons, draw_lessons

LIDS, GAZE = ("blink_left", "blink_right"), ("gaze_x", "gaze_y")


@dataclass(frozen=True, kw_only=True)
class GrowRecipe:
    """What to train on and how.

    Attributes:
        generator, encoder, feature: finished runs, or a bundle, of half the resolution.
        directions: run or bundle whose A moves codes; None takes the encoder's.
        start: run of this recipe whose generator, refinement and discriminator are the beginning; None begins with the
            smaller system.
        carried: run of recipe `flow` whose refinement begins in the place of that of `start`.
        is_flow_fixed: leave matches and tracing as that recipe taught them; judges of likeness bend them (docs/log.md).
        tracker: run or bundle whose Net3D says whether portraits that move show what was asked for; refinement that
            sees finer would rather keep their eyes open. None leaves that out.
        closely: let it look at mouth and eyes enlarged, if the tracker does so.
        identity: run of recipe `identity` whose net says whether what moves is still the same person; needs a tracker.
            The finer that net sees the better: what is coarse is held already. None leaves that out.
        data: frames in scenes, at the new resolution: a folder of rendered heads.
        channel_min: least width of the new layers; None: as the generator's formula has it.
        batch: sources of a step, `photographs` of them (a share) portraits of nobody real (needs the data pack), which
            move like somebody else.
        lids, glances: shares of the portraits that close their eyes as well, and that look anywhere.
        plain: share of the pairs that are drawn from their codes alone, too, as method `directions` draws them.
        window: side of the windows through which the discriminator looks.
        critic_base: its channel base (see `DiscriminatorConfig`).
        warm_up: steps at the beginning in which it learns alone.
        weights: of the losses, `mien.training.growing.GROWTH_WEIGHTS`.
        feature_lr: learning rate of the refinement.
        finest: what the finest level and the edges count in the pixel losses, which ask for blur there.
        settle: share of the steps, at the end, over which the learning rates fall to a tenth.
        truncation: ψ applied after the shift, as in the bundle.
        r1: γ of the R1 and R2 penalties, applied every `r1_every` steps.
    """

    generator: Path
    encoder: Path
    feature: Path
    data: Path
    directions: Path | None = None
    start: Path | None = None
    carried: Path | None = None
    is_flow_fixed: bool = True
    tracker: Path | None = None
    closely: bool = True
    identity: Path | None = None
    channel_min: int | None = 24
    batch: int = 6
    photographs: float = 0.5
    lids: float = 0.35
    glances: float = 0.3
    plain: float = 0.5
    window: int = 128
    critic_base: int = 2048
    warm_up: int = 60
    lr: float = 1.5e-3
    feature_lr: float = 7e-4
    critic_lr: float = 2.5e-3
    weights: dict[str, float] = field(default_factory=lambda: dict(GROWTH_WEIGHTS))
    finest: float = 0.3
    settle: float = 0.35
    truncation: float = 1.0
    r1: float = 1.0
    r1_every: int = 16
    ema_images: float = 5000.0

    def counts(self, num_processes: int) -> tuple[int, int]:
        """Sources of a step and the portraits among them.

        Raises:
            TrainingError: they leave no pairs, or do not divide among the processes; the losses' names are wrong; more
                than all portraits have busy eyes; there is an identity net and no tracker, or a flow and no start.
        """
        if set(self.weights) != set(GROWTH_WEIGHTS):
            raise TrainingError(f"loss weights: {', '.join(self.weights)}; expected {', '.join(GROWTH_WEIGHTS)}")
        if self.carried and not self.start:
            raise TrainingError("--carried follows a grown system's flow: it needs --start")
        if self.identity and not self.tracker:
            raise TrainingError("what moves is judged by Net3D first: --identity needs --tracker")
        if min(self.lids, self.glances) < 0 or self.lids + self.glances > 1:
            raise TrainingError("--lids and --glances are shares of the portraits, together at most 1")
        num_photos = round(self.photographs * self.batch / num_processes) * num_processes
        if self.batch % num_processes or not 0 <= num_photos < self.batch:
            raise TrainingError(f"a batch of {self.batch} with {num_photos} portraits cannot be shared or has no pairs")
        return self.batch, num_photos


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"batch": 4, "photographs": 0.0, "window": 32, "critic_base": 256, "channel_min": None, "warm_up": 0},
    # two cores, nearly two hours for the step from 128² to 256²; end it with --max-minutes
    "two-core": {},
    # two cores, 46 minutes, from a system that was grown and a run of `flow` (--start, --carried)
    "two-core-carried": {"lr": 5e-4, "feature_lr": 1e-3, "settle": 0.4, "warm_up": 20},
    # one large GPU
    "accelerator": {"batch": 48, "critic_base": 8192, "channel_min": 64, "warm_up": 500},
}
STEPS = {"tiny": 20, "two-core": 5_900, "two-core-carried": 2_400, "accelerator": 60_000}


def build(config: GrowRecipe, small: Generator, feature: FeatureRefiner) -> Grown:
    """The grown networks.

    Raises:
        TrainingError: a run is missing, or the sizes do not fit each other.
    """
    directions = load_directions(config.directions or config.encoder)
    side, finest = config.window, 2 * small.config.resolution
    if side > finest:
        raise TrainingError(f"windows of {side} pixels do not fit into pictures of {finest}")
    try:
        critic = DiscriminatorConfig(resolution=side, channel_base=config.critic_base, channel_max=256)
        nets = Grown(small, load_encoder(config.encoder), directions, feature, config.channel_min, critic)
        if config.start is not None:
            nets.go_on(
                load_generator(config.start),
                load_feature(config.carried or config.start),
                load_discriminator(config.start),
            )
    except ValueError as error:
        raise TrainingError(f"{config.generator}: this generator cannot grow as asked for ({error})") from error
    return nets


def with_busy_eyes(
    lessons: Lessons, motion: MotionSpace, lids: float, glances: float, draws: torch.Generator
) -> Lessons:
    """Shares of the portraits that move close their eyes, or look anywhere, whatever else they do; frames of scenes do
    so too rarely."""
    q, closing, looking = lessons.q_cross.clone(), *([motion.index(n) for n in names] for names in (LIDS, GAZE))
    chosen = torch.rand(len(q), 1, generator=draws)
    q[:, closing] = torch.where(chosen < lids, Q_LIMIT, q[:, closing])
    anywhere = Q_LIMIT * (2 * torch.rand(len(q), len(looking), generator=draws) - 1)
    q[:, looking] = torch.where((chosen >= lids) & (chosen < lids + glances), anywhere, q[:, looking])
    return replace(lessons, q_cross=q)


def shown(lessons: Lessons, redrawn: Redrawn) -> list[torch.Tensor]:
    """Rows of a sample picture: sources, redrawn; true frames beside portraits, and what moved."""
    portraits = lessons.images[len(lessons.targets) :]
    return [lessons.images, redrawn.still, lessons.targets, portraits, redrawn.moved, redrawn.crossed]


def train(config: GrowRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    run = Run(run_config, start_fabric(run_config))
    counts, device, motion = config.counts(run.fabric.world_size), run.fabric.device, arkit_motion_space()
    small, refiner = load_generator(config.generator).to(device), load_feature(config.feature).to(device)
    nets = seeded(run_config.seed, lambda: build(config, small, refiner)).to(device, memory_format=torch.channels_last)
    inversion = Inversion(nets.encoder, nets.directions, nets.generator, config.truncation)
    side, average = nets.generator.config.resolution, Ema(nets, config.ema_images)
    redrawing = Redrawing(small, inversion, nets.feature, cast(Grown, average.model).generator)
    pairs = open_pairs(config.data, motion, side)
    photographs = Photographs(side, GENERATED) if counts[1] else None
    judges = load_judges(config.tracker, config.identity, device, closely=config.closely) if config.tracker else None
    maker = torch.optim.Adam(nets.release(), lr=config.lr, betas=(0.5, 0.99))
    if config.is_flow_fixed and nets.feature.transformer.tracing is not None:
        nets.feature.transformer.fix_flow()
    refining = torch.optim.Adam(
        [p for p in nets.feature.parameters() if p.requires_grad], lr=config.feature_lr, betas=(0.9, 0.99)
    )
    critic = torch.optim.Adam(nets.discriminator.parameters(), lr=config.critic_lr, betas=(0.0, 0.99))
    run.track(networks=nets, average=average.model, maker=maker, refining=refining, critic=critic)
    describe(run_config.out, **dict(nets.named_children()))
    rates = ((maker, config.lr), (refining, config.feature_lr), (critic, config.critic_lr))

    for step in run.steps():
        for optimiser, highest in rates:
            set_rate(optimiser, highest * settled(step, run_config.steps, config.settle))
        drawn = draw_lessons(pairs, photographs, motion, counts, run.shared_generator(), crossing=True)
        drawn = with_busy_eyes(drawn, motion, config.lids, config.glances, run.shared_generator(1))
        lessons: Lessons = drawn.part(run.share).to(device)
        nets.discriminator.requires_grad_(False)
        with run.fabric.autocast(), torch.set_grad_enabled(step >= config.warm_up):
            redrawn = redrawing.draw(lessons, round(config.plain * len(lessons.targets)))
            views = look(redrawn, lessons, config.window, run.generator())
            losses = growth_losses(redrawn, lessons, nets.discriminator, views, config.finest)
            if judges is not None:
                losses |= watched_losses(judges, motion, redrawn, lessons)
        if step >= config.warm_up:
            run.descend(maker, total_loss([losses], config.weights), refining)
        nets.discriminator.requires_grad_(True)
        gamma = config.r1 * config.r1_every if run.every(config.r1_every) else None
        with run.fabric.autocast():
            judged = judge_loss(nets.discriminator, views.true, views.made.detach(), gamma)
        run.descend(critic, torch.stack(list(judged.values())).sum())
        run.record(**losses, **judged)
        average.update(nets, len(views.made), (step + 1) * len(views.made))
        if run.every(run_config.sample_every):
            run.sample("grown", shown(lessons, redrawn), columns=len(lessons.images))
    return run
