"""What a head leans beyond what a bundle has seen is done by turning the picture, whatever draws it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.face3d.params import FaceParams
from mien.images import to_tensor, to_uint8, turn
from mien.inversion import Encoder
from mien.pipelines import Identity, Reenactor, reenactor
from mien.pipelines.moving import invert


def _leaning(params: FaceParams, degrees: float) -> FaceParams:
    return replace(params, angles=params.angles + torch.deg2rad(torch.tensor([0.0, 0.0, degrees])))


@pytest.fixture
def upright(fakes):
    """A model whose bundle draws heads that lean by 12 degrees, with masks; its encoder leaves out the pose."""
    bundle = fakes.random_bundle()
    encoder = Encoder(replace(bundle.encoder.config, pose_free=True))
    encoder.load_state_dict(bundle.encoder.state_dict())
    parts = {"motion": replace(bundle.motion, lean_deg=12.0), "masks": fakes.random_masks(), "encoder": encoder}
    return Reenactor(replace(bundle, **parts), tracker=fakes.PaintedTracker())


@pytest.fixture
def identity(upright, fakes):
    return upright.identify(fakes.paint((40, 32), smile=0.2))


def _turned(picture: np.ndarray, degrees: float) -> np.ndarray:
    return to_uint8(turn(to_tensor(picture), torch.deg2rad(torch.tensor([degrees]))))[0]


@pytest.mark.parametrize("method", ["directions", "stylemask"])
def test_beyond_the_limit_the_picture_turns(upright, identity, method):
    """Within the limit nothing is turned; 18 degrees are the picture of 6, turned by 12, and 50 an upright one."""
    within = upright.edit(identity, method, roll=12.0)
    for roll, drawn in ((18.0, 6.0), (50.0, 0.0)):
        far, near = (upright.edit(identity, method, roll=degrees) for degrees in (roll, drawn))
        assert np.abs(far.astype(int) - _turned(near, roll - drawn)).max() <= 2
        assert np.abs(far.astype(int) - near).max() > 10
    unturned = replace(upright.bundle, motion=replace(upright.bundle.motion, lean_deg=None))
    assert np.array_equal(Reenactor(unturned, tracker=upright.tracker).edit(identity, method, roll=12.0), within)


def test_only_faces_that_lean_too_far_are_turned(upright, identity):
    """In a batch each picture gets its own turn; the others keep every bit."""
    params = FaceParams.cat([_leaning(identity.params, lean) for lean in (0.0, -30.0, 5.0)])
    batch = upright.render(identity, upright.change(identity, params), "directions")
    for picture, one in zip(batch, (params[i] for i in range(3)), strict=True):
        alone = upright.render(identity, upright.change(identity, one), "directions")[0]
        assert np.abs(picture.astype(int) - alone).max() <= 1
    assert np.abs(batch[1].astype(int) - _turned(upright.edit(identity, "directions", roll=0.0), -30.0)).max() <= 2


def test_a_leaning_driver_is_mixed_upright_and_turned_back(upright, identity, fakes):
    """StyleMask sees the driver as far as the bundle knows leaning heads, and its result leans as he does."""
    driver = fakes.paint((30, 30), smile=0.8)
    params = upright.measure(driver)
    (crop,) = upright.frame(params)
    result = upright.swap(identity, [driver], _leaning(params, 42.0), crops=[crop])[0]
    upright_crop = crop.turned(-np.deg2rad(42.0))
    expected = upright.swap(identity, [driver], params, crops=[upright_crop])[0]
    assert np.abs(result.astype(int) - _turned(expected, 42.0)).max() <= 2
    still = upright.swap(identity, [driver], _leaning(params, 42.0), strength=0.0, crops=[crop])[0]
    assert np.abs(still.astype(int) - upright.swap(identity, [driver], params, strength=0.0)[0]).max() <= 1


def test_no_cut_is_told_where_the_picture_turns(upright, identity, fakes):
    """A lean of 60 degrees leaves the range of roll, but nothing of it is lost."""
    params = _leaning(identity.params, 60.0)
    wanted, change = (upright.change(identity, params, bounded=bounded) for bounded in (False, True))
    torch.testing.assert_close(wanted, change, rtol=0, atol=1e-4)


def _identified(model: Reenactor, picture: np.ndarray, degrees: float, monkeypatch) -> Identity:
    """The picture's face, said to lean by so much more."""
    params = model.measure(picture)
    crops = model.frame(params)
    with monkeypatch.context() as patch:
        patch.setattr(model, "measure", lambda image, face: _leaning(params, degrees))
        patch.setattr(model, "frame", lambda params: crops)
        return model.identify(picture)


@pytest.mark.parametrize(("lean", "taken"), [(40.0, 40.0), (-15.0, -6.0), (9.0, 0.0)])
def test_a_leaning_source_is_inverted_upright(upright, fakes, monkeypatch, lean, taken):
    """And leans as before where nothing moves, but not where the driver is upright."""
    picture = fakes.paint((40, 32), smile=0.2)
    identity = _identified(upright, picture, lean, monkeypatch)
    assert np.array_equal(identity.image, identity.crop.apply(picture)), "what is shown of the source leans"
    cut = identity.crop.turned(-np.deg2rad(taken)).apply(picture)
    level = replace(identity, coordinates=upright.bundle.motion.encode(_leaning(identity.params, -taken)))
    code = invert(upright.bundle, to_tensor(cut), level.coordinates)
    torch.testing.assert_close(identity.code, code, rtol=0, atol=1e-4)
    still = torch.zeros_like(identity.coordinates)
    rest, drawn = (upright.render(one, still, "directions")[0] for one in (identity, level))
    assert np.abs(rest.astype(int) - (_turned(drawn, taken) if taken else drawn)).max() <= 2
    driver = upright.measure(picture)
    driven, expected = (upright.render(i, upright.change(i, driver), "directions")[0] for i in (identity, level))
    assert np.abs(driven.astype(int) - expected).max() <= 1


def test_a_leaning_source_is_no_notice_and_keeps_its_lean_in_the_mix(upright, fakes, monkeypatch):
    picture = fakes.paint((40, 32), smile=0.2)
    identity = _identified(upright, picture, 60.0, monkeypatch)
    assert not any("trained range" in notice for notice in identity.notices)
    driver = upright.measure(picture)
    none, half, full = (
        upright.swap(identity, [picture], driver, strength=s, method="stylemask")[0] for s in (0.0, 0.5, 1.0)
    )
    generator = upright.bundle.generator
    drawn = generator.synthesis(generator.truncate(identity.code, upright.bundle.truncation))
    assert np.abs(none.astype(int) - _turned(to_uint8(drawn)[0], 60.0)).max() <= 2
    assert len({picture.tobytes() for picture in (none, half, full)}) == 3


def test_tuning_shows_the_generator_what_it_draws(upright, fakes, monkeypatch):
    """The picture of a leaning source is turned upright, that of another one is its own to the last bit."""
    picture, seen = fakes.paint((40, 32), smile=0.2), []

    def tune(generator, code, wanted, config, progress):
        seen.append(to_uint8(wanted)[0])
        return generator

    monkeypatch.setattr(reenactor, "tune_generator", tune)
    for lean in (5.0, 40.0):
        identity = _identified(upright, picture, lean, monkeypatch)
        upright.tune(identity)
        assert np.array_equal(seen[-1], identity.image if lean < 12 else _turned(identity.image, -lean))
