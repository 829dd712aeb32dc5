"""Close-ups: where they are cut, what they may correct, mirrors, and the tracker that uses them."""

import json

import cv2
import numpy as np
import pytest
import torch

from mien.errors import BundleError
from mien.face3d.mirroring import MIRRORED_COEFFICIENTS, MIRRORED_LANDMARKS
from mien.face3d.params import ARKIT_NAMES
from mien.tracking import (
    Box,
    EmbeddedTracker,
    embedded,
    load_tracker,
    save_tracker,
    tracker_from_state,
    tracker_to_state,
)
from mien.tracking.closeup import (
    EYE_COEFFICIENTS,
    EYE_SHARE,
    MOUTH_COEFFICIENTS,
    CloseUpConfig,
    CloseUpNet,
    CloseUps,
    cut_closeups,
    weakened,
)
from mien.tracking.detector import DetectorConfig, FaceDetector
from mien.tracking.embedded import merged
from mien.tracking.framing import upright_frame
from mien.tracking.regressor import FaceReading, FaceRegressor, RegressorConfig

SMALL = CloseUpConfig(mouth_px=32, eye_px=32, widths=(4, 4, 8, 8), squeeze=4, hidden=8)
FIELDS = ("angles", "landmarks", "score", "valid")


def answering(seed: int = 0) -> CloseUpNet:
    """A net whose corrections are not zero and which knows left from right."""
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(seed)
        net = CloseUpNet(SMALL)
        for answer in (net.mouth_answer, net.eye_answer):
            torch.nn.init.normal_(answer.get_parameter("2.weight"))
    return net.eval()


@pytest.fixture
def networks(face_points):
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        regressor = FaceRegressor(RegressorConfig(widths=(4, 8, 8, 16), hidden=16), torch.from_numpy(face_points / 10))
        detector = FaceDetector(DetectorConfig(widths=(4, 8, 8, 8, 8), merged=8))
    return detector.eval(), regressor.eval()


@pytest.fixture
def pictures(rng):
    coarse = [rng.integers(0, 256, (12 + i, 16, 3), dtype=np.uint8) for i in range(3)]
    return [cv2.resize(picture, (160, 120), interpolation=cv2.INTER_CUBIC) for picture in coarse]


BOXES = [Box(20, 20, 90, 90), Box(10, 5, 90, 85), Box(60, 30, 140, 110)]


def readings(count: int) -> FaceReading:
    generator = torch.Generator().manual_seed(1)
    shapes = ((count, 68, 2), (count, 3), (count, 51), (count,))
    return FaceReading(*(torch.randn(shape, generator=generator) for shape in shapes))


def mirror_of(reading: FaceReading) -> FaceReading:
    sign = torch.tensor([-1.0, 1.0, -1.0])
    return reading._replace(expression=reading.expression[:, MIRRORED_COEFFICIENTS], angles=reading.angles * sign)


def test_close_ups_show_mouth_and_eyes_upright(face_points):
    angle = 0.6
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (face_points * 9) @ turn.T + (150, 140)
    picture = np.zeros((300, 310, 3), np.uint8)
    for channel, part in enumerate((slice(48, 60), slice(36, 42), slice(42, 48))):
        x, y = np.rint(points[part].mean(0)).astype(int)
        picture[y - 2 : y + 3, x - 2 : x + 3, channel] = 255
    outer = np.rint(points[45]).astype(int)  # outer corner of the left eye
    cv2.circle(picture, (int(outer[0]), int(outer[1])), 2, (255, 255, 0), -1)
    seen = cut_closeups([picture], points[None], SMALL)
    mouth, (right, left) = seen.mouth[0], seen.eyes[0]
    for crop, channel in ((mouth, 0), (right, 1), (left, 2)):
        y, x = np.unravel_index(int(crop[channel].argmax()), crop.shape[1:])
        assert abs(x - 15.5) < 2.5 and abs(y - 15.5) < 2.5, channel
    y, x = np.unravel_index(int(left[0].argmax()), (32, 32))
    _, side, _ = upright_frame(points)
    reach = np.linalg.norm(points[45] - points[42:48].mean(0)) / (EYE_SHARE * side) * 32
    assert abs(x - (15.5 - reach)) < 2 and abs(y - 15.5) < 2, "in a mirror the left eye's outer corner lies left"


