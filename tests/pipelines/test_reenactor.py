from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from mien.checkpoints import TrackerNetworks, save_bundle
from mien.errors import BundleError, DeviceError, ImageError, InputError, NoFaceError
from mien.face3d.params import FaceParams
from mien.images import to_uint8
from mien.pipelines import Reenactor, load
from mien.tracking import Box, EmbeddedTracker
from mien.tracking.detector import DetectorConfig, FaceDetector
from mien.tracking.regressor import FaceRegressor, RegressorConfig


@pytest.fixture
def source(fakes):
    return fakes.paint((40, 32), smile=0.2)


def test_identity_is_a_value_that_holds_the_source(model, fakes, source):
    identity = model.identify(source)
    assert identity.code.shape == (1, 6, 8) and identity.image.shape == (fakes.SIZE, fakes.SIZE, 3)
    values = model.bundle.motion.denormalise(identity.coordinates)[0]
    assert float(values[model.bundle.motion.index("mouth_smile")]) == pytest.approx(0.2, abs=0.01)
    np.testing.assert_array_equal(identity.crop.apply(source), identity.image)
    with pytest.raises(dataclasses.FrozenInstanceError):
        identity.code = None


def test_driving_with_the_source_itself_gives_its_inversion(model, source):
    identity = model.identify(source)
    expected = to_uint8(model.bundle.generator.synthesis(identity.code))[0]
    assert np.abs(model.drive(identity, source).astype(int) - expected).max() <= 1
    assert np.abs(model.edit(identity).astype(int) - expected).max() <= 1


def test_driver_and_strength_move_the_result(model, fakes, source):
    identity = model.identify(source)
    still, full = model.drive(identity, source), model.drive(identity, fakes.paint((20, 30), smile=1.0))
    none = model.drive(identity, fakes.paint((20, 30), smile=1.0), strength=0.0)
    assert np.abs(full.astype(int) - still).max() > 3 and np.abs(none.astype(int) - still).max() <= 1
    params = model.measure(fakes.paint((20, 30), smile=1.0))
    np.testing.assert_array_equal(model.drive(identity, params), full)


def test_relative_driving_applies_the_change_only(model, fakes, source):
    identity = model.identify(source)
    reference = model.measure(fakes.paint((20, 30), smile=0.6))
    same = model.drive(identity, fakes.paint((50, 30), smile=0.6), reference=reference)
    assert np.abs(same.astype(int) - model.drive(identity, source)).max() <= 1


def test_edit_equals_driving_with_that_expression(model, fakes, source):
    identity = model.identify(source)
    driven = model.drive(identity, fakes.paint((40, 32), smile=0.9))
    assert np.abs(model.edit(identity, mouth_smile=0.9).astype(int) - driven).max() <= 2
    with pytest.raises(InputError, match="grin"):
        model.edit(identity, grin=1.0)


def test_truncation_comes_after_the_shift(model, source):
    """psi 0 shows the centre w_mean, whatever the motion."""
    flat = Reenactor(dataclasses.replace(model.bundle, truncation=1e-9), tracker=model.tracker)
    identity = flat.identify(source)
    np.testing.assert_array_equal(flat.edit(identity, yaw=40.0), flat.edit(identity, mouth_smile=1.0))


def test_bad_inputs(model, fakes, source):
    with pytest.raises(ImageError, match="uint8"):
        model.identify(source.astype(np.float32))
    identity = model.identify(source)
    with pytest.raises(NoFaceError):
        model.drive(identity, FaceParams.invalid(1))
    with pytest.raises(NoFaceError):
        model.drive(identity, np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(InputError, match="missing"):
        model.stream(identity, [], missing="loop")
    with pytest.raises(InputError, match="batch"):
        model.stream(identity, [], batch=0)
    with pytest.raises(BundleError, match="no tracker"):
        Reenactor(fakes.random_bundle())


def test_small_faces_are_noticed(model, fakes):
    assert any("small" in notice for notice in model.identify(fakes.paint((20, 6))).notices)
    assert not model.identify(fakes.paint((20, 40))).notices


def test_load_by_path(fakes, tmp_path, source):
    folder = save_bundle(fakes.random_bundle(), tmp_path / "tiny")
    model = load(folder, device="cpu", tracker=fakes.PaintedTracker())
    assert model.drive(model.identify(source), source).dtype == np.uint8
    with pytest.raises(DeviceError):
        load(folder, device="abacus")


def test_the_bundles_own_tracker_is_used(fakes, tmp_path, source):
    """Untrained, it finds nothing or something; what matters is that it runs from the stored weights."""
    regressor = RegressorConfig(crop_px=16, widths=(4, 4, 4, 4), squeeze=2, hidden=4)
    networks = TrackerNetworks(FaceDetector(DetectorConfig()), FaceRegressor(regressor))
    model = load(save_bundle(dataclasses.replace(fakes.random_bundle(), tracker=networks), tmp_path / "b"), "cpu")
    assert isinstance(model.tracker, EmbeddedTracker) and isinstance(model.tracker.find(source), list)
    box = Box(40, 10, 72, 42)
    direct = EmbeddedTracker(*networks).estimate([source], [box])
    torch.testing.assert_close(model.tracker.estimate([source], [box]).angles, direct.angles, atol=1e-2, rtol=0)


def test_random_draws_are_left_alone(model, source):
    state = torch.random.get_rng_state()
    model.drive(model.identify(source), source)
    assert torch.equal(state, torch.random.get_rng_state())
