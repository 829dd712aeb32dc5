"""Portraits of folders: found, cropped, and what shows no face is left out."""

import logging

import numpy as np
import pytest
import torch

from mien.alignment import head_crop
from mien.errors import TrainingError
from mien.face3d import FaceParams
from mien.images import write_image
from mien.tracking import Box
from mien.training.portraits import Portraits, open_portraits

FACE = np.array([[60 + 3 * (i % 9), 50 + 5 * (i // 9)] for i in range(68)], np.float32)


class Finder:
    """A tracker that sees one face, always the same, in every bright picture."""

    def find(self, image):
        return [Box(40, 40, 100, 100, 0.9), Box(0, 0, 9, 9, 0.8)] if image.mean() > 60 else []

    def estimate(self, images, boxes):
        assert len(images) == len(boxes) == 1
        points = torch.from_numpy(FACE)[None]
        return FaceParams(torch.zeros(1, 3), torch.zeros(1, 51), points, torch.ones(1, dtype=torch.bool), torch.ones(1))


@pytest.fixture
def photographs(tmp_path, rng):
    """Two photographs with a face, one of them in a folder of its own, a dark one, and a file that is no picture."""
    pictures = [rng.integers(0, 255, (160, 150, 3)).astype(np.uint8) for _ in range(2)]
    (tmp_path / "deeper").mkdir()
    write_image(tmp_path / "one.png", pictures[0])
    write_image(tmp_path / "deeper" / "two.png", pictures[1])
    write_image(tmp_path / "zzz.png", np.zeros((160, 150, 3), np.uint8))
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    return tmp_path, pictures


def test_faces_of_a_folder_are_cropped(photographs, caplog):
    folder, pictures = photographs
    with caplog.at_level(logging.INFO, "mien.training"):
        portraits = open_portraits(folder, 32, Finder())
    crop = head_crop(FACE, np.zeros(3), 32)
    expected = np.stack([crop.apply(picture) for picture in (pictures[1], pictures[0])])
    assert np.array_equal(portraits.images, expected) and len(portraits) == 2
    assert "2 faces in 4 photographs" in caplog.text
    assert "zzz.png" in caplog.text and "broken.jpg" in caplog.text


def test_a_folder_without_faces_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="no photograph with a face"):
        open_portraits(tmp_path, 32, Finder())


def test_renders_serve_as_portraits(toy_heads):
    portraits = open_portraits(toy_heads, 16, Finder())
    pictures = portraits.pictures(torch.tensor([3, 0]))
    assert len(portraits) == 24 and tuple(pictures.shape) == (2, 3, 16, 16)
    whole = Portraits(portraits.images, 32).pictures(torch.tensor([3]))
    torch.testing.assert_close(pictures[:1].mean((2, 3)), whole.mean((2, 3)))


def test_the_data_packs_photographs(data_pack):
    portraits = open_portraits(None, 32, Finder())
    assert len(portraits) > 10 and tuple(portraits.pictures(torch.tensor([0])).shape) == (1, 3, 32, 32)
