"""Generator, encoder and directions together, from pairs of rendered frames: a start where compute is scarce.

A generator trained only adversarially needs millions of pictures before faces and expressions are right. Rendered heads
bring true pairs with exact coordinates q, so this recipe first learns to redraw them: G(E(I_s) + A·q_t) ≈ I_t for two
frames of one scene. E sees a frame of another pose than the one asked for, so it learns what does not move; A learns
what does. Any two poses of a person then differ by A·Δq exactly. Later the adversarial game starts, on redrawn pictures
and on samples G(M(z)) alike. See docs/decisions/0001. The generator is an ordinary StyleGAN2 that the other recipes
continue; recipe `encoder` continues E on photographs as well.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mien.data.pairs import FramePairs, PairBatch
from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.inversion import Encoder, EncoderConfig, grow_encoder, refine_encoder
from mien.losses.adversarial import prefer
from mien.losses.image import feature_l1, pyramid_l1
from mien.losses.latent import offset_energy
from mien.methods import DirectionConfig, DirectionMatrix
from mien.stylegan2 import (
    Discriminator,
    DiscriminatorConfig,
    Generator,
    GeneratorConfig,
    grow_discriminator,
    grow_generator,
    widen_generator,
)
from mien.synth.dataset import RenderedHeads
from mien.training.engine import Ema, Run, RunConfig, seeded, set_rate, settled, start_fabric
from mien.training.game import RecentCodes, judge_loss, prior_loss, total_loss
from mien.training.judges import likeness_losses, reading_loss
from mien.training.parts import (
    describe,
    is_bundle,
    load_directions,
    load_encoder,
    load_generator,
    load_identity,
    load_regressor,
    read_networks,
)

WEIGHTS = {
    "pixel": 10.0,
    "feature": 2.0,
    "fool": 0.5,
    "offsets": 0.02,
    "prior": 10.0,
    "angles": 20.0,
    "expression": 10.0,
    "id": 2.0,
    "perceptual": 1.0,
}
"""Of the losses; `angles` per radian. Judges that are not asked for leave theirs out."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """What to train on and how.

    Attributes:
        data: folder of rendered heads (`mien render`).
        start: finished run to continue from, of the same or half the resolution, as wide or narrower, or a bundle,
            which has no discriminator (see `warm_up`); None starts from zero.
        resolution, channel_base, channel_max: sizes of the generator (see `GeneratorConfig`).
        critic_base: channel base of the discriminator; None takes the generator's.
        encoder_resolution: side of the pictures that the encoder looks at.
        dim: width of z, w and s inputs.
        batch: pairs per step.
        tracker: run or bundle whose Net3D reads redrawn and true frames alike, so that what it sees becomes equal:
            pose and expression weigh more than their pixels. None leaves that loss out.
        identity: run of the identity net that compares redrawn and true frames; None leaves that loss out.
        critic_lr: learning rate of the discriminator; None takes `lr`.
        adversarial_from: first step with a discriminator; before it only reconstruction.
        warm_up: steps at the beginning in which the discriminator learns alone, for one that is new.
        weights: of the losses, `WEIGHTS`.
        finest: what the finest level and the edges count in the pixel loss (`pyramid_l1`).
        game_share: share of the batch that plays the adversarial game, redrawn frames against the true ones
            and half as many samples against others; all of the batch is redrawn and compared.
        sample_weight: what a sample counts in the game, of a redrawn frame. It stands against the frame of somebody
            else, which tells the discriminator less: at 1 it learned nothing (docs/log.md).
        read_share: share of the batch that Net3D and the identity net read.
        collapse_share: share of the batch drawn from the mean row of its code, so that G can draw single rows too.
        mapping_lr: learning rate multiplier of the mapping network; 0.01 is usual, for millions of pictures.
        tilt: standard deviation in radians of an in-plane turn of the targets, which widens the range of roll; those
            that the discriminator sees stay straight, since resampled pictures are softer.
        mirror: share of the pairs that are shown in a mirror: twice as many people.
        settle: share of the steps, at the end, over which the learning rate falls to a tenth.
        recent: number of codes of renders that the mapping network is compared with.
        r1: γ of the R1 and R2 penalties, applied every `r1_every` steps on half of the players.
    """

    data: Path
    start: Path | None = None
    tracker: Path | None = None
    identity: Path | None = None
    resolution: int = 64
    channel_base: int = 2048
    channel_max: int = 256
    critic_base: int | None = None
    encoder_resolution: int = 64
    dim: int = 256
    batch: int = 16
    lr: float = 2e-3
    critic_lr: float | None = None
    adversarial_from: int = 0
    warm_up: int = 0
    weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    finest: float = 1.0
    game_share: float = 0.25
    sample_weight: float = 0.1
    read_share: float = 0.5
    collapse_share: float = 0.25
    mapping_lr: float = 0.5
    tilt: float = 0.2
    mirror: float = 0.5
    settle: float = 0.25
    recent: int = 512
    r1: float = 1.0
    r1_every: int = 16
    ema_images: float = 5000.0


PRESETS: dict[str, dict[str, object]] = {
    # hardware, time, expected result                                                     (docs/results.md)
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"resolution": 32, "channel_base": 512, "channel_max": 64, "dim": 64, "batch": 8, "adversarial_from": 20},
    # two cores, about two hours at 128²: the first quarter redraws only, then the adversarial game sharpens
    "two-core": {"resolution": 128, "adversarial_from": 4_000},
    # two cores, from a run of `two-core`: half as wide again, on photographed heads
    "two-core-wide": {"resolution": 128, "channel_base": 3072, "critic_base": 2048, "encoder_resolution": 128},
    # two cores, about an hour: goes on from a bundle or a run with a discriminator that is heard; tracker and identity
    # net should watch over pose and likeness
    "two-core-sharp": {
        "resolution": 128,
        "channel_base": 3072,
        "critic_base": 2048,
        "encoder_resolution": 128,
        "lr": 1.5e-3,
        "critic_lr": 2.5e-3,
        "warm_up": 150,
        "game_share": 0.5,
        "finest": 0.2,
        "weights": WEIGHTS | {"pixel": 8.0, "fool": 1.5},
        "settle": 0.35,
    },
    # one large GPU
    "accelerator-256": {
        "resolution": 256,
        "channel_base": 8192,
        "encoder_resolution": 256,
        "dim": 512,
        "batch": 32,
        "adversarial_from": 20_000,
        "critic_lr": 3e-3,
        "game_share": 0.5,
        "finest": 0.2,
        "weights": WEIGHTS | {"pixel": 8.0, "fool": 1.5},
    },
}
STEPS = {"tiny": 40, "two-core": 16_000, "two-core-wide": 12_000, "two-core-sharp": 3_000, "accelerator-256": 200_000}


class Networks(nn.Module):
    """The four networks that train together."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        sizes: dict[str, Any] = {"channel_base": config.channel_base, "channel_max": config.channel_max}
        generator = GeneratorConfig(
            resolution=config.resolution,
            latent_dim=config.dim,
            style_dim=config.dim,
            mapping_lr_multiplier=config.mapping_lr,
            noise=False,
            upsample="coarse",
            **sizes,
        )
        self.generator = Generator(generator)
        seen = min(config.encoder_resolution, config.resolution)
        encoder = EncoderConfig(resolution=seen, num_rows=generator.num_rows, style_dim=config.dim, pose_free=True)
        self.encoder = Encoder(encoder)
        rows = min(generator.num_rows, 10)
        coordinates = len(arkit_motion_space())
        self.directions = DirectionMatrix(DirectionConfig(coordinates=coordinates, rows=rows, dim=config.dim))
        critic = sizes | {"channel_base": config.critic_base or config.channel_base}
        self.discriminator = Discriminator(DiscriminatorConfig(resolution=config.resolution, **critic))

    def redraw(
        self, batch: PairBatch, collapsed: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """G(E(I_s) + A·q_t), the code inside, and the row offsets of E.

        Where `collapsed` (B,) is True the mean row stands in for all rows: a code of W, like those of samples.
        """
        base, offsets = self.encoder.split(batch.source)
        wp = self.directions.shift(base[:, None] + offsets, batch.q_target)
        if collapsed is not None:
            wp = torch.where(collapsed[:, None, None], wp.mean(1, keepdim=True), wp)
        return self.generator.synthesis(wp, noise="none"), wp, offsets

    def grow(self) -> None:
        """Double the resolution of generator and discriminator."""
        self.generator = grow_generator(self.generator)
        self.encoder = grow_encoder(self.encoder, self.generator.num_rows)
        self.discriminator = grow_discriminator(self.discriminator)

    def fit_sizes(self, config: AutoencoderConfig) -> None:
        """Grow, widen and refine the networks until they have the sizes of a config.

        Raises:
            ValueError: they would have to become smaller, or to change what cannot grow.
        """
        while self.generator.config.resolution < config.resolution:
            self.grow()
        if self.generator.config.channel_base != config.channel_base:
            self.generator = widen_generator(self.generator, config.channel_base)
        while self.encoder.config.resolution < min(config.encoder_resolution, config.resolution):
            self.encoder = refine_encoder(self.encoder)
        made = self.generator.config
        if (made.resolution, made.channel_max, made.style_dim) != (config.resolution, config.channel_max, config.dim):
            raise ValueError(f"{made.resolution} pixels, channel_max {made.channel_max}, dim {made.style_dim} stay")


def start_config(config: AutoencoderConfig, folder: Path) -> AutoencoderConfig:
    """`config` with the sizes of the networks of a finished run."""
    table = read_networks(folder)
    try:
        generator = table["generator"]
        names = ("resolution", "channel_base", "channel_max")
        return replace(
            config,
            start=None,
            dim=generator["style_dim"],
            critic_base=table["discriminator"]["channel_base"],
            encoder_resolution=table["encoder"]["resolution"],
            **{name: generator[name] for name in names},
        )
    except KeyError as error:
        raise TrainingError(f"{folder}: not a run of this recipe") from error


def take_up(config: AutoencoderConfig, folder: Path) -> Networks:
    """The averaged networks of a finished run, and its discriminator as it last was."""
    networks = Networks(start_config(config, folder))
    state = torch.load(folder / "state.pt", map_location="cpu", weights_only=True)["parts"]
    networks.load_state_dict(state["average"], strict=True)
    networks.discriminator.load_state_dict(
        {k.removeprefix("discriminator."): v for k, v in state["networks"].items() if k.startswith("discr")}
    )
    return networks


def unpack(config: AutoencoderConfig, folder: Path) -> Networks:
    """The networks of a bundle, and a new discriminator of the sizes asked for."""
    generator, encoder = load_generator(folder), load_encoder(folder)
    sizes = {"resolution": generator.config.resolution, "dim": generator.config.style_dim}
    networks = Networks(replace(config, start=None, **sizes))
    networks.generator, networks.encoder, networks.directions = generator, encoder, load_directions(folder)
    return networks.train().requires_grad_(True)


def build(config: AutoencoderConfig) -> Networks:
    """New networks, or those of `config.start`, grown to the sizes that are asked for.

    Raises:
        TrainingError: `start` is no run of this recipe, or its networks are larger than asked for.
    """
    if config.start is None:
        return Networks(config)
    try:
        networks = unpack(config, config.start) if is_bundle(config.start) else take_up(config, config.start)
        networks.fit_sizes(config)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(f"{config.start}: its networks cannot take the sizes asked for ({error})") from error
    return networks


@dataclass(frozen=True)
class Drawn:
    """Pictures of one step, the mean rows of their codes, and logits of the true frames that play; no gradients."""

    images: torch.Tensor
    codes: torch.Tensor
    real_logits: torch.Tensor | None


def rebuild_loss(
    nets: Networks, batch: PairBatch, collapsed: torch.Tensor, num_players: int, finest: float = 1.0
) -> tuple[dict[str, torch.Tensor], Drawn]:
    """Mean losses of the redrawn pictures, and the pictures; the first `num_players` face the discriminator."""
    image, codes, offsets = nets.redraw(batch, collapsed)
    real_logits = None
    image = image.float()
    pixel = pyramid_l1(image, batch.target, batch.weight, finest=finest)
    losses = {"pixel": pixel.mean(), "offsets": offset_energy(offsets).mean()}
    if num_players:
        with torch.no_grad():
            truth = nets.discriminator.features(batch.target[:num_players])
            real_logits = nets.discriminator.judge(truth[-1]).float()
        maps = nets.discriminator.features(image[:num_players])
        losses["feature"] = feature_l1(maps[:-1], truth[:-1]).mean()
        losses["fool"] = prefer(nets.discriminator.judge(maps[-1]).float(), real_logits).mean()
    return losses, Drawn(image, codes.detach().float().mean(1), real_logits)


def sample_loss(nets: Networks, z: torch.Tensor, real_logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean loss of samples, which should be preferred to as many true frames, and the samples."""
    image = nets.generator.synthesis(nets.generator.broadcast(nets.generator.mapping(z)), noise="none")
    return prefer(nets.discriminator(image).float(), real_logits).mean(), image.float().detach()


@torch.no_grad()
def show(run: Run, nets: Networks, pairs: FramePairs) -> None:
    """Sample picture: source, target, redrawn target, and samples from noise."""
    chosen = torch.linspace(0, len(pairs) - 1, 8).long()
    batch = pairs.draw(chosen, torch.Generator().manual_seed(1)).to(run.fabric.device)
    z = torch.randn(8, nets.generator.config.latent_dim, generator=torch.Generator().manual_seed(2))
    samples = nets.generator(z.to(batch.source.device), noise="none")
    single = nets.redraw(batch, torch.ones(8, dtype=torch.bool, device=samples.device))[0]
    run.sample("pairs", [batch.source, batch.target, nets.redraw(batch)[0], single, samples], columns=8)


def train(config: AutoencoderConfig, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    run = Run(run_config, start_fabric(run_config))
    device = run.fabric.device
    pairs = FramePairs(RenderedHeads(config.data), arkit_motion_space(), config.resolution)
    nets = seeded(run_config.seed, lambda: build(config)).to(device, memory_format=torch.channels_last)
    net3d = load_regressor(config.tracker).to(device) if config.tracker else None
    identity = load_identity(config.identity).to(device) if config.identity else None
    average = Ema(nets, config.ema_images)
    makers = [nets.generator, nets.encoder, nets.directions]
    maker = torch.optim.Adam([p for m in makers for p in m.parameters()], lr=config.lr, betas=(0.5, 0.99))
    critic_lr = config.lr if config.critic_lr is None else config.critic_lr
    critic = torch.optim.Adam(nets.discriminator.parameters(), lr=critic_lr, betas=(0.0, 0.99))
    recent = RecentCodes(config.recent, config.dim).to(device)
    run.track(networks=nets, average=average.model, maker=maker, critic=critic, recent=recent)
    describe(run_config.out, **dict(nets.named_children()))

    for step in run.steps():
        for optimiser, highest in ((maker, config.lr), (critic, critic_lr)):
            set_rate(optimiser, highest * settled(step, run_config.steps, config.settle))
        generator = run.generator()
        batch = pairs.draw(run.batch(len(pairs), config.batch), generator)
        count = len(batch.source)
        players = 2 * max(1, round(config.game_share * count / 2)) if step >= config.adversarial_from else 0
        batch = pairs.tilt(batch, config.tilt, generator, straight=players) if config.tilt else batch
        batch = pairs.mirror(batch, torch.rand(count, generator=generator) < config.mirror).to(device)
        collapsed = (torch.rand(count, generator=generator) < config.collapse_share).to(device)
        nets.discriminator.requires_grad_(False)
        with run.fabric.autocast(), torch.set_grad_enabled(step >= config.warm_up):
            losses, redrawn = rebuild_loss(nets, batch, collapsed, players, config.finest)
            losses["prior"] = prior_loss(nets.generator, recent, run.shared_generator())
            readers = round(config.read_share * count)
            seen = redrawn.images[:readers], batch.target[:readers]
            if net3d is not None and readers:
                losses |= reading_loss(net3d, *seen)
            if identity is not None and readers:
                losses |= likeness_losses(identity, *seen)
            parts = [losses]
            if redrawn.real_logits is not None:
                z = torch.randn(players // 2, config.dim, generator=generator).to(device)
                loss, samples = sample_loss(nets, z, redrawn.real_logits[: players // 2])
                parts.append({"samples": loss})
        if step >= config.warm_up:
            counts = config.weights | {"samples": config.sample_weight * config.weights["fool"]}
            run.descend(maker, total_loss(parts, counts))
        recent.push(run.gather(redrawn.codes))
        run.record(**losses)
        if players:
            nets.discriminator.requires_grad_(True)
            gamma = config.r1 * config.r1_every if run.every(config.r1_every) else None
            pictures = batch.target[:players], redrawn.images[:players].detach()
            with run.fabric.autocast():
                losses = judge_loss(nets.discriminator, *pictures, gamma, samples)
            counts = {"judge": 1.0, "judge_samples": config.sample_weight, "r1": 1.0, "r2": 1.0}
            run.descend(critic, total_loss([losses], counts))
            run.record(**losses, samples=parts[1]["samples"])
        average.update(nets, config.batch, (step + 1) * config.batch)
        if run.every(run_config.sample_every):
            show(run, average.model, pairs)
    return run
