from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest

from mien.errors import NoFaceError
from mien.media.reader import Frame
from mien.tracking import Smoothing


@pytest.fixture
def identity(model, fakes):
    return model.identify(fakes.paint((40, 32), smile=0.2))


def _frames(fakes, smiles):
    return [fakes.paint() if s is None else fakes.paint((40, 32), smile=s) for s in smiles]


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_stream_equals_driving_frame_by_frame(model, fakes, identity, batch):
    frames = _frames(fakes, np.linspace(0, 1, 10))
    streamed = list(model.stream(identity, frames, batch=batch, smoothing=None))
    assert len(streamed) == 10
    for frame, image in zip(frames, streamed, strict=True):
        assert np.abs(image.astype(int) - model.drive(identity, frame)).max() <= 1


def test_stream_is_lazy_and_reads_ahead_by_batches_only(model, fakes, identity):
    read = []

    def endless():
        for index in itertools.count():
            read.append(index)
            yield fakes.paint((40, 32), smile=0.5)

    stream = model.stream(identity, endless(), batch=4)
    assert read == []
    for count in range(1, 40):
        next(stream)
        assert len(read) - count <= 8
    assert max(model.tracker.batches) == 4


def test_frames_without_a_face_hold_the_last_result(model, fakes, identity):
    stream = model.stream(identity, _frames(fakes, [None, None, 1.0, None, 0.0]), batch=2)
    images = list(stream)
    np.testing.assert_array_equal(images[0], identity.image)
    np.testing.assert_array_equal(images[1], identity.image)
    np.testing.assert_array_equal(images[3], images[2])
    assert not np.array_equal(images[4], images[2])
    assert (stream.num_frames, stream.num_missing) == (5, 3)
    assert any("3 of 5" in notice for notice in stream.notices)


def test_frames_without_a_face_can_show_the_source(model, fakes, identity):
    images = list(model.stream(identity, _frames(fakes, [1.0, None]), missing="source"))
    np.testing.assert_array_equal(images[1], identity.image)


def test_a_driver_without_any_face(model, fakes, identity):
    stream = model.stream(identity, _frames(fakes, [None] * 5), batch=2)
    with pytest.raises(NoFaceError, match="any of the 5"):
        list(stream)
    assert list(model.stream(identity, [])) == []


def test_relative_driving_starts_from_the_source(model, fakes, identity):
    """The first frame with a face is the reference, so it shows the unmoved source."""
    frames = _frames(fakes, [None, 0.9, 0.1])
    images = list(model.stream(identity, frames, relative=True, batch=2))
    assert np.abs(images[1].astype(int) - model.edit(identity)).max() <= 1
    assert np.abs(images[2].astype(int) - images[1]).max() > 2
    named = list(model.stream(identity, frames[1:], relative=True, smoothing=None, reference=model.measure(frames[2])))
    assert np.abs(named[1].astype(int) - model.edit(identity)).max() <= 1


def test_several_driver_faces_are_reported_once_and_chosen(model, fakes, identity):
    frames = [fakes.paint((5, 40), (70, 30), smile=0.3)] * 3
    stream = model.stream(identity, frames)
    list(stream)
    assert len(stream.notices) == 1 and "2 faces" in stream.notices[0] and "largest" in stream.notices[0]


def test_stages_are_timed(model, fakes, identity):
    stream = model.stream(identity, _frames(fakes, [0.5] * 4))
    list(stream)
    assert set(stream.clock.seconds) == {"decode", "track", "generate"}


def test_the_track_is_smoothed_by_real_times(model, fakes, identity):
    """The same smiles shown further apart are smoothed less; without smoothing they are what was measured."""
    smiles = [0.2, 0.2, 0.2, 0.35, 0.2]
    images = _frames(fakes, smiles)

    def driven(step: int, **options) -> np.ndarray:
        frames = [Frame(image, i * step, Fraction(1, 100)) for i, image in enumerate(images)]
        return np.stack(list(model.stream(identity, frames, **options))).astype(int)

    raw = driven(4, smoothing=None)
    quick, slow = driven(4), driven(200)
    assert np.abs(slow - raw).max() <= 1
    strong = Smoothing(expression_cutoff_hz=0.1, expression_beta=0.0)
    calm = driven(4, smoothing=strong)
    assert np.abs(calm[3] - calm[2]).sum() < np.abs(quick[3] - quick[2]).sum() < np.abs(raw[3] - raw[2]).sum()


def test_movements_cut_at_the_trained_range_are_told(model, fakes, identity):
    frames = _frames(fakes, [0.3, 0.9, 1.0])
    stream = model.stream(identity, frames, strength=3.0, smoothing=None)
    list(stream)
    assert stream.num_cut == 2 and any("2 of 3" in notice and "trained" in notice for notice in stream.notices)
    free = dataclasses.replace(model.bundle.directions.config, bounded=False)
    model.bundle.directions.config = free
    stream = model.stream(identity, frames, strength=3.0, smoothing=None)
    assert list(stream) and stream.num_cut == 0 and not stream.notices


def test_stand_ins_say_what_they_are(model, fakes, identity):
    frames = _frames(fakes, [None, 1.0, None])
    kinds = [(one.found, one.is_source) for one in model.stream(identity, frames).results()]
    assert kinds == [(False, True), (True, False), (False, False)]
    kinds = [(one.found, one.is_source) for one in model.stream(identity, frames, missing="source").results()]
    assert kinds == [(False, True), (True, False), (False, True)]
