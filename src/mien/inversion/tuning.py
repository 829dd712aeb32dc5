"""Per-subject tuning of a generator (pivotal tuning, Roich et al. 2021; METHODS section 2).

The code of the source picture stays; the styled convolutions move until they draw the picture from it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from mien.stylegan2 import Generator

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Progress = Callable[[int, dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class TuningConfig:
    """How to tune.

    Attributes:
        steps: of Adam, with its default betas.
        learning_rate: constant.
        mse_weight: of the mean squared error of pixels in [−1, 1].
        perceptual_weight: of the perceptual distance, where one is given.
        from_resolution: styled convolutions at this side and finer move; mapping, styles of ToRGB and constant do not.
    """

    steps: int = 200
    learning_rate: float = 3e-3
    mse_weight: float = 100.0
    perceptual_weight: float = 1.0
    from_resolution: int = 32

    def __post_init__(self) -> None:
        if self.steps < 0 or self.learning_rate <= 0 or min(self.mse_weight, self.perceptual_weight) < 0:
            raise ValueError("steps and weights must not be negative, the learning rate must be positive")


def tune_generator(
    generator: Generator,
    wp: torch.Tensor,
    image: torch.Tensor,
    config: TuningConfig = TuningConfig(),
    *,
    perceptual: Distance | None = None,
    progress: Progress | None = None,
) -> Generator:
    """A new generator that draws `image` from `wp`; the given one is not touched.

    loss = mse_weight · mean (G(w⁺) − I)² + perceptual_weight · mean d(G(w⁺), I).

    Args:
        generator: shared, frozen or not.
        wp: (B, L, D) codes as the generator is to read them, truncation already applied.
        image: (B, 3, R, R) in [−1, 1], R the generator's resolution.
        config: how to tune.
        perceptual: d(images, images) → (B,), images in [−1, 1]; left out if None.
        progress: called before each update with the step (from 0) and the losses "total", "mse", "perceptual".

    Returns:
        A frozen generator in eval mode on the same device.

    Raises:
        ValueError: `image` has another size than what the generator draws, or nothing is left to move.
    """
    expected = (wp.shape[0], 3, generator.config.resolution, generator.config.resolution)
    if tuple(image.shape) != expected:
        raise ValueError(f"expected pictures {expected}, got {tuple(image.shape)}")
    with torch.inference_mode(False), torch.enable_grad():
        wp, image = wp.detach().clone(), image.detach().clone()
        tuned = copy.deepcopy(generator).requires_grad_(False).eval()
        parameters = [p.requires_grad_(True) for layer in moving_layers(tuned, config) for p in layer.parameters()]
        if not parameters:
            raise ValueError(f"no styled convolution at {config.from_resolution} or finer")
        optimizer = torch.optim.Adam(parameters, config.learning_rate)
        for step in range(config.steps):
            total, parts = _loss(tuned.synthesis(wp), image, config, perceptual)
            optimizer.zero_grad(set_to_none=True)
            total.backward()
            if progress is not None:
                progress(step, {name: value.item() for name, value in {"total": total, **parts}.items()})
            optimizer.step()
    tuned.zero_grad(set_to_none=True)
    return tuned.requires_grad_(False)


def moving_layers(generator: Generator, config: TuningConfig) -> Iterator[nn.Module]:
    """The styled convolutions that tuning moves, with their styles, noise strengths and biases."""
    for layer in generator.convs:
        if layer.noise.shape[-1] >= config.from_resolution:
            yield layer


def _loss(
    drawn: torch.Tensor, image: torch.Tensor, config: TuningConfig, perceptual: Distance | None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    parts = {"mse": (drawn - image).square().mean()}
    total = config.mse_weight * parts["mse"]
    if perceptual is not None:
        parts["perceptual"] = perceptual(drawn, image).mean()
        total = total + config.perceptual_weight * parts["perceptual"]
    return total, parts
