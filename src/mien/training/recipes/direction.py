"""Directions (METHODS section 2): only A trains; generator, encoder, Net3D and identity net are frozen.

The published schedule is synthetic → mixed → paired, each started from the last (`--start`). In all schemes but the
paired one, half of each batch moves along one coordinate only, drawn at random, whose target is uniform in [−6, 6]; the
geometry asked for changes only that attribute. This is what disentangles the directions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from mien.data.heads import VideoHeads
from mien.data.pairs import FramePairs
from mien.data.voxceleb import Folder
from mien.errors import TrainingError
from mien.face3d import MotionSpace, arkit_motion_space
from mien.methods import DirectionConfig, DirectionMatrix
from mien.stylegan2 import Generator
from mien.synth.dataset import RenderedHeads
from mien.tracking import EmbeddedTracker
from mien.training.engine import Ema, Run, RunConfig, seeded, start_fabric
from mien.training.judges import load_judges
from mien.training.parts import (
    describe,
    load_detector,
    load_directions,
    load_encoder,
    load_generator,
    load_regressor,
)
from mien.training.portraits import open_portraits
from mien.training.schemes import PUBLISHED_WEIGHTS, Inverter, Material, Pairs, Scheme, draw_task, task_losses


@dataclass(frozen=True, kw_only=True)
class DirectionRecipe:
    """What to train on and how.

    Attributes:
        generator, identity, tracker: folders of finished runs.
        scheme: what is asked of A (`mien.training.schemes`).
        start: run of this recipe or of `autoencoder` whose A is the beginning; None starts at N(0, 0.03²).
        encoder: run whose encoder inverts real pictures and frames; not needed for `synthetic`.
        inversion: A that adds the pose to codes of a pose-free encoder: "follows" the one that trains, as in the bundle
            made of both; "fixed" is that of the encoder's run.
        portraits: folder of photographs or rendered heads for `real` and `mixed`; None takes the data pack's.
        data: frames in scenes for `paired`: a folder of rendered heads, or of videos prepared with the
            `head` crop, which is what encoder and Net3D know.
        rows: W+ rows that move; None takes those of `start`, or 8 of 14 and in proportion.
        tied: all these rows move alike: directions in W, not W+.
        bias: as in the published weights; then Δq = 0 does not return the source.
        truncation: ψ applied after the shift; published 0.7, the default bundle keeps 1.
        sample_psi: ψ at which samples are drawn, in turn from step to step.
        resampled_mean: number of samples from which w̄ is drawn anew, as the released code does; 0 keeps the stored w̄.
        single_share: of a batch that moves along one coordinate only; 0 is the released code's other branch.
        weights: of shape, eye, mouth, id, perceptual, pixel (pairs only).
    """

    generator: Path
    identity: Path
    tracker: Path
    scheme: Scheme = "synthetic"
    start: Path | None = None
    encoder: Path | None = None
    inversion: Literal["follows", "fixed"] = "follows"
    portraits: Path | None = None
    data: Path | None = None
    rows: int | None = None
    tied: bool = False
    bias: bool = False
    truncation: float = 1.0
    sample_psi: tuple[float, ...] = (0.7, 1.0)
    resampled_mean: int = 0
    batch: int = 12
    lr: float = 1e-4
    weight_decay: float = 5e-4
    single_share: float = 0.5
    weights: dict[str, float] = field(default_factory=lambda: dict(PUBLISHED_WEIGHTS))

    def check(self) -> None:
        """Make sure that the scheme has what it needs.

        Raises:
            TrainingError: it has not; or the losses' names are not the known ones.
        """
        if self.scheme != "synthetic" and self.encoder is None:
            raise TrainingError(f"scheme {self.scheme!r} inverts pictures: give the run of an encoder (--encoder)")
        if self.scheme == "paired" and self.data is None:
            raise TrainingError("scheme 'paired' needs frames in scenes: give a folder of renders or videos (--data)")
        if set(self.weights) != set(PUBLISHED_WEIGHTS):
            raise TrainingError(f"loss weights: {', '.join(self.weights)}; expected {', '.join(PUBLISHED_WEIGHTS)}")


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"batch": 4},
    # two cores, about 15 minutes, from the autoencoder's directions
    "two-core": {},
    # one large GPU, the published schedule
    "accelerator": {"batch": 48, "lr": 4e-4},
}
STEPS = {"tiny": 20, "two-core": 3_000, "accelerator": 100_000}


def load_matrix(config: DirectionRecipe, generator: Generator, coordinates: int) -> DirectionMatrix:
    """A new matrix, or that of `config.start`: as many of its rows as are asked for, further ones at zero.

    Raises:
        TrainingError: the start run holds no matrix of these sizes, or one with a bias that is not asked for.
    """
    dim, rows = generator.config.style_dim, config.rows or max(1, round(generator.num_rows * 8 / 14))
    tensors = load_directions(config.start).state_dict() if config.start else {}
    if tensors and (tensors["linear.weight"].shape[1] != coordinates or len(tensors["linear.weight"]) % dim):
        raise TrainingError(f"{config.start}: its directions do not fit this generator")
    if "linear.bias" in tensors and not config.bias:
        raise TrainingError(f"{config.start}: its directions carry a bias; continue them with --bias")
    if tensors and config.rows is None:
        rows = len(tensors["linear.weight"]) // dim
    if rows > generator.num_rows:
        raise TrainingError(f"{rows} rows cannot move: codes of this generator have {generator.num_rows}")
    matrix = DirectionMatrix(DirectionConfig(coordinates=coordinates, rows=rows, dim=dim, bias=config.bias))
    with torch.no_grad():
        for name, parameter in matrix.named_parameters() if tensors else ():
            stored = tensors.get(name, torch.zeros(0, *parameter.shape[1:]))[: len(parameter)]
            parameter.zero_()[: len(stored)] = stored
    return matrix


def tie_rows(matrix: DirectionMatrix) -> None:
    """Let all rows of a matrix move alike, now and while it trains: weights and gradients become means over rows."""

    def mean_row(tensor: torch.Tensor) -> torch.Tensor:
        by_row = tensor.unflatten(0, (matrix.config.rows, matrix.config.dim))
        return by_row.mean(0, keepdim=True).expand_as(by_row).flatten(0, 1)

    for parameter in matrix.parameters():
        with torch.no_grad():
            parameter.copy_(mean_row(parameter.detach()))
        parameter.register_hook(mean_row)


@torch.no_grad()
def resample_mean(generator: Generator, count: int, seed: int) -> None:
    """Put the mean of `count` codes in place of w̄."""
    z = torch.randn(count, generator.config.latent_dim, generator=torch.Generator().manual_seed(seed))
    generator.w_mean.copy_(generator.mapping(z.to(generator.w_mean)).mean(0))


def load_material(config: DirectionRecipe, motion: MotionSpace, device: torch.device) -> Material:
    """Everything frozen that the recipe's scheme needs.

    Raises:
        TrainingError: a run or a folder is missing.
        MissingDataError: the head model, or the photographs of the data pack where they are needed, are not there.
    """
    generator = load_generator(config.generator).to(device)
    inverter = portraits = pairs = None
    if config.encoder is not None and config.scheme != "synthetic":
        encoder = load_encoder(config.encoder).to(device)
        is_fixed = config.inversion == "fixed" and encoder.config.pose_free
        inverter = Inverter(encoder, load_directions(config.encoder).to(device) if is_fixed else None)
    if config.scheme in ("real", "mixed"):
        tracker = EmbeddedTracker(load_detector(config.tracker), load_regressor(config.tracker))
        portraits = open_portraits(config.portraits, generator.config.resolution, tracker)
    if config.scheme == "paired":
        assert config.data is not None
        pairs = open_pairs(config.data, motion, generator.config.resolution)
    return Material(
        generator=generator,
        judges=load_judges(config.tracker, config.identity, device),
        motion=motion,
        truncation=config.truncation,
        sample_psi=config.sample_psi,
        single_share=config.single_share,
        inverter=inverter,
        portraits=portraits,
        pairs=pairs,
    )


def open_pairs(folder: Path, motion: MotionSpace, resolution: int) -> Pairs:
    """Frames in scenes: of a folder of rendered heads, or of videos in VoxCeleb layout (`mien prepare voxceleb`).

    Raises:
        InputError: neither is there, or no two frames that can be paired.
    """
    if (folder / "dataset.json").is_file():
        return FramePairs(RenderedHeads(folder), motion, resolution)
    return FramePairs(VideoHeads(Folder(folder), resolution), motion, resolution)


def train(config: DirectionRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    config.check()
    run = Run(run_config, start_fabric(run_config))
    motion = arkit_motion_space()
    material = load_material(config, motion, run.fabric.device)
    generator, judges = material.generator, material.judges
    matrix = seeded(run_config.seed, lambda: load_matrix(config, generator, len(motion))).to(run.fabric.device)
    if config.tied:
        tie_rows(matrix)
    if config.resampled_mean:
        resample_mean(generator, config.resampled_mean, run_config.seed)
    average = Ema(matrix, 2000.0)
    optimiser = torch.optim.Adam(matrix.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    run.track(directions=matrix, average=average.model, optimiser=optimiser)
    describe(run_config.out, directions=matrix)

    for step in run.steps():
        with run.fabric.autocast():
            task = draw_task(config.scheme, material, matrix, config.batch, step, run.generator())
            moved = matrix.shift(task.code, task.q_target - task.q_source)
            result = generator.synthesis(generator.truncate(moved, config.truncation), noise="none").float()
            losses = task_losses(judges, motion, task, result)
        run.descend(optimiser, torch.stack([config.weights[name] * value for name, value in losses.items()]).sum())
        average.update(matrix, config.batch, (step + 1) * config.batch)
        run.record(**losses)
        if run.every(run_config.sample_every):
            shown = [part[:8] for part in (task.source, task.target, result)]
            run.sample("moved", shown, columns=len(shown[0]))
    return run
