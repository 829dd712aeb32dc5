"""What a head leans beyond what a bundle has seen is done by turning the picture, whatever draws it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.face3d.params import FaceParams
from mien.images import to_tensor, to_uint8, turn
from mien.inversion import Encoder
from mien.pipelines import Reenactor


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
    """Within the limit nothing is turned; 50 degrees are the picture of 12, turned by 38."""
    within = upright.edit(identity, method, roll=12.0)
    far = upright.edit(identity, method, roll=50.0)
    assert np.abs(far.astype(int) - _turned(within, 38.0)).max() <= 2
    assert np.abs(far.astype(int) - within).max() > 10
    unturned = replace(upright.bundle, motion=replace(upright.bundle.motion, lean_deg=None))
    assert np.array_equal(Reenactor(unturned, tracker=upright.tracker).edit(identity, method, roll=12.0), within)


def test_only_faces_that_lean_too_far_are_turned(upright, identity):
    """In a batch each picture gets its own turn; the others keep every bit."""
    params = FaceParams.cat([_leaning(identity.params, lean) for lean in (0.0, -30.0, 5.0)])
    batch = upright.render(identity, upright.change(identity, params), "directions")
    for picture, one in zip(batch, (params[i] for i in range(3)), strict=True):
        alone = upright.render(identity, upright.change(identity, one), "directions")[0]
        assert np.abs(picture.astype(int) - alone).max() <= 1
    assert np.abs(batch[1].astype(int) - _turned(upright.edit(identity, "directions", roll=-12.0), -18.0)).max() <= 2


def test_a_leaning_driver_is_mixed_upright_and_turned_back(upright, identity, fakes):
    """StyleMask sees the driver as far as the bundle knows leaning heads, and its result leans as he does."""
    driver = fakes.paint((30, 30), smile=0.8)
    params = upright.measure(driver)
    (crop,) = upright.frame(params)
    result = upright.swap(identity, [driver], _leaning(params, 42.0), crops=[crop])[0]
    upright_crop = crop.turned(-np.deg2rad(30.0))
    expected = upright.swap(identity, [driver], _leaning(params, 12.0), crops=[upright_crop])[0]
    assert np.abs(result.astype(int) - _turned(expected, 30.0)).max() <= 2
    still = upright.swap(identity, [driver], _leaning(params, 42.0), strength=0.0, crops=[crop])[0]
    assert np.abs(still.astype(int) - upright.swap(identity, [driver], params, strength=0.0)[0]).max() <= 1


def test_no_cut_is_told_where_the_picture_turns(upright, identity, fakes):
    """A lean of 60 degrees leaves the range of roll, but nothing of it is lost."""
    params = _leaning(identity.params, 60.0)
    wanted, change = (upright.change(identity, params, bounded=bounded) for bounded in (False, True))
    torch.testing.assert_close(wanted, change, rtol=0, atol=1e-4)
