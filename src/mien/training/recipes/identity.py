"""An identity net from zero: an angular-margin embedding of rendered people (ArcFace, Deng et al. 2019).

Thousands of people with a few pictures each start slowly under a margin, so the margin grows from zero, and a
contrastive loss (InfoNCE, van den Oord et al. 2018) between two pictures of each person helps from step one.
Backgrounds are replaced and colours shifted, so that the net cannot recognise the scene instead of the person.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from mien.images import shrink_to, to_tensor
from mien.perception.identity import IdentityConfig, IdentityNet
from mien.synth.dataset import RenderedHeads
from mien.training.engine import Ema, Run, RunConfig, seeded, set_rate, start_fabric
from mien.training.parts import describe


@dataclass(frozen=True, kw_only=True)
class IdentityRecipe:
    """What to train on and how.

    Attributes:
        data: folder of rendered heads (`mien render`).
        resolution, width: input side and width of the first stage.
        embedding: width of the embedding.
        batch: pictures per step, two of each person.
        temperature: of the contrastive loss.
        scale, margin: s and m (radians) of ArcFace.
    """

    data: Path
    resolution: int = 64
    width: int = 16
    embedding: int = 128
    batch: int = 64
    lr: float = 2e-3
    temperature: float = 0.1
    scale: float = 24.0
    margin: float = 0.25
    ema_images: float = 20_000.0


PRESETS: dict[str, dict[str, object]] = {
    # two cores, under 2 minutes: runs, loss falls
    "tiny": {"resolution": 32, "embedding": 32, "batch": 16},
    # two cores, about 10 minutes
    "two-core": {},
    # one large GPU
    "accelerator": {"resolution": 128, "width": 32, "embedding": 256, "batch": 256, "margin": 0.4},
}
STEPS = {"tiny": 40, "two-core": 2_500, "accelerator": 40_000}


class MarginHead(nn.Module):
    """ArcFace logits: s · cos(θ + m) for the true person, s · cos θ for the others."""

    def __init__(self, embedding: int, people: int, scale: float, margin: float) -> None:
        super().__init__()
        self.centres = nn.Parameter(torch.randn(people, embedding))
        self.scale, self.margin = scale, margin

    def forward(self, embedding: torch.Tensor, person: torch.Tensor, ramp: float = 1.0) -> torch.Tensor:
        """Cross entropy per sample. (B, E) unit vectors, (B,) person numbers → (B,). `ramp` scales the margin."""
        cosine = embedding @ F.normalize(self.centres).T
        angle = torch.acos(cosine.clamp(-1 + 1e-6, 1 - 1e-6))
        chosen = F.one_hot(person, cosine.shape[1]).bool()
        logits = torch.where(chosen, torch.cos((angle + self.margin * ramp).clamp(max=torch.pi)), cosine)
        return F.cross_entropy(logits * self.scale, person, reduction="none")


def contrast(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """InfoNCE per pair: row i of `first` (P, E) should be nearest to row i of `second` among all rows, both ways."""
    similarity = first @ second.T / temperature
    truth = torch.arange(len(first), device=first.device)
    both = [F.cross_entropy(s, truth, reduction="none") for s in (similarity, similarity.T)]
    return (both[0] + both[1]) / 2


def draw_couples(run: Run, frames: np.ndarray, num_people: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of two pictures of each of `num_people` random people; `frames` is (people, pictures of each)."""
    people = run.batch(len(frames), num_people).numpy()
    order = torch.rand(len(people), frames.shape[1], generator=run.generator(1)).argsort(1).numpy()
    return frames[people, order[:, 0]], frames[people, order[:, min(1, frames.shape[1] - 1)]]


def disguise(images: torch.Tensor, regions: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Replace the background, shift colours, blur and move: what must not count as identity.

    Args:
        images: (B, 3, S, S) in [−1, 1].
        regions: (B, 1, S, S), one where the head is.
    """
    count, side = len(images), images.shape[-1]
    coarse = torch.rand(count, 3, 4, 4, generator=generator) * 2 - 1
    images = torch.where(regions > 0.5, images, F.interpolate(coarse, side, mode="bilinear"))
    gain = torch.exp(torch.randn(count, 3, 1, 1, generator=generator) * 0.12)
    gain = gain * torch.exp(torch.randn(count, 1, 1, 1, generator=generator) * 0.25)
    images = (images + 1) * gain - 1
    theta = torch.eye(2, 3).repeat(count, 1, 1) + torch.randn(count, 2, 3, generator=generator) * 0.04
    field = F.affine_grid(theta, list(images.shape), align_corners=False)
    images = F.grid_sample(images, field, padding_mode="border", align_corners=False)
    blurred = F.avg_pool2d(images, 3, 1, 1)
    soft = torch.rand(count, 1, 1, 1, generator=generator)
    images = torch.lerp(images, blurred, soft) + torch.randn(images.shape, generator=generator) * 0.03
    return images.clamp(-1, 1)


def train(config: IdentityRecipe, run_config: RunConfig) -> Run:
    """Run the recipe; a run found in `run_config.out` is continued."""
    run = Run(run_config, start_fabric(run_config))
    heads = RenderedHeads(config.data)
    people, person = np.unique(heads.person, return_inverse=True)
    frames = np.argsort(person, kind="stable").reshape(len(people), -1)
    sizes = IdentityConfig(resolution=config.resolution, width=config.width, embedding=config.embedding)
    net = seeded(run_config.seed, lambda: IdentityNet(sizes)).to(run.fabric.device, memory_format=torch.channels_last)
    head = seeded(1, lambda: MarginHead(config.embedding, len(people), config.scale, config.margin))
    head, average = head.to(run.fabric.device), Ema(net, config.ema_images)
    optimiser = torch.optim.Adam([*net.parameters(), *head.parameters()], lr=config.lr)
    run.track(net=net, head=head, average=average.model, optimiser=optimiser)
    describe(run_config.out, identity=net)

    for step in run.steps():
        index = np.concatenate(draw_couples(run, frames, config.batch // 2))
        images = to_tensor(heads.images(index))
        mask = torch.from_numpy(np.isin(heads.regions[index], (1, 2, 3, 4, 5)).astype(np.float32))[:, None]
        images, mask = shrink_to(images, config.resolution), shrink_to(mask, config.resolution)
        images = disguise(images, mask, run.generator()).to(run.fabric.device)
        truth = torch.from_numpy(person[index]).to(run.fabric.device)
        set_rate(optimiser, config.lr * min(1.0, 5 * (1 - step / run_config.steps)))
        with run.fabric.autocast():
            embedding = net(images)
        first, second = embedding.float().chunk(2)
        pairs = contrast(first, second, config.temperature)
        loss = head(embedding.float(), truth, min(1.0, 2 * step / run_config.steps)).mean()
        run.descend(optimiser, loss + 2 * pairs.mean())
        average.update(net, config.batch, (step + 1) * config.batch)
        run.record(loss=loss, contrast=pairs.mean())
    return run
