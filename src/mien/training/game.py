"""The adversarial game of redrawn pictures and samples, and how samples learn where the codes of renders lie."""

from __future__ import annotations

import torch
from torch import nn

from mien.losses.adversarial import prefer, r1_penalty
from mien.losses.latent import random_directions, sliced_wasserstein
from mien.stylegan2 import Discriminator, Generator


class RecentCodes(nn.Module):
    """The mean rows of the last codes of renders: what samples of the mapping network should be distributed like."""

    codes: torch.Tensor

    def __init__(self, count: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.zeros(count, dim))

    def push(self, codes: torch.Tensor) -> None:
        """Put (B, D) in front; the oldest leave."""
        self.codes = torch.cat([codes, self.codes])[: len(self.codes)]

    def distance(self, w: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Sliced Wasserstein distance of w (N, D) to as many stored codes, over 64 random projections."""
        return sliced_wasserstein(w, self.codes[: len(w)], random_directions(w.shape[1], 64, generator).to(w))


def prior_loss(generator: Generator, recent: RecentCodes, draws: torch.Generator) -> torch.Tensor:
    """Distance of codes M(z) to those of renders; w̄ follows their mean."""
    count, device = len(recent.codes), recent.codes.device
    w = generator.mapping(torch.randn(count, generator.config.latent_dim, generator=draws).to(device))
    with torch.no_grad():
        generator.w_mean.lerp_(w.mean(0).float(), 0.01)
    return recent.distance(w.float(), draws)


def judge_loss(
    discriminator: Discriminator,
    real: torch.Tensor,
    redrawn: torch.Tensor,
    gamma: float | None,
    samples: torch.Tensor | None = None,
) -> dict[str, torch.Tensor]:
    """Discriminator losses: true frames (B, 3, S, S) against their redrawn selves, and against samples of others.

    Each kind is judged in a batch of its own, as it is when the generator learns. With `gamma`, R1 and R2 on every
    second pair; relativistic pairing needs both to converge (Huang et al. 2024).
    """
    true, made = (discriminator(pictures).float() for pictures in (real, redrawn))
    losses = {"judge": prefer(true, made).mean()}
    if samples is not None:
        losses["judge_samples"] = prefer(true[: len(samples)], discriminator(samples).float()).mean()
    if gamma is not None:
        with torch.autocast(real.device.type, enabled=False):
            for name, pictures in (("r1", real), ("r2", redrawn)):
                losses[name] = r1_penalty(discriminator, pictures[::2]).mean() * gamma / 2
    return losses


def total_loss(parts: list[dict[str, torch.Tensor]], weights: dict[str, float]) -> torch.Tensor:
    """Weighted sum of all named losses."""
    terms = [weights[name] * value for part in parts for name, value in part.items()]
    return torch.stack(terms).sum()
