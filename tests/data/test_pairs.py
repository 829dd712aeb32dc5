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
