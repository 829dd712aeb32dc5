"""Whole photos that move: who follows whom, and where the results land."""

from __future__ import annotations

from fractions import Fraction
from itertools import count

import numpy as np
import pytest

from mien.alignment import paste
from mien.errors import InputError, NoFaceError
from mien.images import read_image, write_image
from mien.media import VideoWriter, read_video
from mien.media.reader import Frame
from mien.pipelines import SceneStream, VideoOptions, reenact_video
from mien.pipelines.scene import MATCHING
from mien.pipelines.streaming import StreamSettings

LEFT, RIGHT = (10, 30), (75, 36)


@pytest.fixture
def photo(fakes) -> np.ndarray:
    return fakes.paint(LEFT, RIGHT, smile=0.2)


def _two(fakes, left: float | None, right: float | None) -> np.ndarray:
    """A driver's frame with two faces that smile as told; None leaves one out."""
    frame = fakes.paint()
    for place, smile in ((LEFT, left), (RIGHT, right)):
        if smile is not None:
            region = fakes.paint(place, smile=smile)
            frame[region[..., 0] > 160] = region[region[..., 0] > 160]
    return frame


def _frames(pictures) -> list[Frame]:
    return [Frame(picture, i, Fraction(1, 25)) for i, picture in enumerate(pictures)]


def _run(model, photo, pictures, **options) -> tuple[SceneStream, list[np.ndarray]]:
    cast = [(model, person) for person in model.identify_all(photo)]
    settings = StreamSettings(method="directions", smoothing=None, **options)
    stream = SceneStream(photo, cast, _frames(pictures), settings)
    return stream, [one.image for one in stream.results()]


def _expected(model, photo, faces) -> np.ndarray:
    """Each person of the photo driven by a face and pasted, one after the other; they do not overlap here."""
    full = photo
    for person, (picture, face) in zip(model.identify_all(photo), faces, strict=True):
        full = paste(full, model.drive(person, model.measure(picture, face)), person.crop)
    return full


def test_everybody_in_a_photo_is_found_from_left_to_right(model, photo, fakes):
    people = model.identify_all(photo)
    assert [float(person.params.landmarks[0, 8, 0]) for person in people] == pytest.approx([24, 92], abs=2)
    with pytest.raises(NoFaceError):
        model.identify_all(fakes.paint())


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_matching_gives_each_person_a_face(model, fakes, photo, batch):
    pictures = [_two(fakes, 0.9, 0.1), _two(fakes, 0.4, 0.6), _two(fakes, 0.0, 1.0)]
    stream, images = _run(model, photo, pictures, face=MATCHING, batch=batch)
    assert stream.num_frames == 3 and stream.num_missing == 0 and stream.notices == ()
    for picture, image in zip(pictures, images, strict=True):
        crops = [person.crop for person in model.identify_all(photo)]
        expected = _expected(model, photo, [(picture, 0), (picture, 1)])
        apart = np.ones(photo.shape[:2], bool)
        apart[:, 40:80] = False  # the crops of this small picture overlap in the middle
        assert crops and np.abs(image.astype(int) - expected)[apart].max() <= 2


def test_one_face_for_all_is_tracked_once(model, fakes, photo):
    pictures = [_two(fakes, 0.9, 0.1)] * 5
    people = model.identify_all(photo)
    model.tracker.batches.clear()
    stream = SceneStream(
        photo, [(model, person) for person in people], _frames(pictures), StreamSettings(face="left", smoothing=None)
    )
    images = [one.image for one in stream.results()]
    assert sum(model.tracker.batches) == 5
    apart = np.ones(photo.shape[:2], bool)
    apart[:, 40:80] = False
    expected = _expected(model, photo, [(pictures[0], "left")] * 2)
    assert np.abs(images[4].astype(int) - expected)[apart].max() <= 2
    assert len(stream.notices) == 1 and "2 faces" in stream.notices[0]


def test_a_person_without_a_driver_stays_as_in_the_photo(model, fakes, photo):
    pictures = [_two(fakes, 0.9, None), _two(fakes, 0.9, 0.5)]
    stream, images = _run(model, photo, pictures, face=MATCHING)
    assert stream.num_missing == 1
    np.testing.assert_array_equal(images[0][:, 100:], photo[:, 100:])
    assert np.abs(images[0][:, :30].astype(int) - photo[:, :30]).max() > 5
    assert np.abs(images[1][:, 100:].astype(int) - photo[:, 100:]).max() > 5


def test_scenes_are_lazy(model, fakes, photo):
    read = []

    def endless():
        for index in count():
            read.append(index)
            yield Frame(_two(fakes, 0.5, 0.5), index, Fraction(1, 25))

    cast = [(model, person) for person in model.identify_all(photo)]
    for face in (MATCHING, "left"):
        read.clear()
        results = SceneStream(photo, cast, endless(), StreamSettings(face=face, batch=2)).results()
        for done in range(1, 12):
            next(results)
            assert len(read) - done <= 4


def test_nobody_to_move(photo):
    with pytest.raises(InputError):
        SceneStream(photo, [], [], StreamSettings())


@pytest.fixture
def files(fakes, photo, tmp_path):
    """A photo of two people, a video of two drivers, a photo of one driver."""
    write_image(tmp_path / "two.png", photo)
    with VideoWriter(tmp_path / "bobs.mkv", Fraction(25)) as writer:
        for smile in (0.1, 0.5, 0.9):
            writer.write(_two(fakes, smile, 1 - smile))
    write_image(tmp_path / "bob.png", fakes.paint((40, 32), smile=0.9))
    return tmp_path


def test_a_video_moves_everybody_in_the_whole_photo(model, photo, files):
    options = VideoOptions(paste=True, source_face="all", driver_face=MATCHING)
    report = reenact_video(model, files / "two.png", files / "bobs.mkv", files / "o.mp4", options)
    assert read_video(files / "o.mp4").info.size == photo.shape[:2] and report.num_frames == 3
    assert {"paste", "track", "generate"} <= set(report.seconds)


def test_a_photo_driver_is_pasted_too(model, photo, files):
    options = VideoOptions(paste=True, source_face="right")
    reenact_video(model, files / "two.png", files / "bob.png", files / "o.png", options)
    person = model.identify(photo, "right")
    expected = paste(photo, model.drive(person, read_image(files / "bob.png")), person.crop)
    np.testing.assert_array_equal(read_image(files / "o.png"), expected)


def test_grid_shows_the_whole_photo(model, photo, files):
    options = VideoOptions(paste=True, grid=True, source_face="left", driver_face="right")
    reenact_video(model, files / "two.png", files / "bobs.mkv", files / "o.mp4", options)
    assert read_video(files / "o.mp4").info.size == (60, 360)


def test_combinations_that_make_no_sense_leave_nothing(model, files):
    before = sorted(files.iterdir())
    cases = [
        (VideoOptions(source_face="all"), "bobs.mkv", InputError, "--paste"),
        (VideoOptions(driver_face=MATCHING), "bobs.mkv", InputError, "--paste"),
        (
            VideoOptions(paste=True, source_face="all", driver_face=MATCHING),
            "bob.png",
            NoFaceError,
            "2 people.*1 face,",
        ),
    ]
    for options, driver, error, message in cases:
        with pytest.raises(error, match=message):
            reenact_video(model, files / "two.png", files / driver, files / f"o{driver[-4:]}", options)
    assert sorted(files.iterdir()) == before
