"""The mean of several looks: squares, mirrors, lost looks."""

import numpy as np
import pytest
import torch

from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.tracking.protocol import Box
from mien.tracking.steady import LOOKS, SteadyTracker, unmirrored

WIDTH = 100


class Noisy:
    """Sees the same face everywhere, with an error that depends on the square; knows mirrored pictures by a pixel."""

    def __init__(self, is_lost=lambda box: False):
        self.boxes, self.is_lost = [], is_lost

    def find(self, image):
        return [Box(10, 20, 50, 60)]

    def estimate(self, images, boxes):
        self.boxes += boxes
        rows = []
        for image, box in zip(images, boxes, strict=True):
            sign = -1.0 if image[0, 0, 0] == 0 else 1.0
            error = 0.1 * (box.side / 40 - 1)
            expression = torch.zeros(1, 51)
            side = "Left" if sign > 0 else "Right"
            expression[0, ARKIT_NAMES.index(f"mouthSmile{side}")] = 0.6
            landmarks = torch.full((1, 68, 2), 30.0)
            landmarks[0, 36, 0] = 20.0 if sign > 0 else 30.0
            landmarks[0, 45, 0] = 40.0
            landmarks = landmarks if sign > 0 else landmarks * torch.tensor([-1.0, 1]) + torch.tensor([WIDTH - 1.0, 0])
            if sign < 0:
                landmarks[0, 36, 0], landmarks[0, 45, 0] = WIDTH - 1 - 40.0, WIDTH - 1 - 20.0
            angles = torch.tensor([[sign * 0.3 + error, 0.1, sign * 0.2]])
            valid = torch.tensor([not self.is_lost(box)])
            rows.append(FaceParams(angles, expression, landmarks, valid, torch.ones(1)))
        return FaceParams.cat(rows)


@pytest.fixture
def picture():
    picture = np.zeros((80, WIDTH, 3), np.uint8)
    picture[0, 0] = 255  # after mirroring this corner is black
    return picture


def test_errors_that_depend_on_the_square_average_out(picture):
    tracker = Noisy()
    box = tracker.find(picture)[0]
    params = SteadyTracker(tracker).estimate([picture, picture], [box, box])
    expected = 0.3  # the error of the mirrored look has the other sign
    assert torch.allclose(params.angles, torch.tensor([[expected, 0.1, 0.2]] * 2), atol=1e-6)
    assert len(tracker.boxes) == 2 * 2 * len(LOOKS)
    assert len({round(b.side, 3) for b in tracker.boxes}) == len({look[0] for look in LOOKS})


def test_mirrored_looks_come_back_to_their_side(picture):
    params = SteadyTracker(Noisy(), looks=((1.0, 0.0, 0.0),)).estimate([picture], [Box(10, 20, 50, 60)])
    assert params.expression[0, ARKIT_NAMES.index("mouthSmileLeft")] == pytest.approx(0.6)
    assert params.expression[0, ARKIT_NAMES.index("mouthSmileRight")] == 0
    assert params.landmarks[0, 36, 0] == pytest.approx(20) and params.landmarks[0, 45, 0] == pytest.approx(40)
    assert params.landmarks[0, 27, 0] == pytest.approx(30)


def test_lost_looks_do_not_count_and_half_must_see_the_face(picture):
    few = SteadyTracker(Noisy(lambda box: box.side < 36))
    params = few.estimate([picture], [Box(10, 20, 50, 60)])
    assert params.valid.item() and params.angles[0, 0] == pytest.approx(0.3, abs=1e-6)
    most = SteadyTracker(Noisy(lambda box: box.side < 41))
    assert not most.estimate([picture], [Box(10, 20, 50, 60)]).valid.item()


def test_unmirrored_undoes_itself(rng):
    values = (rng.normal(size=(3, 3)), rng.random((3, 51)), rng.normal(size=(3, 68, 2)))
    angles, expression, landmarks = (torch.from_numpy(v).float() for v in values)
    params = FaceParams(angles, expression, landmarks, torch.ones(3, dtype=torch.bool), torch.ones(3))
    twice = unmirrored(unmirrored(params, [9, 5, 7]), [9, 5, 7])
    assert torch.allclose(twice.landmarks, landmarks, atol=1e-6) and torch.equal(twice.expression, expression)
    assert torch.allclose(twice.angles, angles)
