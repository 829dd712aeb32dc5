from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mien.errors import ImageError, InputError, MediaError, NoFaceError, OutputError, SeveralFacesError
from mien.images import read_image, write_image
from mien.media import read_video
from mien.pipelines import VideoOptions, reenact_video

RATE = Fraction(30000, 1001)


@pytest.fixture
def source(fakes, tmp_path) -> Path:
    path = tmp_path / "anna.png"
    write_image(path, fakes.paint((40, 32), smile=0.2))
    return path


@pytest.fixture
def driver(fakes, tmp_path) -> Path:
    return fakes.write_driver(tmp_path / "bob.mp4", [0.1, 0.9, None, 0.5, 0.4])


@pytest.fixture
def out(tmp_path) -> Path:
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_video_to_video(model, fakes, source, driver, out):
    calls = []
    report = reenact_video(model, source, driver, out / "o.mp4", progress=lambda *done: calls.append(done))
    result = read_video(out / "o.mp4")
    assert result.info.rate == RATE and result.info.size == (fakes.SIZE, fakes.SIZE)
    assert [frame.time_s for frame in result] == [n / RATE for n in range(5)]
    assert (report.num_frames, report.num_missing) == (5, 1) and report.output == out / "o.mp4"
    assert calls == [(n, 5) for n in range(1, 6)] and report.frames_per_second > 0
    assert set(report.seconds) == {"identify", "decode", "track", "generate", "encode"}
    assert any("1 of 5" in notice for notice in report.notices)
    assert _names(out) == ["o.mp4"]


def test_grid_has_three_panels(model, fakes, source, driver, out):
    reenact_video(model, source, driver, out / "o.mkv", VideoOptions(grid=True))
    height, width = read_video(out / "o.mkv").info.size
    assert (height, width) == (fakes.SIZE, fakes.SIZE + 32 + fakes.SIZE)


def test_photo_driver_gives_a_picture(model, fakes, source, out, tmp_path):
    write_image(tmp_path / "bob.png", fakes.paint((20, 40), smile=1.0))
    report = reenact_video(model, source, tmp_path / "bob.png", out / "o.png")
    expected = model.drive(model.identify(read_image(source)), read_image(tmp_path / "bob.png"))
    np.testing.assert_array_equal(read_image(out / "o.png"), expected)
    assert report.num_frames == 1
    with pytest.raises(OutputError, match=r"\.png"):
        reenact_video(model, source, tmp_path / "bob.png", out / "o.mp4")


def test_folder_driver_gives_a_video_or_a_folder(model, fakes, source, out, tmp_path):
    (tmp_path / "frames").mkdir()
    for index in range(1, 12):
        write_image(tmp_path / "frames" / f"f{index}.png", fakes.paint((40, 32), smile=index / 12))
    options = VideoOptions(rate=Fraction(10), smoothing=None)
    reenact_video(model, source, tmp_path / "frames", out / "o.mp4", options)
    assert read_video(out / "o.mp4").info.rate == 10 and read_video(out / "o.mp4").info.num_frames == 11
    reenact_video(model, source, tmp_path / "frames", out / "pictures", options)
    assert _names(out / "pictures")[::10] == ["frame_000001.png", "frame_000011.png"]
    identity = model.identify(read_image(source))
    last = model.drive(identity, fakes.paint((40, 32), smile=11 / 12))
    assert np.abs(read_image(out / "pictures" / "frame_000011.png").astype(int) - last).max() <= 1
    with pytest.raises(OutputError, match="exists already"):
        reenact_video(model, source, tmp_path / "frames", out / "pictures", options)


def _relative(model, source, driver, out, **options) -> list[np.ndarray]:
    reenact_video(model, source, driver, out / "p", VideoOptions(relative=True, smoothing=None, **options))
    pictures = [read_image(path).astype(int) for path in sorted((out / "p").iterdir())]
    shutil.rmtree(out / "p")
    return pictures


def test_relative_driving_starts_from_the_reference(model, fakes, source, out, tmp_path):
    """Where the driver shows its reference, the result shows the source: the most neutral frame unless named."""
    driver = fakes.write_driver(tmp_path / "smiling.mp4", [None, 0.6, 0.05, 0.9])
    write_image(tmp_path / "rest.png", fakes.paint((40, 32), smile=0.9))
    still = model.edit(model.identify(read_image(source))).astype(int)
    for reference, at_rest in (("neutral", 2), ("first", 1), (3, 3), (str(tmp_path / "rest.png"), 3)):
        pictures = _relative(model, source, driver, out, reference=reference)
        distance = [np.abs(picture - still).max() for picture in pictures[1:]]
        assert np.argmin(distance) + 1 == at_rest and min(distance) <= 2 and sorted(distance)[1] > 3


