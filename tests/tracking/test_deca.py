"""DECA's coefficient encoder against the authors' numbers, its checkpoint, and the tracker on top of it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import golden_rule
import numpy as np
import pytest
import torch
from golden_rule import relative_error

from mien.alignment.crop import deca_crop
from mien.checkpoints import deca as layout
from mien.errors import CheckpointError, ImageError
from mien.face3d.motion import deca_motion_space
from mien.face3d.params import FaceParams
from mien.tracking import Box, DecaNet, DecaNetConfig, DecaTracker, follow

LIMIT = 1e-4
TAPS = {"maxpool": "stem", "layer1": "stages.0", "layer2": "stages.1", "layer3": "stages.2", "layer4": "stages.3"}


@pytest.fixture(scope="module")
def numbers(golden) -> Mapping[str, np.ndarray]:
    return dict(golden("deca_flame"))


@pytest.fixture(scope="module")
def weights(numbers):
    return golden_rule.state_dict(numbers, raw=False, part="in_encoder_")


@pytest.fixture(scope="module")
def net(weights):
    return layout.convert({"E_flame": weights, "E_detail": {"any": torch.zeros(1)}, "D_detail": {}})


@pytest.mark.parity
def test_code_and_features_are_the_published_ones(numbers, net):
    picture = golden_rule.picture(int(numbers["in_image_index"]), 224, 224, int(numbers["seed"]))
    image = torch.from_numpy(((picture + 1) / 2).astype(np.float32)).permute(2, 0, 1)[None]
    stated = torch.stack([image.double().mean(), image.double().std(correction=0)])
    assert relative_error(stated, numbers["in_image_mean_std"]) <= 1e-5
    maps = {}
    handles = [
        net.get_submodule(ours).register_forward_hook(lambda m, a, out, name=theirs: maps.update({name: out.double()}))
        for theirs, ours in TAPS.items()
    ]
    features = net.features(image)
    for handle in handles:
        handle.remove()
    assert relative_error(features, numbers["out_encoder_features"]) <= LIMIT
    assert relative_error(net.coefficients(features), numbers["out_encoder_236"]) <= LIMIT
    taps = [maps[str(name)] for name in numbers["out_tap_names"]]
    assert relative_error(torch.stack([t.mean() for t in taps]), numbers["out_tap_mean"]) <= LIMIT
    assert relative_error(torch.stack([t.std(correction=0) for t in taps]), numbers["out_tap_std"]) <= LIMIT
    code = net.coded(features)
    assert relative_error(code.light, numbers["out_light_9x3"]) <= LIMIT
    together = torch.cat([part.flatten(1) for part in code], 1)
    assert relative_error(together, numbers["out_encoder_236"]) <= LIMIT
    assert [part.shape[1] for part in code] == [100, 50, 50, 6, 3, 9]


def test_layout_is_recognised(weights):
    assert layout.recognise({"E_flame": weights})
    assert not layout.recognise(weights) and not layout.recognise({"E_flame": 3}) and not layout.recognise("")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoder.layer3.5.bn2.running_mean", None),
        ("encoder.layer5.0.conv1.weight", torch.zeros(1)),
        ("layers.2.weight", torch.zeros(235, 1024)),
        ("encoder.conv1.weight", torch.zeros(64, 3, 7, 7, dtype=torch.complex64)),
        ("encoder.layer1.0.downsample.0.weight", torch.full((256, 64, 1, 1), torch.nan)),
    ],
)
def test_what_does_not_fit_is_named(weights, key, value):
    broken = {name: tensor for name, tensor in weights.items() if name != key}
    if value is not None:
        broken[key] = value
    with pytest.raises(CheckpointError, match=key):
        layout.convert({"E_flame": broken})


@pytest.mark.parametrize(("tree", "named"), [({"E_flame": {}, "G": 1}, "G"), ({"E_detail": {}}, "E_flame")])
def test_files_of_another_kind_are_refused(tree, named):
    with pytest.raises(CheckpointError, match=named):
        layout.convert(tree)


class FixedLandmarker:
    """Finds one face, and has an answer ready for every box."""

    def __init__(self, landmarks: torch.Tensor, valid: torch.Tensor) -> None:
        self.landmarks, self.valid = landmarks, valid

    def find(self, image: np.ndarray) -> list[Box]:
        """Always the same box."""
        return [Box(0, 0, 8, 8)]

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        """The face whose number is the left edge of the box, counted round."""
        index = torch.tensor([int(box.x0) % 4 for box in boxes])
        blank = FaceParams.invalid(len(index))
        return replace(blank, landmarks=self.landmarks[index], valid=self.valid[index], score=0.5 * self.valid[index])


BOXES = [Box(i, 0, i + 8, 8) for i in range(4)]


@pytest.fixture
def small_net():
    config = DecaNetConfig(resolution=32, blocks=(1, 1, 1, 1), width=8, hidden=16)
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return DecaNet(config).eval()


@pytest.fixture
def landmarker(face_points, rng):
    places = torch.from_numpy(face_points * 3 + rng.uniform(40, 60, (4, 1, 2))).float()
    return FixedLandmarker(places, torch.tensor([True, True, False, True]))


@pytest.fixture
def pictures(rng):
    return [rng.integers(0, 256, (100 + 10 * i, 120, 3), dtype=np.uint8) for i in range(4)]


def test_faces_are_measured_in_one_batch_and_invalid_ones_not_at_all(small_net, landmarker, pictures):
    batches = []
    small_net.register_forward_hook(lambda module, args, out: batches.append(args[0].clone()))
    params = DecaTracker(small_net, landmarker).estimate(pictures, BOXES)
    assert [tuple(batch.shape) for batch in batches] == [(3, 3, 32, 32)]
    crop = deca_crop(landmarker.landmarks[3].double().numpy(), 32).apply(pictures[3])
    torch.testing.assert_close(batches[0][2], torch.from_numpy(crop / np.float32(255)).permute(2, 0, 1))
    assert params.model == "deca" and params.valid.tolist() == [True, True, False, True]
    assert not params.angles[2].any() and not params.expression[2].any() and params.expression[3].any()
    torch.testing.assert_close(params.landmarks, landmarker.landmarks)
    torch.testing.assert_close(params.score, torch.tensor([0.5, 0.5, 0.0, 0.5]))
    for i in (0, 1, 3):
        alone = DecaTracker(small_net, landmarker).estimate(pictures[i : i + 1], BOXES[i : i + 1])
        torch.testing.assert_close(alone.expression[0], params.expression[i], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(alone.angles[0], params.angles[i], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("axis", "coordinate", "sign"), [(1, 0, 1), (0, 1, -1), (2, 2, -1)])
def test_pose_becomes_angles_and_coordinates(small_net, landmarker, pictures, axis, coordinate, sign):
    """A turn about one axis of FLAME's frame: x (pitch down), y (yaw right), z (roll anticlockwise)."""
    turn = 0.3
    with torch.no_grad():
        small_net.out.weight.zero_()
        small_net.out.bias.copy_(torch.arange(236.0) / 236)
        small_net.out.bias[200:206] = torch.tensor([0, 0, 0, 0.2, 7, 7])
        small_net.out.bias[200 + axis] = turn
    params = DecaTracker(small_net, landmarker).estimate(pictures[:2], BOXES[:2])
    expected = torch.zeros(2, 3)
    expected[:, coordinate] = sign * turn
    torch.testing.assert_close(params.angles, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(params.expression[:, 0], torch.tensor([0.2, 0.2]))
    torch.testing.assert_close(params.expression[1, 1:], torch.arange(150.0, 200.0) / 236)
    ranges = torch.tensor([[-1.0, 1.0]]).repeat(54, 1)
    q = deca_motion_space(ranges).encode(params)
    expected_q = -sign * math.degrees(turn) * 6 / (40 if coordinate == 0 else 20)
    assert math.isclose(float(q[0, coordinate]), expected_q, rel_tol=1e-5)
    assert math.isclose(float(q[0, 3]), 6 * 0.2, rel_tol=1e-5)


def test_nothing_in_nothing_out(small_net, landmarker, pictures):
    tracker = DecaTracker(small_net, landmarker)
    assert tracker.find(pictures[0]) == landmarker.find(pictures[0])
    empty = tracker.estimate([], [])
    assert len(empty) == 0 and empty.model == "deca"
    nobody = tracker.estimate(pictures[2:3], BOXES[2:3])
    assert nobody.model == "deca" and not nobody.valid.any()
    with pytest.raises(ValueError, match="1 pictures but 4 boxes"):
        tracker.estimate(pictures[:1], BOXES)
    with pytest.raises(ImageError):
        tracker.estimate([pictures[0].astype(np.float32)], BOXES[:1])


def test_a_face_can_be_followed(small_net, landmarker, pictures):
    """The tracker can stand wherever a tracker is asked for."""
    landmarker.landmarks[:] = landmarker.landmarks[0].clone()
    found = list(follow(DecaTracker(small_net, landmarker), pictures[:1] * 3))
    assert [bool(one.valid) for one in found] == [True] * 3 and FaceParams.cat(found).model == "deca"
