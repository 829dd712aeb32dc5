"""Pairs come from one scene, weights favour eyes and mouth."""

import numpy as np
import pytest
import torch

from mien.data.pairs import REGION_WEIGHTS, FramePairs
from mien.face3d import FaceParams, arkit_motion_space


class Toy:
    """Twelve pictures in four scenes; the grey value of a picture is its number."""

    def __init__(self) -> None:
        self.scene = np.repeat([3, 1, 2, 0], 3)
        self.regions = np.zeros((12, 8, 8), np.uint8)
        self.regions[:, :2] = 3

    def __len__(self) -> int:
        return 12

    def images(self, index: np.ndarray) -> np.ndarray:
        return np.broadcast_to(index[:, None, None, None], (len(index), 8, 8, 3)).astype(np.uint8)

    def params(self, index: np.ndarray) -> FaceParams:
        return FaceParams.invalid(len(index))


def numbers(images: torch.Tensor) -> list[int]:
    return ((images[:, 0, 0, 0] + 1) * 127.5).round().int().tolist()


def test_pairs_share_a_scene_and_differ():
    heads = Toy()
    pairs = FramePairs(heads, arkit_motion_space(), 4)
    batch = pairs.draw(torch.randint(4, (200,)), torch.Generator().manual_seed(0))
    sources, targets = numbers(batch.source), numbers(batch.target)
    assert all(heads.scene[a] == heads.scene[b] and a != b for a, b in zip(sources, targets, strict=True))
    assert set(sources) == set(targets) == set(range(12))


def test_weights_have_mean_one_and_favour_eyes():
    pairs = FramePairs(Toy(), arkit_motion_space(), 8)
    pairs._landmarks[:] = 1e6
    weights = pairs.weights(torch.tensor([0]))
    assert abs(float(weights.mean()) - 1) < 1e-6
    assert float(weights[0, 0, 0, 0] / weights[0, 0, -1, 0]) == pytest.approx(REGION_WEIGHTS[3] / REGION_WEIGHTS[0])


def test_closed_eyes_count_by_their_landmarks():
    heads = Toy()
    heads.regions[:] = 1
    pairs = FramePairs(heads, arkit_motion_space(), 8)
    pairs._landmarks[:] = 1e6
    pairs._landmarks[0, 36:42] = torch.tensor([2.0, 5.0])
    weights = pairs.weights(torch.tensor([0]))[0, 0]
    assert divmod(int(weights.argmax()), 8) == (5, 2)


def test_tilting_turns_picture_and_roll_clockwise():
    heads = Toy()
    pairs = FramePairs(heads, arkit_motion_space(), 8)
    batch = pairs.draw(torch.zeros(1).long(), torch.Generator().manual_seed(0))
    batch.target[:] = -1
    batch.target[0, :, 1, 3:5] = 1  # a bright spot above the middle
    tilted = pairs.tilt(batch, 0.4, torch.Generator().manual_seed(3))
    roll = float(tilted.q_target[0, 2])
    assert abs(roll) > 0.5
    columns = (tilted.target[0, 0] + 1).sum(0)
    moved = float((columns * torch.arange(8)).sum() / columns.sum()) - 3.5
    assert moved * roll > 0, "positive roll moves the crown to the right"
    assert float(tilted.q_target[0, 0]) == pytest.approx(float(batch.q_target[0, 0]), abs=1e-4)
    straight = pairs.tilt(batch, 0.4, torch.Generator().manual_seed(3), straight=1)
    torch.testing.assert_close(straight.target, batch.target, atol=1e-5, rtol=0)
    torch.testing.assert_close(straight.q_target, batch.q_target)


def test_a_mirror_turns_pictures_and_coordinates():
    motion = arkit_motion_space()
    pairs = FramePairs(Toy(), motion, 8)
    rng = torch.Generator().manual_seed(0)
    count = len(pairs._params)
    params = FaceParams.invalid(count)
    params.angles[:], params.expression[:] = torch.randn(count, 3, generator=rng), torch.rand(count, 51, generator=rng)
    pairs._params, pairs.q = params, motion.encode(params)
    batch = pairs.draw(torch.arange(4), torch.Generator().manual_seed(1))
    batch.source[:, :, :, 0] = 1.0
    turned = pairs.mirror(batch, torch.tensor([True, False, True, True]))
    assert torch.equal(turned.source[0], batch.source[0].flip(2)) and torch.equal(turned.source[1], batch.source[1])
    assert torch.equal(turned.weight[2], batch.weight[2].flip(2))
    assert torch.equal(turned.source_weight[0], batch.source_weight[0].flip(2))
    assert torch.equal(turned.q_source[1], batch.q_source[1])
    signs = {
        "yaw": -1,
        "pitch": 1,
        "roll": -1,
        "jaw_open": 1,
        "jaw_side": -1,
        "mouth_side": -1,
        "gaze_x": -1,
        "gaze_y": 1,
    }
    before, after = motion.denormalise(batch.q_target[0]), motion.denormalise(turned.q_target[0])
    for name, sign in signs.items():
        assert float(after[motion.index(name)]) == pytest.approx(sign * float(before[motion.index(name)]), abs=1e-4), (
            name
        )
    left, right = motion.index("blink_left"), motion.index("blink_right")
    assert float(after[left]) == pytest.approx(float(before[right]), abs=1e-4)
    twice = pairs.mirror(turned, torch.ones(4, dtype=torch.bool))
    torch.testing.assert_close(twice.q_target[0], batch.q_target[0], atol=1e-4, rtol=0)