def test_the_search_for_the_reference_is_shown_and_timed(model, source, driver, out):
    calls = []
    options = VideoOptions(relative=True)
    report = reenact_video(model, source, driver, out / "o.mp4", options, lambda *done: calls.append(done))
    assert calls == [(n, 5) for n in range(1, 6)] * 2 and report.seconds["reference"] > 0


def test_references_that_are_not_there(model, fakes, source, driver, out, tmp_path):
    write_image(tmp_path / "bob.png", fakes.paint((20, 40), smile=1.0))
    cases = [
        (driver, "o.mp4", 5, InputError, "no frame 5; its 5 frames"),
        (driver, "o.mp4", 2, NoFaceError, "frame 2"),
        (driver, "o.mp4", "missing.png", ImageError, "no such picture"),
        (tmp_path / "bob.png", "o.png", "neutral", InputError, "--reference"),
    ]
    for moves, name, reference, error, message in cases:
        with pytest.raises(error, match=message):
            reenact_video(model, source, moves, out / name, VideoOptions(relative=True, reference=reference))
    assert _names(out) == []


class _Failing:
    """A tracker that fails after some frames, as a kill would."""

    def __init__(self, tracker, error: type[BaseException], after: int) -> None:
        self.tracker, self.error, self.left = tracker, error, after

    def find(self, image):
        return self.tracker.find(image)

    def estimate(self, images, boxes):
        self.left -= 1
        if self.left < 0:
            raise self.error
        return self.tracker.estimate(images, boxes)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["o.mp4", "pictures"])
def test_nothing_is_left_behind_midway(model, source, driver, out, error, name):
    model.tracker = _Failing(model.tracker, error, after=3)
    with pytest.raises(error):
        reenact_video(model, source, driver, out / name, VideoOptions(batch=1))
    assert _names(out) == []


def test_no_face_in_the_driver_leaves_no_file(model, fakes, source, out, tmp_path):
    driver = fakes.write_driver(tmp_path / "empty.mp4", [None] * 4)
    with pytest.raises(NoFaceError, match="any of the 4"):
        reenact_video(model, source, driver, out / "o.mp4")
    assert _names(out) == []


def test_sources_without_a_face_or_with_several(model, fakes, driver, out, tmp_path):
    write_image(tmp_path / "nobody.png", fakes.paint())
    with pytest.raises(NoFaceError):
        reenact_video(model, tmp_path / "nobody.png", driver, out / "o.mp4")
    write_image(tmp_path / "two.png", fakes.paint((10, 30), (60, 40)))
    with pytest.raises(SeveralFacesError):
        reenact_video(model, tmp_path / "two.png", driver, out / "o.mp4")
    assert _names(out) == []
    reenact_video(model, tmp_path / "two.png", driver, out / "o.mp4", VideoOptions(source_face="left"))
    assert _names(out) == ["o.mp4"]


def test_bad_files_and_places_are_found_before_the_work(model, source, driver, out, tmp_path):
    def fail(*_):
        raise AssertionError("work was started")

    model.identify = fail
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(driver.read_bytes()[:-400])
    (tmp_path / "broken.png").write_bytes(source.read_bytes()[:60])
    cases = [
        (source, text, out / "o.mp4", MediaError),
        (source, cut, out / "o.mp4", MediaError),
        (source, tmp_path / "missing.mp4", out / "o.mp4", MediaError),
        (source, tmp_path / "missing.jpg", out / "o.png", ImageError),
        (tmp_path / "missing.png", driver, out / "o.mp4", ImageError),
        (tmp_path / "broken.png", driver, out / "o.mp4", ImageError),
        (source, driver, out / "o.webm", OutputError),
        (source, driver, out / "o.png", OutputError),
        (source, driver, out / "missing" / "o.mp4", OutputError),
        (source, driver, driver, OutputError),
    ]
    for one, other, target, error in cases:
        with pytest.raises(error):
            reenact_video(model, one, other, target)
    assert _names(out) == []
