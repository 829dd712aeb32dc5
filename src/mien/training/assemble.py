"""From finished runs to a bundle that can be loaded by name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from mien.checkpoints import Bundle, TrackerNetworks, save_bundle
from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.training.parts import (
    load_detector,
    load_directions,
    load_encoder,
    load_generator,
    load_regressor,
)


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """Where the parts of a bundle come from.

    Attributes:
        generator: run of recipe `generator` or `autoencoder`.
        tracker: run of recipe `tracker`.
        encoder, directions: runs of those recipes; None takes those of the autoencoder run.
        name: what the bundle is called.
        truncation: ψ applied after the shift; 1 keeps codes as they are.
        licence, provenance: texts of the card.
        quality: measured numbers of the card.
    """

    generator: Path
    tracker: Path
    encoder: Path | None = None
    directions: Path | None = None
    name: str = "avatar"
    truncation: float = 1.0
    licence: str = "Apache-2.0"
    provenance: str = "not stated"
    quality: tuple[tuple[str, float], ...] = ()


def assemble(plan: Assembly, folder: Path) -> Path:
    """Collect the averaged networks of finished runs and write them as a bundle.

    The motion space keeps the ranges that the renders were drawn from: the working range of everything trained on them.

    Raises:
        TrainingError: a run is missing or of another version.
        BundleError, OutputError: the bundle cannot be written.
    """
    generator = load_generator(plan.generator)
    if not torch.isfinite(generator.w_mean).all():
        raise TrainingError(f"{plan.generator}: the generator's weights are not finite")
    bundle = Bundle(
        name=plan.name,
        generator=generator,
        encoder=load_encoder(plan.encoder or plan.generator),
        directions=load_directions(plan.directions or plan.generator),
        motion=arkit_motion_space(),
        truncation=plan.truncation,
        crop="head",
        tracker=TrackerNetworks(load_detector(plan.tracker), load_regressor(plan.tracker)),
        card={"licence": plan.licence, "provenance": plan.provenance, "quality": dict(plan.quality)},
    )
    return save_bundle(bundle, folder)
