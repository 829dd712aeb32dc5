"""Baselines of a whole model: they share all but A, and what they claim to move they move."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.errors import InputError
from mien.pipelines import baselines
from mien.pipelines.baselines import baseline_model, reader, sample_codes


@pytest.fixture(scope="module")
def avatar(samples):
    import mien

    return mien.load("avatar", device="cpu")


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(baselines, "SLOPE_CODES", 1)
    monkeypatch.setattr(baselines, "REGRESSION_CODES", 24)
    monkeypatch.setattr(baselines, "FACTORS_PER_COORDINATE", 1)


def test_copying_returns_the_source_whatever_the_driver(avatar, samples):
    import mien

    source, driver = (mien.read_image(samples / name) for name in ("source_1.jpg", "source_2.jpg"))
    identity = avatar.identify(source)
    copied = baseline_model(avatar, "copy")
    assert np.array_equal(copied.drive(identity, driver), avatar.edit(identity, "directions"))
    assert copied.bundle.generator is avatar.bundle.generator


def test_unknown_baselines_are_refused(avatar):
    with pytest.raises(InputError, match="copy, sefa, regression"):
        baseline_model(avatar, "magic")


@pytest.mark.parametrize("name", ["sefa", "regression"])
def test_baselines_have_the_sizes_of_the_bundle(few, avatar, name):
    made = baseline_model(avatar, name).bundle.need_directions()
    assert made.config == replace(avatar.bundle.need_directions().config, bias=False)
    weight = made.linear.weight
    assert bool(weight.isfinite().all()) and float(weight.abs().max()) > 0


def test_the_same_seed_gives_the_same_samples(avatar):
    first, again, other = (sample_codes(avatar.bundle, 2, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_reading_marks_pictures_without_a_face(avatar):
    codes = sample_codes(avatar.bundle, 2, torch.Generator().manual_seed(0))
    with torch.no_grad():
        pictures = avatar.bundle.generator.synthesis(codes)
    q = reader(avatar)(torch.cat([pictures, torch.zeros_like(pictures[:1])]))
    assert bool(q[:2].isfinite().all()) and bool(q[2].isnan().all())
