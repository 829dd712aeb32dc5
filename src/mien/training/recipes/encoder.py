"""The W+ inversion encoder against a frozen generator, in the manner of e4e (Tov et al. 2021).

Three kinds of pictures: samples of the generator, whose codes are known; rendered heads; and, where the data pack is
there, photographs. Small row offsets and a discriminator of codes keep the result where directions can move it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch

from mien.data.pairs import FramePairs
from mien.face3d import FaceParams, arkit_motion_space
from mien.inversion import CodeCritic, Encoder, EncoderConfig
from mien.losses.adversarial import fool, judge
from mien.losses.image import pyramid_l1
from mien.losses.latent import code_distance, offset_energy
from mien.methods import DirectionMatrix
from mien.stylegan2 import Discriminator, Generator
from mien.synth.dataset import RenderedHeads
from mien.training.engine import Ema, Run, RunConfig, seeded, start_fabric
from mien.training.judges import Judges, load_judges, sharpness_loss
from mien.training.parts import describe, load_directions, load_discriminator, load_encoder, load_generator
from mien.training.photographs import Photographs

WEIGHTS = {
    "pixel": 10.0,
    "id": 5.0,
    "perceptual": 1.0,
    "shape": 0.1,
    "eye": 0.1,
    "mouth": 0.1,
    "offsets": 0.02,
    "code": 1.0,
    "fool": 0.02,
    "sharp": 0.3,
}


@dataclass(frozen=True, kw_only=True)
class EncoderRecipe:
    """What to train on and how.

    Attributes:
        generator, identity, tracker: folders of finished runs; frozen.
        data: folder of rendered heads.
        start: run whose encoder is the beginning; None starts from zero.
        directions: run whose A adds the pose, E(I) + A·q, to codes of a pose-free encoder; None trains an encoder that
            finds the pose too.
        discriminator: run whose discriminator keeps redrawn pictures sharp: a loss of pixels alone prefers the mean of
            what could be there. None leaves that loss out.
        photographs: share of photographs in a batch (needs the data pack); 0 trains on heads that nobody wears.
        resolution: input side of a new encoder.
        weights: loss weights; `code` on samples only, the others on every picture.
    """

    generator: Path
    identity: Path
    tracker: Path
    data: Path
    start: Path | None = None
    directions: Path | None = None
    discriminator: Path | None = None
    photographs: float = 0.35
    resolution: int = 128
    batch: int = 12
    lr: float = 1e-3
    weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"resolution": 32, "batch": 6, "photographs": 0.0},
    # two cores, about 10 minutes, from the autoencoder's encoder; its samples are not good enough to teach codes yet
    "two-core": {"weights": {**WEIGHTS, "code": 0.0, "fool": 0.0}},
    # one large GPU
    "accelerator": {"resolution": 256, "batch": 32},
}
STEPS = {"tiny": 20, "two-core": 4_000, "accelerator": 100_000}


@dataclass(frozen=True)
class Mixture:
    """One batch of pictures of all kinds.

    Attributes:
        images: (B, 3, S, S); weight: (B, 1, S, S); params: what they show.
        codes: (S, L, D) of the last S pictures, which are samples.
    """

    images: torch.Tensor
    weight: torch.Tensor
    params: FaceParams
    codes: torch.Tensor


@dataclass(frozen=True)
class Frozen:
    """Everything that does not train; `directions` is None for encoders that find the pose themselves."""

    generator: Generator
    judges: Judges
    directions: DirectionMatrix | None = None
    discriminator: Discriminator | None = None

    def pose(self, wp: torch.Tensor, params: FaceParams) -> torch.Tensor:
        """The code of a picture from what E says and the parameters of the face in it."""
        if self.directions is None:
            return wp
        with torch.autocast(wp.device.type, enabled=False):
            q = arkit_motion_space().encode(params)
        return self.directions.shift(wp, q)


def mix(config: EncoderRecipe, pairs: FramePairs, photographs: Photographs | None, frozen: Frozen, run: Run) -> Mixture:
    """Renders, photographs and samples of this step."""
    draws, device, generator = run.generator(), run.fabric.device, frozen.generator
    num_photos = round(config.photographs * config.batch) if photographs else 0
    num_samples = config.batch // 4
    index = run.batch(len(pairs.heads), config.batch - num_photos - num_samples)
    images, weight = [pairs.pictures(index)], [pairs.weights(index)]
    params = [pairs.heads.params(index.numpy())]
    if photographs and num_photos:
        photo, photo_weight, photo_params = photographs.draw(num_photos, draws)
        images, weight, params = [*images, photo], [*weight, photo_weight], [*params, photo_params]
    with torch.no_grad():
        z = torch.randn(num_samples, generator.config.latent_dim, generator=draws).to(device)
        codes = generator.broadcast(generator.mapping(z))
        samples = generator.synthesis(codes, noise="none").float()
        seen = frozen.judges.read(samples)
    full = torch.cat([torch.cat(images).to(device), samples])
    maps = torch.cat([torch.cat(weight).to(device), torch.ones_like(samples[:, :1])])
    return Mixture(full, maps, FaceParams.cat([*(p.to(device) for p in params), seen]), codes)


def inversion_losses(
    encoder: Encoder, frozen: Frozen, critic: CodeCritic, batch: Mixture
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Mean of every loss, and the codes."""
    base, offsets = encoder.split(batch.images)
    wp = frozen.pose(base[:, None] + offsets, batch.params)
    result = frozen.generator.synthesis(wp, noise="none").float()
    losses = frozen.judges.geometry(result, batch.params) | frozen.judges.likeness(result, batch.images)
    losses |= {
        "pixel": pyramid_l1(result, batch.images, batch.weight).mean(),
        "offsets": offset_energy(offsets).mean(),
        "code": code_distance(wp[-len(batch.codes) :], batch.codes).mean(),
        "fool": fool(critic(wp.float().flatten(0, 1))).mean(),
    }
    if frozen.discriminator is not None:
        losses["sharp"] = sharpness_loss(frozen.discriminator, result, batch.images)
    return losses, wp.detach().float()


