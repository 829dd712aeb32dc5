"""Mapping network: samples come to lie where the codes of pictures lie; what draws pictures is frozen.

A generator that learned from codes of pictures (`autoencoder`) knows nothing of what lies between them. Here M(z) is
given the mean and the covariance of the codes E(I) + A·q of pictures in poses of other pictures, or, scheme
"transport", is moved to them one sample to one code, by the assignment that moves all of them least (optimal transport
between small batches, Fatras et al. 2020; such batches also draw samples together, a sliced Wasserstein distance keeps
them apart). No picture is drawn, so this takes minutes.

M(z) is one vector, and the rows of E's codes differ. But the mean of the rows nearly determines them all, linearly, so
row maps (`Generator.broadcast`) fitted to the same codes turn M(z) into what G has learned to draw.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch

from mien.data.pairs import FramePairs
from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.inversion import Encoder
from mien.losses.latent import random_directions, sliced_wasserstein, transport_distance
from mien.methods import DirectionMatrix
from mien.stylegan2 import Generator
from mien.stylegan2.layers import EqualLinear
from mien.synth.dataset import RenderedHeads
from mien.training.engine import Ema, Run, RunConfig, set_rate, settled, start_fabric
from mien.training.parts import describe, load_directions, load_encoder, load_generator


@dataclass(frozen=True, kw_only=True)
class MappingRecipe:
    """What to train on and how.

    Attributes:
        generator, encoder, directions: runs or bundles; directions None takes the encoder's.
        data: folder of rendered heads.
        scheme: "gaussian" gives the generator a mapping of one affine layer, in one step; "transport" trains the one it
            has.
        pictures: how many of them become codes, once at the beginning.
        batch: samples of a step; the time that an assignment takes grows with its cube.
        spread: weight of the sliced Wasserstein distance: more keeps samples apart and lets some leave the faces.
        projections: number of its directions.
        settle: share of the steps, at the end, over which the learning rate falls to a tenth.
        row_maps: fit maps from w to the rows of W+; False repeats w, as published generators do.
    """

    generator: Path
    encoder: Path
    data: Path
    directions: Path | None = None
    scheme: Literal["gaussian", "transport"] = "gaussian"
    pictures: int = 6000
    batch: int = 768
    lr: float = 2e-3
    spread: float = 1.0
    projections: int = 256
    settle: float = 0.75
    row_maps: bool = True

    def check(self, available: int) -> None:
        """Make sure that there are enough pictures.

        Raises:
            TrainingError: fewer than a batch.
        """
        if min(self.pictures, available) < self.batch:
            raise TrainingError(f"a batch of {self.batch} needs as many pictures; there are {available}")


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"pictures": 64, "batch": 16, "projections": 32},
    # one core: two minutes; by transport about five more, at 256 dimensions
    "two-core": {},
    # one large GPU; the assignment stays on the processor
    "accelerator": {"pictures": 40_000, "batch": 2048},
}
STEPS = {"tiny": 30, "two-core": 2_000, "accelerator": 10_000}
CODES_AT_ONCE = 32
RIDGE = 0.0005
"""Of the row maps, as a share of the mean variance of a coordinate."""


@torch.no_grad()
def codes_in_other_poses(
    encoder: Encoder, matrix: DirectionMatrix, pairs: FramePairs, count: int, run: Run
) -> torch.Tensor:
    """(N, L, D) codes of N pictures, in poses of others; the same in every session of a run."""
    draws, device = torch.Generator().manual_seed(run.config.seed), run.fabric.device
    shuffled = torch.from_numpy(np.random.default_rng(run.config.seed).permutation(len(pairs.heads))[:count])
    poses = pairs.q[torch.randint(len(pairs.q), (len(shuffled),), generator=draws)]
    codes = []
    for index, q in zip(shuffled.split(CODES_AT_ONCE), poses.split(CODES_AT_ONCE), strict=True):
        with run.fabric.autocast():
            wp = encoder(pairs.pictures(index).to(device))
        codes.append(matrix.shift(wp.float(), q.to(device)) if encoder.config.pose_free else wp.float())
    return torch.cat(codes)


@torch.no_grad()
def with_row_maps(generator: Generator, codes: torch.Tensor) -> Generator:
    """The same generator, whose `broadcast` is the ridge regression of the rows of codes (N, L, D) on their mean."""
    mapped = Generator(replace(generator.config, row_maps=True)).to(codes.device)
    mapped.load_state_dict(generator.state_dict(), strict=False)
    mean, rows = codes.mean(1).double(), codes.double()
    centred, shift = mean - mean.mean(0), rows.mean(0)
    covariance = centred.T @ centred / len(centred)
    ridge = RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance)).to(covariance)
    crossed = torch.einsum("nj,nli->lji", centred, rows - shift) / len(centred)
    weight = torch.linalg.solve(covariance + ridge, crossed).transpose(1, 2)
    mapped.row_weight.copy_(weight)
    mapped.row_bias.copy_(shift - weight @ mean.mean(0))
    return mapped.requires_grad_(False)


@torch.no_grad()
def with_gaussian_codes(generator: Generator, codes: torch.Tensor) -> Generator:
    """The same generator, whose samples have mean and covariance of codes (N, D): w = w̄ + Σ √λ_i · ẑ_i · v_i.

    λ_i and v_i are eigenvalues, largest first, and eigenvectors of the covariance; ẑ is the normalised z.
    """
    sizes = replace(generator.config, mapping_layers=1, mapping_lr_multiplier=1.0, affine_mapping=True)
    mapped, state = Generator(sizes).to(codes.device), generator.state_dict()
    mapped.load_state_dict({k: v for k, v in state.items() if not k.startswith("mapping_layers.")}, strict=False)
    centred = codes.double() - codes.double().mean(0)
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    spread = (vectors * values.clamp_min(0).sqrt()).flip(1)
    count, layer = min(sizes.latent_dim, sizes.style_dim), cast(EqualLinear, mapped.mapping_layers[0])
    layer.weight.zero_()
    layer.weight[:, :count] = spread[:, :count] / layer.scale
    layer.bias.copy_(codes.mean(0))
    mapped.w_mean.copy_(codes.mean(0))
    return mapped.requires_grad_(False)


def mapping_losses(
    generator: Generator, codes: torch.Tensor, config: MappingRecipe, draws: torch.Generator
) -> dict[str, torch.Tensor]:
    """Losses of a batch of samples; w̄ follows their mean unless it is known."""
    z = torch.randn(config.batch, generator.config.latent_dim, generator=draws).to(codes)
    truth = codes[torch.randperm(len(codes), generator=draws)[: config.batch].to(codes.device)]
    w = generator.mapping(z).float()
    if config.scheme == "transport":
        with torch.no_grad():
            generator.w_mean.lerp_(w.mean(0), 0.01)
    directions = random_directions(w.shape[1], config.projections, draws).to(w)
    return {"transport": transport_distance(w, truth), "spread": sliced_wasserstein(w, truth, directions)}


def train(config: MappingRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued. All processes do the same."""
    is_known = config.scheme == "gaussian"
    run_config = replace(run_config, steps=1, record_every=1) if is_known else run_config
    run = Run(run_config, start_fabric(run_config))
    device = run.fabric.device
    generator = load_generator(config.generator).to(device)
    pairs = FramePairs(RenderedHeads(config.data), arkit_motion_space(), generator.config.resolution)
    config.check(len(pairs.heads))
    matrix = load_directions(config.directions or config.encoder).to(device)
    rows = codes_in_other_poses(load_encoder(config.encoder).to(device), matrix, pairs, config.pictures, run)
    generator, codes = with_row_maps(generator, rows) if config.row_maps else generator, rows.mean(1)
    generator = with_gaussian_codes(generator, codes) if is_known else generator
    generator.mapping_layers.requires_grad_(True)
    average = Ema(generator, 50.0 * config.batch)
    optimiser = torch.optim.Adam(generator.mapping_layers.parameters(), lr=config.lr, betas=(0.5, 0.99))
    run.track(generator=generator, average=average.model, optimiser=optimiser)
    describe(run_config.out, generator=generator)

    for step in run.steps():
        set_rate(optimiser, config.lr * settled(step, run_config.steps, config.settle))
        losses = mapping_losses(generator, codes, config, run.shared_generator())
        if not is_known:
            run.descend(optimiser, losses["transport"] + config.spread * losses["spread"])
        average.update(generator, config.batch, (step + 1) * config.batch)
        run.record(**losses)
        if run.every(run_config.sample_every):
            z = torch.randn(16, generator.config.latent_dim, generator=torch.Generator().manual_seed(2)).to(device)
            with torch.no_grad():
                samples = average.model(z, noise="none")
                mapped = generator.synthesis(generator.broadcast(codes[:16]), noise="none")
                drawn = generator.synthesis(rows[:8], noise="none")
            run.sample("samples", [samples[:8], samples[8:], mapped[:8], drawn], columns=8)
    return run
