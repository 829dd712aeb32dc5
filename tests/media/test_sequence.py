from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from mien.errors import ImageError, MediaError
from mien.images import write_image
from mien.media import PictureSequence, Video, open_driver


def _picture(value: int) -> np.ndarray:
    return np.full((20, 30, 3), value, np.uint8)


def test_folder_is_read_in_natural_order(tmp_path):
    for number in (10, 2, 1):
        write_image(tmp_path / f"frame{number}.png", _picture(number))
    (tmp_path / "notes.txt").write_text("not a picture")
    driver = open_driver(tmp_path, rate=Fraction(30000, 1001))
    assert [frame.image[0, 0, 0] for frame in driver] == [1, 2, 10]
    assert [frame.time_s for frame in driver] == [0, Fraction(1001, 30000), Fraction(2002, 30000)]
    assert driver.info.size == (20, 30) and driver.info.num_frames == 3


def test_single_photo(tmp_path):
    write_image(tmp_path / "bob.png", _picture(5))
    driver = open_driver(tmp_path / "bob.png")
    assert isinstance(driver, PictureSequence) and driver.single and len(list(driver)) == 1


def test_video_is_opened_as_video(make_clip):
    assert isinstance(open_driver(make_clip()), Video)


def test_bad_drivers(tmp_path):
    with pytest.raises(MediaError, match="no pictures"):
        open_driver(tmp_path)
    with pytest.raises(ImageError, match="no such picture"):
        open_driver(tmp_path / "missing.jpg")
    with pytest.raises(MediaError, match="no such"):
        open_driver(tmp_path / "missing.mp4")
    write_image(tmp_path / "a.png", _picture(5))
    with pytest.raises(MediaError, match="rate"):
        open_driver(tmp_path, rate=Fraction(0))
