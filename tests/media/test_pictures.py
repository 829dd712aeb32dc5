from __future__ import annotations

import numpy as np
import pytest

from mien.errors import OutputError
from mien.images import read_image
from mien.media import PictureFolderWriter, check_folder

IMAGE = np.full((8, 8, 3), 7, np.uint8)


def test_a_folder_appears_only_when_whole(tmp_path):
    with pytest.raises(KeyboardInterrupt), PictureFolderWriter(tmp_path / "out") as writer:
        writer.write(IMAGE)
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with PictureFolderWriter(tmp_path / "out") as writer:
        writer.write(IMAGE)
        assert not (tmp_path / "out").exists()
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "frame_000001.png"), IMAGE)


def test_places_that_cannot_be_a_new_folder(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path, tmp_path / "missing" / "out"):
        with pytest.raises(OutputError):
            check_folder(place)
    (tmp_path / "empty").mkdir()
    assert check_folder(tmp_path / "empty")
