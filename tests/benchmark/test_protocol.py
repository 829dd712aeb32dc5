import numpy as np
import pytest
import torch

from mien.alignment.crop import head_crop
from mien.benchmark.protocol import CopySource, Driver, Editor, framed, moved_landmarks, run_driver
from mien.errors import InputError
from mien.face3d.params import FaceParams


class Returns:
    name, framing = "odd", "source"

    def __init__(self, *results):
        self.results = results

    def reenact(self, source, drivers):
        return self.results


BLACK = np.zeros((8, 8, 3), np.uint8)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (np.zeros((8, 9, 3), np.uint8), "square"),
        (np.zeros((8, 8, 3)), "uint8"),
        (np.zeros((8, 8), np.uint8), "uint8"),
        ("picture", "uint8"),
    ],
)
def test_results_are_held_to_the_protocol(result, words):
    with pytest.raises(InputError, match=words):
        run_driver(Returns(result), BLACK, [BLACK], 8)


def test_as_many_results_as_drivers():
    with pytest.raises(InputError, match="2 pictures for 1"):
        run_driver(Returns(BLACK, BLACK), BLACK, [BLACK], 8)


def test_results_come_at_one_size_and_may_be_missing():
    results = run_driver(Returns(BLACK, None), BLACK, [BLACK, BLACK], 16)
    assert results[0].shape == (16, 16, 3) and results[1] is None


def test_what_counts_as_a_driver_and_as_an_editor(painted):
    assert isinstance(CopySource(), Driver) and not isinstance(CopySource(), Editor)
    assert isinstance(painted.Mover("x"), Driver) and isinstance(painted.Mover("x"), Editor)
    assert not isinstance(object(), Driver)


def _face(painted, size: int) -> FaceParams:
    landmarks = torch.rand(1, 68, 2, generator=torch.Generator().manual_seed(0)) * size / 2 + size / 4
    return FaceParams(torch.zeros(1, 3), torch.zeros(1, 51), landmarks, torch.tensor([True]), torch.ones(1))


def test_landmarks_move_with_the_frame(painted, rng):
    picture, face = rng.integers(0, 255, (40, 40, 3), np.uint8), _face(painted, 40)
    assert framed(picture, face, "source", 20).shape == (20, 20, 3)
    assert moved_landmarks(face, "source", 20, 40)[0, 0].tolist() == pytest.approx(
        ((face.landmarks[0, 0] + 0.5) / 2 - 0.5).tolist(), abs=1e-5
    )
    crop = head_crop(face.landmarks[0].double().numpy(), np.zeros(3), 20)
    assert np.array_equal(framed(picture, face, "head", 20), crop.apply(picture))
    assert np.allclose(moved_landmarks(face, "head", 20, 40)[0], crop.points(face.landmarks[0].double().numpy()))
    assert framed(picture, FaceParams.invalid(1), "head", 20) is None