def test_only_what_belongs_to_mouth_and_eyes_is_corrected():
    net = answering()
    seen = CloseUps(torch.randn(4, 3, 32, 32), torch.randn(4, 2, 3, 32, 32))
    closer, reading = net(seen, readings(4)), readings(4)
    moved, said = (closer.correction.abs() > 0).all(0), (closer.own != reading.expression).all(0)
    assert torch.equal(moved, said)
    names = {name for name, is_moved in zip(ARKIT_NAMES, moved.tolist(), strict=True) if is_moved}
    assert names == {n for n in ARKIT_NAMES if n.startswith(("jaw", "mouth", "eye"))}
    assert len(MOUTH_COEFFICIENTS) == 27 and [len(eye) for eye in EYE_COEFFICIENTS] == [7, 7]
    assert (CloseUpNet(SMALL).eval()(seen, readings(4)).correction == 0).all(), "untrained, nothing is corrected"


def test_a_mirrored_face_has_mirrored_corrections():
    net, reading = answering(), readings(3)
    seen = CloseUps(torch.randn(3, 3, 32, 32), torch.randn(3, 2, 3, 32, 32))
    there = net(seen, reading)
    back = net(CloseUps(seen.mouth.flip(3), seen.eyes.flip(1)), mirror_of(reading))
    for straight, mirrored in zip(there, back, strict=True):
        torch.testing.assert_close(mirrored, straight[:, MIRRORED_COEFFICIENTS], rtol=0, atol=1e-5)
        assert (straight - straight[:, MIRRORED_COEFFICIENTS]).abs().max() > 1e-2


def test_corrections_go_as_far_as_they_are_told():
    net, reading = answering(), readings(2)
    seen = CloseUps(torch.randn(2, 3, 32, 32), torch.randn(2, 2, 3, 32, 32))
    whole = net(seen, reading)
    for share in (0.0, 0.25, 1.0):
        part = weakened(net, share)(seen, reading)
        torch.testing.assert_close(part.correction, share * whole.correction, rtol=1e-5, atol=1e-6)
        assert torch.equal(part.own, whole.own)


def test_what_is_read_from_pixels_alone_does_not_hang_on_the_reading():
    net, reading = answering(), readings(2)
    seen = CloseUps(torch.randn(2, 3, 32, 32), torch.randn(2, 2, 3, 32, 32))
    other = reading._replace(expression=reading.expression + 1, angles=reading.angles + 1)
    one, two = net(seen, reading), net(seen, other)
    said = [*MOUTH_COEFFICIENTS, *(i for eye in EYE_COEFFICIENTS for i in eye)]
    assert torch.equal(one.own[:, said], two.own[:, said]) and not torch.equal(one.correction, two.correction)


def test_each_eye_is_judged_in_the_light_of_the_other():
    net, reading = answering(), readings(1)
    seen = CloseUps(torch.randn(1, 3, 32, 32), torch.randn(1, 2, 3, 32, 32))
    other = CloseUps(seen.mouth, torch.stack([seen.eyes[:, 0], torch.randn(1, 3, 32, 32)], 1))
    change = (net(seen, reading).correction - net(other, reading).correction).abs()[0]
    assert (change[EYE_COEFFICIENTS[0]] > 1e-4).any() and (change[MOUTH_COEFFICIENTS] == 0).all()


def test_a_tracker_looks_closer_at_the_expression_and_leaves_the_rest(networks, pictures):
    before = EmbeddedTracker(*networks).estimate(pictures, BOXES)
    untrained = EmbeddedTracker(*networks, closeup=CloseUpNet(SMALL)).estimate(pictures, BOXES)
    after = EmbeddedTracker(*networks, closeup=answering()).estimate(pictures, BOXES)
    assert all(torch.equal(getattr(before, f), getattr(after, f)) for f in FIELDS)
    assert torch.equal(before.expression, untrained.expression)
    other = [name for i, name in enumerate(ARKIT_NAMES) if (before.expression - after.expression)[:, i].abs().max() > 0]
    assert 35 < len(other) <= 41 and all(name.startswith(("jaw", "mouth", "eye")) for name in other)


