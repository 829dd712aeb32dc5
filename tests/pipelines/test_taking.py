"""A folder of portraits becomes a pack; what will not do is left out and named."""

import shutil

import numpy as np
import pytest

from mien.errors import InputError, OutputError
from mien.images import write_image
from mien.pipelines.taking import fit_people, portrait_square
from mien.synth.people_pack import PeoplePack
from mien.tracking.mediapipe import FacePoints


class NobodyThere:
    """Finds no face anywhere."""

    def points(self, image: np.ndarray) -> list[FacePoints]:
        return []


def test_a_portrait_is_cut_to_a_square_around_the_head():
    image = np.zeros((900, 1400, 3), np.uint8)
    image[400:500, 700:800] = 255
    points = np.tile([750.0, 450.0], (478, 1))
    points[10], points[152] = (750, 350), (750, 550)
    square, moved = portrait_square(image, points)
    assert square.shape == (512, 512, 3)
    assert np.linalg.norm(moved[10] - moved[152]) == pytest.approx(512 / (1.82 * 1.30), rel=1e-3)
    column, row = np.rint(moved[0]).astype(int)
    assert square[row, column].min() == 255 and square[10, 10].max() == 0


def test_a_head_at_the_edge_moves_the_square_inside():
    image = np.zeros((600, 600, 3), np.uint8)
    points = np.tile([60.0, 60.0], (478, 1))
    points[10], points[152] = (60, 10), (60, 110)
    _, moved = portrait_square(image, points)
    assert moved[10, 0] == pytest.approx((60.5 * 512 / 236.6) - 0.5, abs=1.5)


def test_a_folder_without_a_usable_portrait_leaves_nothing(tmp_path, can_render, data_pack):
    portraits = tmp_path / "portraits"
    portraits.mkdir()
    with pytest.raises(InputError, match="no pictures"):
        fit_people(NobodyThere(), portraits, tmp_path / "people.npz")
    write_image(portraits / "wall.png", np.full((64, 64, 3), 90, np.uint8))
    (portraits / "broken.jpg").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="none of 2 portraits"):
        fit_people(NobodyThere(), portraits, tmp_path / "people.npz")
    with pytest.raises(OutputError):
        fit_people(NobodyThere(), portraits, tmp_path / "nowhere" / "people.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["portraits"]


def test_portraits_become_people(tmp_path, can_render, data_pack):
    pytest.importorskip("mediapipe")
    from mien.tracking.mediapipe import MediaPipeTracker

    portraits = tmp_path / "portraits"
    portraits.mkdir()
    for name in ("female_004", "female_005", "male_010", "male_011", "male_012"):
        shutil.copy(data_pack / "faces" / "portraits_cc0" / f"{name}.jpg", portraits)
    seen = []
    tracker = MediaPipeTracker(data_pack / "models" / "face_landmarker.task")
    report = fit_people(
        tracker, portraits, tmp_path / "people.npz", skip=["male_010"], progress=lambda d, t: seen.append((d, t))
    )
    tracker.close()
    assert seen[-1] == (5, 5)
    assert report.taken + len(report.refused) == 5 and any("male_010" in reason for reason in report.refused)
    with PeoplePack(tmp_path / "people.npz") as pack:
        assert len(pack) == report.taken >= 3
        assert set(pack.names) <= {"female_004", "female_005", "male_011", "male_012"}
        assert pack.held_out.tolist() == [name == "male_012" for name in pack.names]
