"""The embedded tracker: batches, refusals, saving."""

import numpy as np
import pytest
import torch

from mien.errors import BundleError, ImageError, InputError
from mien.face3d.mirroring import MIRRORED_COEFFICIENTS, MIRRORED_LANDMARKS
from mien.tracking import Box, EmbeddedTracker, load_tracker, save_tracker, tracker_from_state, tracker_to_state
from mien.tracking.detector import DetectorConfig, FaceDetector
from mien.tracking.embedded import merged
from mien.tracking.regressor import FaceRegressor, RegressorConfig


@pytest.fixture
def networks(face_points):
    torch.set_num_threads(1)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        regressor = FaceRegressor(RegressorConfig(widths=(4, 8, 8, 16), hidden=16), torch.from_numpy(face_points / 10))
        detector = FaceDetector(DetectorConfig(widths=(4, 8, 8, 8, 8), merged=8))
    return detector.eval(), regressor.eval()


@pytest.fixture
def pictures(rng):
    return [rng.integers(0, 256, (120 + 10 * i, 160, 3), dtype=np.uint8) for i in range(3)]


BOXES = [Box(20, 20, 90, 90), Box(-10, 5, 70, 85), Box(60, 30, 140, 110)]


def test_a_batch_equals_one_by_one(networks, pictures):
    tracker = EmbeddedTracker(*networks)
    together = tracker.estimate(pictures, BOXES)
    assert together.landmarks.shape == (3, 68, 2) and together.expression.shape == (3, 51)
    for i in range(3):
        alone = tracker.estimate(pictures[i : i + 1], BOXES[i : i + 1])
        assert torch.allclose(alone.landmarks[0], together.landmarks[i], atol=1e-2)
        assert torch.allclose(alone.angles[0], together.angles[i], atol=1e-4)
        assert torch.allclose(alone.expression[0], together.expression[i], atol=1e-4)


def test_landmarks_are_full_picture_pixels(networks, pictures):
    tracker = EmbeddedTracker(*networks)
    shifted = np.pad(pictures[0], ((30, 0), (50, 0), (0, 0)))
    near = tracker.estimate([pictures[0]], [Box(40, 40, 100, 100)])
    far = tracker.estimate([shifted], [Box(90, 70, 150, 130)])
    assert torch.allclose(far.landmarks - near.landmarks, torch.tensor([50.0, 30.0]).expand(1, 68, 2), atol=0.05)
    assert torch.allclose(far.angles, near.angles, atol=1e-4)


def test_a_mirrored_face_is_measured_as_the_mirror_of_the_face(networks):
    regressor = networks[1]
    crops = torch.rand(2, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        face, mirror = (merged(regressor(torch.cat([c, c.flip(3)]))) for c in (crops, crops.flip(3)))
        plain = regressor(crops)
    sign = torch.tensor([-1.0, 1.0, -1.0])
    assert torch.allclose(mirror.angles, face.angles * sign, atol=1e-5)
    assert torch.allclose(mirror.expression, face.expression[:, MIRRORED_COEFFICIENTS], atol=1e-5)
    assert torch.allclose(mirror.landmarks, face.landmarks[:, MIRRORED_LANDMARKS] * sign[:2], atol=1e-5)
    assert not torch.allclose(plain.angles, face.angles, atol=1e-3), "one look has a preference for a side"


def test_an_unsure_network_gives_invalid_faces(networks, pictures):
    detector, regressor = networks
    with torch.no_grad():
        regressor.output.bias[-1] = -20.0
    params = EmbeddedTracker(detector, regressor).estimate(pictures, BOXES)
    assert not params.valid.any() and (params.score < 0.01).all()


def test_what_is_found_lies_in_the_picture_and_the_regressor_may_refuse_it(networks):
    detector, regressor = networks
    with torch.no_grad():
        detector.output.weight.zero_()
        detector.output.bias.copy_(torch.tensor([8.0, 0.0, 0.0, 0.0]))
        regressor.output.bias[-1] = 20.0
    picture = np.zeros((512, 256, 3), np.uint8)
    boxes = EmbeddedTracker(detector, regressor).find(picture)
    assert boxes and all(0 < box.centre[0] < 256 and 0 < box.centre[1] < 512 for box in boxes)
    assert all(32 < box.side < 128 for box in boxes)  # the maps say 32 pixels in a picture of half the size
    assert [box.area for box in boxes] == sorted((box.area for box in boxes), reverse=True)
    with torch.no_grad():
        regressor.output.bias[-1] = -20.0
    assert EmbeddedTracker(detector, regressor).find(picture) == []


def test_nothing_in_nothing_out(networks, pictures):
    tracker = EmbeddedTracker(*networks)
    assert len(tracker.estimate([], [])) == 0
    with pytest.raises(ImageError):
        tracker.find(np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError):
        tracker.estimate(pictures, BOXES[:1])


def test_saved_and_loaded_alike(networks, pictures, tmp_path):
    save_tracker(*networks, tmp_path)
    expected = EmbeddedTracker(*networks).estimate(pictures, BOXES)
    assert torch.equal(load_tracker("embedded", tmp_path).estimate(pictures, BOXES).landmarks, expected.landmarks)
    weights, config = tracker_to_state(*networks)
    halved = tracker_from_state({k: v.half() for k, v in weights.items()}, config)
    assert torch.allclose(halved.estimate(pictures, BOXES).landmarks, expected.landmarks, atol=0.5)


def test_damage_is_reported(networks, tmp_path):
    weights, config = tracker_to_state(*networks)
    with pytest.raises(BundleError, match="version"):
        tracker_from_state(weights, config | {"version": 99})
    weights.pop("regressor.output.bias")
    with pytest.raises(BundleError):
        tracker_from_state(weights, config)
    with pytest.raises(BundleError):
        load_tracker("embedded", tmp_path)
    with pytest.raises(InputError):
        load_tracker("unheard-of")
