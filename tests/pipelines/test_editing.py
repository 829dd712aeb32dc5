from __future__ import annotations

from unittest.mock import Mock

import numpy as np
import pytest

from mien.alignment import paste
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


def test_what_was_asked_is_compared_with_what_the_tracker_reads(model, photo, tmp_path, monkeypatch):
    """Pictures of random weights show nothing, so the tracker is told here what to see."""
    monkeypatch.setattr("mien.pipelines.verifying.measure_face", Mock(side_effect=NoFaceError))
    report = edit_photo(model, photo, tmp_path / "o.png", {"yaw": (15, 15)})
    assert [(r.name, r.asked, r.measured) for r in report.readings] == [("yaw", 15, None)]
    seen = model.measure(read_image(photo))
    monkeypatch.setattr("mien.pipelines.verifying.measure_face", lambda *_: seen)
    report = edit_photo(
        model, photo, tmp_path / "o.png", {"yaw": (-90, 15), "smile": (0, 1)}, EditOptions(num_panels=4)
    )
    assert [r.picture for r in report.readings] == [0, 0, 1, 1, 2, 2, 3, 3]
    first, smile = report.readings[:2]
    assert (first.name, first.asked, first.measured) == ("yaw", -90, 0) and first.given == pytest.approx(-45)
    assert (smile.name, smile.asked) == ("mouth_smile", 0) and smile.measured == pytest.approx(0.2, abs=0.01)
    assert report.readings[-1].given == pytest.approx(1)
    assert not edit_photo(model, photo, tmp_path / "o.png", {"yaw": (1, 1)}, EditOptions(verify=False)).readings


def test_long_sweeps_are_measured_at_a_few_places_with_both_ends(model, photo, tmp_path):
    report = edit_photo(model, photo, tmp_path / "o.mp4", {"yaw": (-20, 20)}, EditOptions(num_frames=50))
    pictures = [reading.picture for reading in report.readings]
    assert len(pictures) == 9 and pictures[0] == 0 and pictures[-1] == 49


def test_two_ranges_make_a_grid(model, fakes, photo, tmp_path):
    targets = {"yaw": (-30, 30), "smile": (0, 1), "roll": (5, 5)}
    edit_photo(model, photo, tmp_path / "o.png", targets, EditOptions(grid=True, num_panels=3))
    shown, size = read_image(tmp_path / "o.png"), fakes.SIZE
    assert shown.shape == (3 * size, 3 * size, 3)
    corner = model.edit(model.identify(read_image(photo)), yaw=30, mouth_smile=0.5, roll=5)
    assert np.abs(shown[size : 2 * size, 2 * size :].astype(int) - corner).max() <= 1
    for name, wrong in (("g.mp4", targets), ("g.png", {"yaw": (-30, 30)})):
        with pytest.raises(InputError, match="two ranges"):
            edit_photo(model, photo, tmp_path / name, wrong, EditOptions(grid=True))


def test_edits_go_back_into_the_photo(model, photo, tmp_path):
    edit_photo(model, photo, tmp_path / "o.png", {"smile": (0.9, 0.9)}, EditOptions(paste=True))
    person = model.identify(read_image(photo))
    expected = paste(read_image(photo), model.edit(person, smile=0.9), person.crop)
    np.testing.assert_array_equal(read_image(tmp_path / "o.png"), expected)


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
