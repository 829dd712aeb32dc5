"""From finished runs to a bundle that can be loaded by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from mien.checkpoints import Bundle, TrackerNetworks, save_bundle
from mien.errors import TrainingError
from mien.face3d import MotionSpace, arkit_motion_space
from mien.geometry import lean_of
from mien.inversion import Encoder, FeatureEncoder, FeatureRefiner, FeatureTransformer, copying
from mien.methods import DirectionMatrix
from mien.synth.dataset import RenderedHeads
from mien.tracking.closeup import weakened
from mien.training.parts import (
    load_closeup,
    load_detector,
    load_directions,
    load_encoder,
    load_feature,
    load_generator,
    load_masks,
    load_regressor,
)

Trained = TypeVar("Trained", Encoder, FeatureEncoder, FeatureTransformer)
TRAINED_SHARES = (0.01, 0.99)
"""Shares of the training pictures that show less, and at most as much, of an expression as results may."""
LEANING_SHARE = 0.9
"""Share of the training pictures whose heads lean less than directions may lean a head."""


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """Where the parts of a bundle come from.

    Attributes:
        generator: run of recipe `generator` or `autoencoder`.
        tracker: run of recipe `tracker`, or of `closeup`, whose run holds the tracker that it looks closer for.
        encoder, directions: runs of those recipes; None takes those of the autoencoder run.
        closeup_share: weight of the tracker's close-ups, if it has any, against doing without.
        masks: run of recipe `stylemask` on that generator; None leaves that method out.
        feature: run of recipe `feature`; None leaves the method one-shot out.
        feature_start, feature_share: the run that `feature` started from, and the weight of `feature` against it, as
            for the encoder: between letting expressions through and keeping likeness.
        transformer_share: the same for its transformer, which alone decides what moves; None: as `feature_share`.
        copy_features: let what it adds stay where the source's head was: the published failure, for comparison.
        encoder_share: weight of that encoder against the autoencoder run's, where it must have started; the mean of
            weights before and after training on photographs keeps more of the sharpness before (Wortsman et al. 2022).
        name: what the bundle is called.
        truncation: ψ applied after the shift; 1 keeps codes as they are.
        roll_deg: largest roll the parts were trained on, tilted pictures included.
        pictures: rendered heads of the training, whose expressions tell how far results may go (`trained_range`), and
            whose poses how far heads lean before results are turned in their plane (`trained_lean`); None: as far as
            the working ranges.
        licence, provenance: texts of the card.
        quality: measured numbers of the card.
    """

    generator: Path
    tracker: Path
    encoder: Path | None = None
    directions: Path | None = None
    closeup_share: float = 1.0
    masks: Path | None = None
    feature: Path | None = None
    feature_start: Path | None = None
    feature_share: float = 1.0
    transformer_share: float | None = None
    copy_features: bool = False
    encoder_share: float = 1.0
    name: str = "avatar"
    truncation: float = 1.0
    roll_deg: float = 40.0
    pictures: Path | None = None
    licence: str = "Apache-2.0"
    provenance: str = "not stated"
    quality: tuple[tuple[str, float], ...] = ()


def widen(matrix: DirectionMatrix, motion: MotionSpace, name: str, limit: float) -> tuple[DirectionMatrix, MotionSpace]:
    """Let a symmetric coordinate run to ±limit: its range grows and its column of A with it, so A·q stays the same."""
    column = motion.index(name)
    factor = limit / float(motion.ranges[column, 1])
    ranges = motion.ranges.clone()
    ranges[column] *= factor
    with torch.no_grad():
        matrix.linear.weight[:, column] *= factor
    return matrix, motion.with_ranges(ranges)


def trained_range(motion: MotionSpace, heads: RenderedHeads) -> torch.Tensor:
    """(k, 2) values between which nearly all pictures lie: 98 % for expressions; angles keep their ranges.

    Beyond them codes are extrapolated: teeth turn blue before a smile grows any broader.
    """
    values = motion.read(heads.params(np.arange(len(heads))))
    ends = torch.quantile(values, torch.tensor(TRAINED_SHARES, dtype=values.dtype), 0).T
    low, high = motion.ranges.sort(1).values.unbind(1)
    ends = torch.minimum(torch.maximum(ends, low[:, None]), high[:, None])
    return torch.where(motion.is_angle[:, None], motion.ranges, ends)


def trained_lean(heads: RenderedHeads) -> float:
    """Degrees by which nine tenths of the heads lean less; beyond them results are turned in their plane."""
    lean = lean_of(heads.params(np.arange(len(heads))).angles).abs()
    return round(float(torch.rad2deg(torch.quantile(lean, LEANING_SHARE))), 1)


def blended(plan: Assembly) -> Encoder:
    """The encoder of the plan: of its own run, of the autoencoder run, or between them.

    Raises:
        TrainingError: a run is missing, or the two encoders are of different sizes.
    """
    after = load_encoder(plan.encoder or plan.generator)
    if plan.encoder is None or plan.encoder_share == 1:
        return after
    return between(load_encoder(plan.generator), after, plan.encoder_share, (plan.generator, plan.encoder))


def refined(plan: Assembly) -> FeatureRefiner | None:
    """The refinement of the plan: none, of its own run, or between that and the run it started from.

    Raises:
        TrainingError: a run is missing, or the two refinements are of different sizes.
    """
    if plan.feature is None:
        return None
    feature = load_feature(plan.feature)
    if plan.feature_start is not None:
        before, runs = load_feature(plan.feature_start), (plan.feature_start, plan.feature)
        between(before.encoder, feature.encoder, plan.feature_share, runs)
        moving = plan.feature_share if plan.transformer_share is None else plan.transformer_share
        between(before.transformer, feature.transformer, moving, runs)
    return copying(feature) if plan.copy_features else feature


def tracker_of(plan: Assembly) -> TrackerNetworks:
    """The networks of the plan's tracker; its close-ups go part of their way.

    Raises:
        TrainingError: the run is missing.
    """
    closeup = load_closeup(plan.tracker)
    closeup = None if closeup is None else weakened(closeup, plan.closeup_share)
    return TrackerNetworks(load_detector(plan.tracker), load_regressor(plan.tracker), closeup)


def between(before: Trained, after: Trained, share: float, runs: tuple[Path, Path]) -> Trained:
    """The network `after` with its weights at `share` of the way from those of `before`.

    Raises:
        TrainingError: they are of different sizes, so that the second run did not start from the first.
    """
    if before.config != after.config:
        raise TrainingError(f"{runs[1]}: this run did not start from {runs[0]}")
    with torch.no_grad():
        for mine, theirs in zip(after.parameters(), before.parameters(), strict=True):
            mine.copy_(torch.lerp(theirs, mine, share))
    return after


def assemble(plan: Assembly, folder: Path) -> Path:
    """Collect the averaged networks of finished runs and write them as a bundle.

    The motion space has the ranges that the training pictures were drawn from.

    Raises:
        TrainingError: a run is missing or of another version.
        BundleError, OutputError: the bundle cannot be written.
    """
    generator = load_generator(plan.generator)
    if not torch.isfinite(generator.w_mean).all():
        raise TrainingError(f"{plan.generator}: the generator's weights are not finite")
    directions = load_directions(plan.directions or plan.generator)
    directions, motion = widen(directions, arkit_motion_space(), "roll", plan.roll_deg)
    if plan.pictures is not None:
        heads = RenderedHeads(plan.pictures)
        motion = replace(motion, trained=trained_range(motion, heads), lean_deg=trained_lean(heads))
    bundle = Bundle(
        name=plan.name,
        generator=generator,
        encoder=blended(plan),
        directions=directions,
        motion=motion,
        truncation=plan.truncation,
        crop="head",
        tracker=tracker_of(plan),
        card={"licence": plan.licence, "provenance": plan.provenance, "quality": dict(plan.quality)},
        masks=None if plan.masks is None else load_masks(plan.masks),
        feature=refined(plan),
    )
    bundle.check()
    return save_bundle(bundle, folder)