def test_finding_faces_needs_no_close_ups(networks, pictures, monkeypatch):
    detector, regressor = networks
    with torch.no_grad():
        detector.output.weight.zero_()
        detector.output.bias.copy_(torch.tensor([8.0, 0.0, 0.0, 0.0]))
        regressor.output.bias[-1] = 20.0
    tracker = EmbeddedTracker(detector, regressor, answering())
    monkeypatch.setattr(embedded, "cut_closeups", None)
    boxes = tracker.find(pictures[0])
    assert boxes
    with pytest.raises(TypeError):
        tracker.estimate([pictures[0]], boxes[:1])


def test_close_ups_come_from_where_the_face_is_in_the_picture(networks, pictures, monkeypatch):
    tracker = EmbeddedTracker(*networks, closeup=answering())
    places, original = [], embedded.cut_closeups
    monkeypatch.setattr(embedded, "cut_closeups", lambda p, points, c: places.append(points) or original(p, points, c))
    near = tracker.estimate([pictures[0]], [Box(40, 40, 100, 100)])
    shifted = np.pad(pictures[0], ((30, 0), (50, 0), (0, 0)))
    far = tracker.estimate([shifted], [Box(90, 70, 150, 130)])
    torch.testing.assert_close(far.expression, near.expression, rtol=0, atol=2e-2)
    together = tracker.estimate(pictures, BOXES)
    np.testing.assert_array_equal(places[-1], together.landmarks.numpy())
    alone = tracker.estimate(pictures[2:], BOXES[2:])
    torch.testing.assert_close(alone.expression[0], together.expression[2], rtol=0, atol=1e-3)


def test_a_mirrored_picture_has_the_mirrored_expression(networks, pictures):
    """The first look is not symmetrical, so the second one is given: its square is the whole picture."""

    def cuts(picture: np.ndarray, points: np.ndarray) -> CloseUps:
        return cut_closeups([picture], points, SMALL)

    regressor, net = networks[1], answering()
    crop = np.ascontiguousarray(cv2.resize(pictures[0], (96, 96)))
    answers = []
    for picture in (crop, np.ascontiguousarray(crop[:, ::-1])):
        batch = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None].float() / 127.5 - 1
        with torch.no_grad():
            reading = merged(regressor(torch.cat([batch, batch.flip(3)])))
            points = (reading.landmarks.double().numpy() * 96 + 95) / 2
            answers.append((points[0], reading.expression + net(cuts(picture, points), reading).correction))
    (points, straight), (mirrored_points, mirrored) = answers
    np.testing.assert_allclose(mirrored_points, points[MIRRORED_LANDMARKS] * (-1, 1) + (95, 0), atol=1e-3)
    torch.testing.assert_close(mirrored, straight[:, MIRRORED_COEFFICIENTS], rtol=0, atol=2e-2)


def test_saved_and_loaded_with_close_ups_and_without(networks, pictures, tmp_path):
    net = answering()
    save_tracker(networks[0], networks[1], tmp_path, net)
    expected = EmbeddedTracker(*networks, closeup=net).estimate(pictures, BOXES)
    assert torch.equal(load_tracker("embedded", tmp_path).estimate(pictures, BOXES).expression, expected.expression)
    weights, config = tracker_to_state(networks[0], networks[1], net)
    halved = tracker_from_state({k: v.half() for k, v in weights.items()}, config)
    torch.testing.assert_close(halved.estimate(pictures, BOXES).expression, expected.expression, rtol=0, atol=0.05)
    save_tracker(*networks, tmp_path)
    assert "closeup" not in json.loads((tmp_path / "tracker.json").read_text())
    assert load_tracker("embedded", tmp_path)._closeup is None  # pyright: ignore[reportAttributeAccessIssue]
    weights.pop("closeup.eye.0.0.weight")
    with pytest.raises(BundleError, match="CloseUpNet"):
        tracker_from_state(weights, config)
