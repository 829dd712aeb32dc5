"""StyleMask (METHODS section 4): only the mask networks train; generator, Net3D and identity net are frozen.

Three samples that have nothing to do with each other are a question: source, target, and the third face of the
recurrent cycle. No pairs, no pictures; Net3D is needed in training only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.methods import MaskNetworks, controlled_layers
from mien.stylegan2 import Generator
from mien.tracking import EmbeddedTracker
from mien.training.engine import Ema, Run, RunConfig, seeded, start_fabric
from mien.training.judges import load_judges
from mien.training.mixing import MAX_SEED, PUBLISHED_WEIGHTS, draw_trio, mixture_losses, mixtures, total
from mien.training.parts import (
    describe,
    load_detector,
    load_directions,
    load_encoder,
    load_generator,
    load_masks,
    load_regressor,
)
from mien.training.portraits import open_portraits
from mien.training.schemes import Inverter, Material


@dataclass(frozen=True, kw_only=True)
class StyleMaskRecipe:
    """What to train on and how.

    Attributes:
        generator, identity, tracker: folders of finished runs.
        start: run of this recipe whose networks are the beginning; None starts at N(0, 0.01²).
        layers: styled convs that are controlled, from the coarsest on; None takes all up to 128².
        cycle: with the recurrent cycle; without it a step costs a third.
        truncation: ψ at which the bundle will draw; published 1.
        sample_psi: ψ at which samples are drawn, in turn from step to step.
        inverted: share of faces that are inverted pictures instead of samples (ours; published 0).
        encoder: run whose encoder inverts them; the A of that run adds the pose to codes that have none.
        directions: run with another A for that, as in the bundle.
        portraits: folder of the pictures, photographs or rendered heads; None takes the data pack's.
        batch: of all processes together.
        weights: of shape, eye, mouth, id and perceptual.
    """

    generator: Path
    identity: Path
    tracker: Path
    start: Path | None = None
    layers: int | None = None
    cycle: bool = True
    truncation: float = 1.0
    sample_psi: tuple[float, ...] = (0.7, 1.0)
    inverted: float = 0.0
    encoder: Path | None = None
    directions: Path | None = None
    portraits: Path | None = None
    batch: int = 12
    lr: float = 1e-4
    weight_decay: float = 5e-4
    weights: dict[str, float] = field(default_factory=lambda: dict(PUBLISHED_WEIGHTS))

    def check(self) -> None:
        """Make sure that the settings make sense together.

        Raises:
            TrainingError: they do not.
        """
        if not 0 <= self.inverted <= 1:
            raise TrainingError(f"inverted is a share from 0 to 1, not {self.inverted}")
        if self.inverted and self.encoder is None:
            raise TrainingError("inverted pictures need the run of an encoder (--encoder)")
        if set(self.weights) != set(PUBLISHED_WEIGHTS):
            raise TrainingError(f"loss weights: {', '.join(self.weights)}; expected {', '.join(PUBLISHED_WEIGHTS)}")
        if not any(self.weights.values()):
            raise TrainingError("loss weights: all are 0, so there is nothing to learn")


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"batch": 4},
    # one thread, about 45 minutes at 128²; a step size for few steps
    "two-core": {"lr": 1e-3},
    # one large GPU, the published schedule
    "accelerator": {"batch": 48, "lr": 4e-4},
}
STEPS = {"tiny": 20, "two-core": 3_000, "accelerator": 100_000}


def load_networks(config: StyleMaskRecipe, generator: Generator) -> MaskNetworks:
    """New networks, with those of `config.start` in the layers that it has.

    Raises:
        TrainingError: the generator has fewer layers, or the start belongs to another one.
    """
    try:
        networks = MaskNetworks(controlled_layers(generator, config.layers))
    except ValueError as error:
        raise TrainingError(str(error)) from error
    if config.start is not None:
        own, stored = networks.state_dict(), load_masks(config.start).state_dict()
        shared = {name: tensor for name, tensor in stored.items() if name in own}
        if any(tensor.shape != own[name].shape for name, tensor in shared.items()):
            raise TrainingError(f"{config.start}: its mask networks do not fit this generator")
        networks.load_state_dict(own | shared)
    return networks


def load_material(config: StyleMaskRecipe, device: torch.device) -> Material:
    """Everything frozen.

    Raises:
        TrainingError: a run or a folder is missing.
        MissingDataError: the head model, or the photographs of the data pack where they are needed, are not there.
    """
    generator = load_generator(config.generator).to(device)
    inverter = portraits = None
    if config.inverted and config.encoder is not None:
        encoder = load_encoder(config.encoder).to(device)
        is_free = encoder.config.pose_free
        directions = load_directions(config.directions or config.encoder).to(device) if is_free else None
        inverter = Inverter(encoder, directions)
        tracker = EmbeddedTracker(load_detector(config.tracker), load_regressor(config.tracker))
        portraits = open_portraits(config.portraits, generator.config.resolution, tracker)
    return Material(
        generator=generator,
        judges=load_judges(config.tracker, config.identity, device),
        motion=arkit_motion_space(),
        truncation=config.truncation,
        sample_psi=config.sample_psi,
        inverter=inverter,
        portraits=portraits,
    )


def train(config: StyleMaskRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    config.check()
    run = Run(run_config, start_fabric(run_config))
    material = load_material(config, run.fabric.device)
    networks = seeded(run_config.seed, lambda: load_networks(config, material.generator)).to(run.fabric.device)
    average = Ema(networks, 2000.0)
    optimiser = torch.optim.Adam(networks.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    run.track(masks=networks, average=average.model, optimiser=optimiser)
    describe(run_config.out, masks=networks)

    for step in run.steps():
        with run.fabric.autocast():
            psi = config.sample_psi[step % len(config.sample_psi)]
            trio = draw_trio(material, run.batch(MAX_SEED, config.batch), psi, config.inverted).seen()
            mixed = mixtures(networks, material, trio, config.cycle)
            drawn = [mixture_losses(material, trio, one) for one in mixed]
        run.descend(optimiser, total([losses for _, losses in drawn], config.weights))
        average.update(networks, config.batch, (step + 1) * config.batch)
        run.record(**drawn[0][1])
        if config.cycle:
            run.record(**{f"cycle_{name}": value for name, value in drawn[2][1].items()})
        if run.every(run_config.sample_every):
            shown = [trio.source.images, trio.target.images, trio.third.images, *(picture for picture, _ in drawn)]
            run.sample("mixed", [part[:8] for part in shown], columns=len(shown[0][:8]))
    return run
