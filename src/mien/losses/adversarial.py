"""Adversarial losses: non-saturating, R1 and path length (Karras et al. 2020), and relativistic pairing."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.nn import functional as F


def fool(fake_logits: torch.Tensor) -> torch.Tensor:
    """Non-saturating generator loss −log σ(D(fake)), per sample. Logits (B, 1) → (B,)."""
    return F.softplus(-fake_logits).flatten()


def judge(real_logits: torch.Tensor, fake_logits: torch.Tensor) -> torch.Tensor:
    """Discriminator loss: mean of −log σ(D(real)) plus mean of −log(1 − σ(D(fake))), a scalar."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def prefer(better_logits: torch.Tensor, worse_logits: torch.Tensor) -> torch.Tensor:
    """Relativistic pairing −log σ(D(a) − D(b)), per pair (Jolicoeur-Martineau 2018). Logits (B, 1) → (B,).

    The discriminator prefers real pictures, the generator made ones. Where both show the same thing, their content
    cancels out and the difference in quality is what is left.
    """
    return F.softplus(worse_logits - better_logits).flatten()


def r1_penalty(discriminator: Callable[[torch.Tensor], torch.Tensor], real: torch.Tensor) -> torch.Tensor:
    """|∇_x D(x)|² on real pictures, per sample (Mescheder et al. 2018); R2 on made ones. Multiply by γ/2."""
    real = real.detach().requires_grad_(True)
    logits = discriminator(real)
    (gradient,) = torch.autograd.grad(logits.float().sum(), real, create_graph=True)
    return gradient.float().square().sum((1, 2, 3))


def path_length(images: torch.Tensor, wp: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Length of J_wᵀy for random images y, per sample; (length − running mean)² is the regulariser.

    Args:
        images: (B, 3, H, W), made from `wp`.
        wp: (B, L, D) codes that require gradients.
        generator: source of y.
    """
    noise = torch.randn(images.shape, generator=generator).to(images) / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * noise).float().sum(), wp, create_graph=True)
    return gradient.float().square().sum(2).mean(1).sqrt()
