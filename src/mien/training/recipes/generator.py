"""The StyleGAN2 generator from zero: non-saturating loss, lazy R1 and path length, EMA, adaptive augmentation.

Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mien.images import shrink_to, to_tensor
from mien.losses.adversarial import fool, judge, path_length, r1_penalty
from mien.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from mien.synth.dataset import RenderedHeads
from mien.training.augment import AdaptiveAugment
from mien.training.engine import Ema, Run, RunConfig, seeded, start_fabric
from mien.training.parts import describe


@dataclass(frozen=True, kw_only=True)
class GeneratorRecipe:
    """What to train on and how.

    Attributes:
        data: folder of rendered heads (`mien render`).
        resolution, channel_base, channel_max, dim: sizes (see `GeneratorConfig`).
        batch: pictures per step.
        r1, r1_every: γ of R1, and the steps between two applications, on the whole batch.
        path, path_every: weight of the path length regulariser and its interval, on half a batch; 0 turns it off.
        augment: use adaptive augmentation.
    """

    data: Path
    resolution: int = 128
    channel_base: int = 2048
    channel_max: int = 256
    dim: int = 256
    batch: int = 16
    lr: float = 2e-3
    r1: float = 0.5
    r1_every: int = 16
    path: float = 2.0
    path_every: int = 8
    augment: bool = True
    noise: bool = False
    ema_images: float = 10_000.0


PRESETS: dict[str, dict[str, object]] = {
    # hardware, time, expected result                                              (docs/results.md)
    # two cores, under 2 minutes: runs
    "tiny": {"resolution": 32, "channel_base": 512, "channel_max": 64, "dim": 64, "batch": 8},
    # two cores, hours: 64² heads
    "two-core": {"resolution": 64, "batch": 32, "path": 0.0},
    # one large GPU, about 8 GFLOP per picture, runs live on two cores
    "accelerator-256": {"resolution": 256, "channel_base": 8192, "dim": 512, "batch": 64, "noise": True},
}
STEPS = {"tiny": 40, "two-core": 20_000, "accelerator-256": 100_000}


class PathLength(nn.Module):
    """The running mean of path lengths; the penalty is the squared distance from it."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, images: torch.Tensor, wp: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Mean penalty of a batch."""
        lengths = path_length(images, wp, generator)
        self.mean.lerp_(lengths.detach().mean(), 0.01)
        return (lengths - self.mean).square().mean()


def networks(config: GeneratorRecipe) -> tuple[Generator, Discriminator]:
    """New generator and discriminator of the asked-for sizes."""
    sizes: dict[str, Any] = {"channel_base": config.channel_base, "channel_max": config.channel_max}
    sizes["resolution"] = config.resolution
    generator = GeneratorConfig(
        latent_dim=config.dim, style_dim=config.dim, noise=config.noise, upsample="coarse", **sizes
    )  # fmt: skip
    return Generator(generator), Discriminator(DiscriminatorConfig(**sizes))


def make(generator: Generator, z: torch.Tensor) -> torch.Tensor:
    """Training samples with new noise; w̄ follows the mean of w."""
    w = generator.mapping(z)
    with torch.no_grad():
        generator.w_mean.lerp_(w.mean(0).float(), 0.002)
    return generator.synthesis(generator.broadcast(w), noise="random").float()


def path_step(run: Run, generator: Generator, penalty: PathLength, z: torch.Tensor, optimiser, weight: float) -> None:
    """One lazy path length step, in full precision."""
    with torch.autocast(run.fabric.device.type, enabled=False):
        wp = generator.broadcast(generator.mapping(z)).contiguous()
        images = generator.synthesis(wp, noise="random")
        loss = penalty(images, wp, run.generator(3))
    run.descend(optimiser, loss * weight)
    run.record(path=penalty.mean)


def train(config: GeneratorRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    run = Run(run_config, start_fabric(run_config))
    heads = RenderedHeads(config.data)
    generator, critic = (n.to(run.fabric.device) for n in seeded(run_config.seed, lambda: networks(config)))
    average, augment, penalty = Ema(generator, config.ema_images), AdaptiveAugment(), PathLength()
    g_step = torch.optim.Adam(generator.parameters(), lr=config.lr, betas=(0.0, 0.99))
    d_step = torch.optim.Adam(critic.parameters(), lr=config.lr, betas=(0.0, 0.99))
    run.track(generator=generator, critic=critic, average=average.model, augment=augment, penalty=penalty,
              g_step=g_step, d_step=d_step)  # fmt: skip
    describe(run_config.out, generator=generator)

    for step in run.steps():
        draws = run.generator()
        index = run.batch(len(heads), config.batch)
        real = shrink_to(to_tensor(heads.images(index.numpy())), config.resolution).to(run.fabric.device)
        z = torch.randn(len(real), config.dim, generator=draws).to(run.fabric.device)
        critic.requires_grad_(False)
        with run.fabric.autocast():
            fake = make(generator, z)
            loss = fool(critic(augment(fake, draws)).float()).mean()
        run.descend(g_step, loss)
        if config.path and run.every(config.path_every):
            path_step(run, generator, penalty, z[: len(z) // 2], g_step, config.path * config.path_every)
        critic.requires_grad_(True)
        with run.fabric.autocast():
            real_logits = critic(augment(real, draws)).float()
            loss_d = judge(real_logits, critic(augment(fake.detach(), draws)).float())
        augment.update(real_logits) if config.augment else None
        if run.every(config.r1_every):
            loss_d = loss_d + r1_penalty(critic, augment(real, draws)).mean() * config.r1 / 2 * config.r1_every
        run.descend(d_step, loss_d)
        average.update(generator, config.batch, (step + 1) * config.batch)
        run.record(fool=loss, judge=loss_d, p=augment.p)
        if run.every(run_config.sample_every):
            show(run, average.model, real)
    return run


@torch.no_grad()
def show(run: Run, generator: Generator, real: torch.Tensor) -> None:
    """Sample picture: a row of true pictures, then samples of the averaged generator."""
    z = torch.randn(24, generator.config.latent_dim, generator=torch.Generator().manual_seed(0))
    run.sample("samples", [real[:8], generator(z.to(real.device)).float()], columns=8)
