"""The judge's second look is the tracker's, and pixels feel it."""

import math
from importlib.resources import files

import numpy as np
import pytest
import torch

import mien
from mien.alignment.crop import Crop
from mien.checkpoints import load_bundle
from mien.face3d import load_ict
from mien.face3d.params import ARKIT_NAMES
from mien.images import to_tensor
from mien.tracking.framing import crop_matrix
from mien.training.closer import cut
from mien.training.judges import Judges

SAMPLES = files("mien") / "assets" / "samples"


@pytest.fixture(scope="module")
def networks():
    return load_bundle("avatar").need_tracker()


@pytest.fixture(scope="module")
def crops() -> list[np.ndarray]:
    model = mien.load("avatar")
    return [model.identify(mien.read_image(str(SAMPLES / f"source_{i}.jpg"))).image for i in (1, 2)]


def test_squares_are_cut_like_those_of_the_tracker():
    ramp = np.linspace(0, 200, 64)
    picture = np.stack([*np.meshgrid(ramp, ramp), np.full((64, 64), 90.0)], -1).astype(np.uint8)
    squares = [(np.array([30.0, 36.0]), 24.0, 0.3), (np.array([25.5, 31.0]), 20.0, -0.5)]
    ours = cut(to_tensor([picture, picture]), squares, 24)
    for image, (centre, side, tilt) in zip(ours, squares, strict=True):
        theirs = to_tensor([Crop(crop_matrix(centre, side, tilt, 24), 24, "aligned").apply(picture)])[0]
        assert (image - theirs).abs().max() < 0.03


@pytest.mark.usefixtures("data_pack")
def test_a_closer_look_reads_what_the_tracker_reads(networks, crops):
    tracker = mien.load("avatar").tracker
    wanted = tracker.estimate(crops, [tracker.find(crop)[0] for crop in crops])
    far = Judges(networks.regressor, None, load_ict())
    close = Judges(networks.regressor, None, load_ict(), networks.closeup)
    images = to_tensor(crops)
    with torch.no_grad():
        plain, seen = far.read(images), close.read(images)
    assert torch.equal(plain.angles, seen.angles)
    assert (plain.angles - wanted.angles).abs().max() < math.radians(5), "the first look finds the face"
    error, before = ((x.expression - wanted.expression).abs() for x in (seen, plain))
    assert error.mean() < 0.02 and error.mean() < 0.8 * before.mean()


@pytest.mark.usefixtures("data_pack")
def test_lids_that_should_close_change_pixels_at_the_eyes(networks, crops):
    images = to_tensor(crops).requires_grad_(True)
    seen = Judges(networks.regressor, None, load_ict(), networks.closeup).read(images)
    seen.expression[:, ARKIT_NAMES.index("eyeBlinkLeft")].sum().backward()
    strength = images.grad.abs().sum(1)
    assert strength.isfinite().all() and (strength.flatten(1).amax(1) > 0).all()
    middle = strength.shape[-1] // 2
    assert (strength[:, :, middle:].amax((1, 2)) > strength[:, :, :middle].amax((1, 2))).all(), "left eye: right half"