def new_encoder(config: EncoderRecipe, generator: Generator) -> Encoder:
    """The encoder of `config.start`, or a new one of the generator's sizes whose codes begin at w̄."""
    if config.start is not None:
        return load_encoder(config.start).train().requires_grad_(True)
    sizes = generator.config
    config_out = EncoderConfig(
        resolution=config.resolution,
        num_rows=sizes.num_rows,
        style_dim=sizes.style_dim,
        pose_free=config.directions is not None,
    )
    encoder = Encoder(config_out)
    with torch.no_grad():
        encoder.base.bias.copy_(generator.w_mean)
    return encoder


def train(config: EncoderRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    run = Run(run_config, start_fabric(run_config))
    device = run.fabric.device
    generator = load_generator(config.generator).to(device)
    judges = load_judges(config.tracker, config.identity, device)
    directions = load_directions(config.directions).to(device) if config.directions else None
    critic_of_pictures = load_discriminator(config.discriminator).to(device) if config.discriminator else None
    frozen = Frozen(generator, judges, directions, critic_of_pictures)
    side = generator.config.resolution
    pairs = FramePairs(RenderedHeads(config.data), arkit_motion_space(), side)
    photographs = Photographs(side) if config.photographs else None
    encoder = seeded(run_config.seed, lambda: new_encoder(config, generator)).to(device)
    critic = seeded(1, lambda: CodeCritic(generator.config.style_dim)).to(device)
    average = Ema(encoder, 5000.0)
    optimiser = torch.optim.Adam(encoder.parameters(), lr=config.lr, betas=(0.9, 0.99))
    critic_optimiser = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.99))
    run.track(encoder=encoder, critic=critic, average=average.model, optimiser=optimiser,
              critic_optimiser=critic_optimiser)  # fmt: skip
    describe(run_config.out, encoder=encoder)

    for step in run.steps():
        batch = mix(config, pairs, photographs, frozen, run)
        critic.requires_grad_(False)
        with run.fabric.autocast():
            losses, wp = inversion_losses(encoder, frozen, critic, batch)
        run.descend(optimiser, torch.stack([config.weights[k] * v for k, v in losses.items()]).sum())
        critic.requires_grad_(True)
        z = torch.randn(wp.shape[0] * wp.shape[1], generator.config.latent_dim, generator=run.generator(1)).to(device)
        with torch.no_grad():
            true_codes = generator.mapping(z)
        run.descend(critic_optimiser, judge(critic(true_codes), critic(wp.flatten(0, 1))))
        average.update(encoder, config.batch, (step + 1) * config.batch)
        run.record(**losses)
        if run.every(run_config.sample_every):
            with torch.no_grad():
                wp = frozen.pose(average.model(batch.images), batch.params)
                redrawn = generator.synthesis(wp, noise="none").float()
            run.sample("inversion", [batch.images, redrawn], columns=config.batch)
    return run
