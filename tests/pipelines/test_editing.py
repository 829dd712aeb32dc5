from __future__ import annotations

import numpy as np
import pytest

from mien.errors import InputError, NoFaceError, OutputError
from mien.images import read_image, write_image
from mien.media import read_video
from mien.pipelines import EditOptions, edit_photo, sweep


@pytest.fixture
def photo(fakes, tmp_path):
    write_image(tmp_path / "anna.png", fakes.paint((40, 32), smile=0.2))
    return tmp_path / "anna.png"


def test_one_value_gives_one_picture(model, photo, tmp_path):
    edit_photo(model, photo, tmp_path / "o.png", {"yaw": (15, 15), "mouth_smile": (0.7, 0.7)})
    expected = model.edit(model.identify(read_image(photo)), yaw=15, mouth_smile=0.7)
    assert np.abs(read_image(tmp_path / "o.png").astype(int) - expected).max() <= 1


def test_a_range_gives_a_video_or_a_strip(model, fakes, photo, tmp_path):
    edit_photo(model, photo, tmp_path / "o.mp4", {"yaw": (-30, 30)}, EditOptions(num_frames=11))
    assert read_video(tmp_path / "o.mp4").info.num_frames == 11
    edit_photo(model, photo, tmp_path / "o.png", {"yaw": (-30, 30)}, EditOptions(num_panels=5))
    strip = read_image(tmp_path / "o.png")
    assert strip.shape == (fakes.SIZE, 5 * fakes.SIZE, 3)
    middle = model.edit(model.identify(read_image(photo)), yaw=0)
    assert np.abs(strip[:, 2 * fakes.SIZE : 3 * fakes.SIZE].astype(int) - middle).max() <= 1


def test_sweep_is_batched_and_ends_where_it_should(model, fakes):
    identity = model.identify(fakes.paint((40, 32), smile=0.2))
    pictures = list(sweep(model, identity, {"yaw": (-20, 40)}, count=7, batch=3))
    assert len(pictures) == 7
    for picture, yaw in ((pictures[0], -20), (pictures[-1], 40)):
        assert np.abs(picture.astype(int) - model.edit(identity, yaw=yaw)).max() <= 1


def test_bad_requests_write_nothing(model, fakes, photo, tmp_path):
    write_image(tmp_path / "nobody.png", fakes.paint())
    before = sorted(tmp_path.iterdir())
    cases = [
        (photo, "o.mp4", {"yaw": (3, 3)}, OutputError),
        (photo, "o.txt", {"yaw": (3, 3)}, OutputError),
        (photo, "o.png", {}, InputError),
        (photo, "o.png", {"grin": (0, 1)}, InputError),
        (photo, "anna.png", {"yaw": (0, 1)}, OutputError),
        (tmp_path / "nobody.png", "o.png", {"yaw": (3, 3)}, NoFaceError),
    ]
    for source, name, targets, error in cases:
        with pytest.raises(error):
            edit_photo(model, source, tmp_path / name, targets)
    assert sorted(tmp_path.iterdir()) == before
