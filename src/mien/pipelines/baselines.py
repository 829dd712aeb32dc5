"""A bundle with a baseline's directions in place of its own, measured with its own tracker."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import torch

from mien.checkpoints import Bundle
from mien.errors import InputError
from mien.face3d.params import FaceParams
from mien.images import to_uint8
from mien.methods import DirectionMatrix
from mien.methods.baselines import (
    Read,
    assigned_directions,
    factor_slopes,
    half_range,
    regressed_directions,
    still_directions,
    style_factors,
)
from mien.pipelines.reenactor import Reenactor

Baseline = Literal["copy", "sefa", "regression"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
SLOPE_CODES, REGRESSION_CODES, BATCH, PSI = 12, 1000, 50, 0.7
"""Codes at which slopes are measured, samples of the regression, samples drawn together; ψ of samples."""
FACTORS_PER_COORDINATE = 2


def baseline_model(model: Reenactor, name: Baseline, codes: torch.Tensor | None = None, seed: int = 0) -> Reenactor:
    """A model that shares everything with the given one but moves codes by a baseline's directions.

    Identities come from the *given* model, so that all baselines start from the same codes and differ in A alone. No
    baseline refines features.

    Args:
        name: "copy" (A = 0), "sefa" (factors of the style weights, assigned by the tracker) or "regression" (of codes
            of samples on what the tracker reads in them).
        codes: (N, L, D) at which the slopes of "sefa" are measured; None takes samples.
        seed: of the samples.

    Raises:
        InputError: no such baseline.
        BundleError: the model has no directions to replace.
    """
    if name not in BASELINES:
        raise InputError(f"unknown baseline {name!r}; known: {', '.join(BASELINES)}")
    directions = baseline_directions(model, name, codes, torch.Generator().manual_seed(seed))
    return Reenactor(replace(model.bundle, directions=directions, feature=None), model.device, model.tracker)


def baseline_directions(
    model: Reenactor, name: Baseline, codes: torch.Tensor | None, draws: torch.Generator
) -> DirectionMatrix:
    """The directions of a baseline; see `baseline_model`."""
    bundle, sizes = model.bundle, model.bundle.need_directions().config
    if name == "copy":
        return still_directions(sizes.coordinates, sizes.rows, sizes.dim).to(model.device)
    read = reader(model)
    if name == "regression":
        samples = sample_codes(bundle, REGRESSION_CODES, draws)
        with torch.no_grad():
            q = torch.cat([read(bundle.generator.synthesis(part)) for part in samples.split(BATCH)])
        return regressed_directions(samples, q, sizes.rows)
    longest = half_range(bundle.generator, REGRESSION_CODES, draws)
    codes = sample_codes(bundle, SLOPE_CODES, draws) if codes is None else codes[:SLOPE_CODES]
    count = min(sizes.dim, FACTORS_PER_COORDINATE * sizes.coordinates)
    factors = style_factors(bundle.generator, sizes.rows, count)
    slopes = factor_slopes(bundle.generator, codes, factors, sizes.rows, read, step=longest)
    return assigned_directions(factors, slopes, sizes.rows, longest)


@torch.no_grad()
def sample_codes(bundle: Bundle, count: int, draws: torch.Generator) -> torch.Tensor:
    """(count, L, D) codes of samples."""
    generator = bundle.generator
    z = torch.randn(count, generator.config.latent_dim, generator=draws).to(generator.w_mean)
    return generator.broadcast(generator.truncate(generator.mapping(z), PSI))


def reader(model: Reenactor) -> Read:
    """What a model's tracker reads in pictures of its generator, in the bundle's coordinates."""

    def read(images: torch.Tensor) -> torch.Tensor:
        pictures = to_uint8(images)
        found = [model.tracker.find(picture)[:1] for picture in pictures]
        faces = [
            model.tracker.estimate([picture], boxes) if boxes else FaceParams.invalid(1, model.bundle.motion.model)
            for picture, boxes in zip(pictures, found, strict=True)
        ]
        params = FaceParams.cat(faces)
        q = model.bundle.motion.encode(params)
        return torch.where(params.valid[:, None], q, torch.nan).to(images)

    return read
