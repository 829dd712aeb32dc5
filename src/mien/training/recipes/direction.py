"""Directions, synthetic scheme (METHODS section 2): only A trains; generator, Net3D and identity net are frozen.

Source and target are samples. Half of each batch moves along one coordinate only, drawn at random, whose target is
uniform in [−6, 6]; the geometry asked for changes only that attribute. This is what disentangles the directions.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from mien.errors import TrainingError
from mien.face3d import FaceParams, arkit_motion_space
from mien.face3d.motion import Q_LIMIT
from mien.methods import DirectionConfig, DirectionMatrix
from mien.stylegan2 import Generator
from mien.training.engine import Ema, Run, RunConfig, seeded, start_fabric
from mien.training.judges import load_judges
from mien.training.parts import describe, load_generator, load_weights


@dataclass(frozen=True, kw_only=True)
class DirectionRecipe:
    """What to train on and how.

    Attributes:
        generator, identity, tracker: folders of finished runs.
        start: run of this recipe or of `autoencoder` whose A is the beginning; None starts at N(0, 0.03²).
        rows: W+ rows that move; None takes 8 of 14 and in proportion.
        weights: of shape, eye, mouth, id, perceptual (METHODS section 2).
    """

    generator: Path
    identity: Path
    tracker: Path
    start: Path | None = None
    rows: int | None = None
    batch: int = 12
    lr: float = 1e-4
    weight_decay: float = 5e-4
    single_share: float = 0.5
    weights: dict[str, float] = field(
        default_factory=lambda: {"shape": 1.0, "eye": 1.0, "mouth": 1.0, "id": 10.0, "perceptual": 10.0}
    )


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"batch": 4},
    # two cores, about 15 minutes, from the autoencoder's directions
    "two-core": {},
    # one large GPU, the published schedule
    "accelerator": {"batch": 48, "lr": 4e-4},
}
STEPS = {"tiny": 20, "two-core": 3_000, "accelerator": 100_000}


def wanted_motion(q_source: torch.Tensor, q_target: torch.Tensor, share: float, draws: torch.Generator) -> torch.Tensor:
    """q of the target, except that a share of the batch keeps the source's q but for one random coordinate."""
    count, k = q_source.shape
    chosen = torch.randint(k, (count,), generator=draws)
    value = (torch.rand(count, generator=draws) * 2 - 1) * Q_LIMIT
    single = q_source.clone()
    single[torch.arange(count), chosen.to(single.device)] = value.to(single)
    is_single = torch.arange(count) < round(share * count)
    return torch.where(is_single[:, None].to(q_source.device), single, q_target)


def load_matrix(config: DirectionRecipe, generator: Generator, coordinates: int) -> DirectionMatrix:
    """A new matrix, or that of `config.start`.

    Raises:
        TrainingError: the start run holds no matrix of these sizes.
    """
    rows = config.rows or max(1, round(generator.num_rows * 8 / 14))
    sizes = DirectionConfig(coordinates=coordinates, rows=rows, dim=generator.config.style_dim)
    if config.start is None:
        return DirectionMatrix(sizes)
    tensors = load_weights(config.start, "directions")
    rows = len(tensors["linear.weight"]) // sizes.dim
    matrix = DirectionMatrix(DirectionConfig(coordinates=coordinates, rows=rows, dim=sizes.dim))
    try:
        matrix.load_state_dict(tensors)
    except RuntimeError as error:
        raise TrainingError(f"{config.start}: its directions do not fit this generator") from error
    return matrix


def train(config: DirectionRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    run = Run(run_config, start_fabric(run_config))
    device = run.fabric.device
    generator = load_generator(config.generator).to(device)
    judges = load_judges(config.tracker, config.identity, device)
    motion = arkit_motion_space()
    matrix = seeded(run_config.seed, lambda: load_matrix(config, generator, len(motion))).to(device)
    average = Ema(matrix, 2000.0)
    optimiser = torch.optim.Adam(matrix.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    run.track(directions=matrix, average=average.model, optimiser=optimiser)
    describe(run_config.out, directions=matrix)

    for step in run.steps():
        draws = run.generator()
        z = torch.randn(2 * config.batch, generator.config.latent_dim, generator=draws).to(device)
        with torch.no_grad(), run.fabric.autocast():
            wp = generator.broadcast(generator.truncate(generator.mapping(z), 0.7 + 0.3 * float(step % 2)))
            images = generator.synthesis(wp, noise="none").float()
        with torch.no_grad():
            source, (q_source, q_target) = images[: config.batch], motion.encode(judges.read(images)).chunk(2)
        q = wanted_motion(q_source, q_target.clamp(-Q_LIMIT, Q_LIMIT), config.single_share, draws)
        angles, expression = motion.decode(q)
        wanted = replace(FaceParams.invalid(len(q)).to(device), angles=angles, expression=expression)
        with run.fabric.autocast():
            result = generator.synthesis(matrix.shift(wp[: config.batch], q - q_source), noise="none")
        losses = judges.geometry(result.float(), wanted) | judges.likeness(result.float(), source)
        run.descend(optimiser, torch.stack([config.weights[k] * v for k, v in losses.items()]).sum())
        average.update(matrix, config.batch, (step + 1) * config.batch)
        run.record(**losses)
        if run.every(run_config.sample_every):
            run.sample(
                "moved", [source[:8], images[config.batch :][:8], result[:8].float()], columns=min(8, config.batch)
            )
    return run
