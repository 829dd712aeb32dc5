"""Following: the same face stays chosen, is lost and found again, at every batch size."""

import numpy as np
import pytest

from mien.errors import InputError
from mien.tracking import Box, choose_box, follow


def centres(results):
    return [r.landmarks[0, 30].numpy() if bool(r.valid) else None for r in results]


def two_paths(count: int) -> np.ndarray:
    steps = np.arange(count)
    left = np.stack([100 + 3.0 * steps, 100 + 0 * steps], 1)
    right = np.stack([400 - 3.0 * steps, 120 + 2.0 * steps], 1)
    return np.stack([left, right])


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("choose", ["left", "right"])
def test_the_chosen_face_is_kept(scripted, batch, choose):
    tracker = scripted(two_paths(20))
    found = centres(follow(tracker, tracker.frames(), choose, batch))
    expected = tracker.paths[0 if choose == "left" else 1]
    offsets = np.array(found) - expected
    assert np.allclose(offsets, offsets[0])
    assert tracker.finds == 1


def test_fast_motion_is_measured_again_in_a_fresh_box(scripted):
    steps = np.arange(24)
    tracker = scripted(np.stack([100 + 12.0 * steps, 100 + 0 * steps], 1)[None])
    found = centres(follow(tracker, tracker.frames(), batch=8))
    assert all(f is not None for f in found)
    assert len(tracker.estimates) > 3


def test_a_lost_face_is_invalid_until_it_returns_near_its_place(scripted):
    paths = two_paths(20)
    paths[0, 6:11] = np.nan
    paths[0, 11:] = paths[0, 5]
    paths[1, 6:11] = np.nan
    tracker = scripted(paths)
    found = centres(follow(tracker, tracker.frames(), "left", 4))
    assert [f is None for f in found] == [6 <= i < 11 for i in range(20)]
    assert np.allclose(found[15], found[5])


def test_frames_are_taken_lazily_and_an_empty_video_is_empty(scripted):
    tracker = scripted(two_paths(20))
    taken = []

    def source():
        for i, frame in enumerate(tracker.frames()):
            taken.append(i)
            yield frame

    next(follow(tracker, source(), batch=4))
    assert len(taken) == 4
    assert list(follow(tracker, [])) == []


def test_no_face_at_all(scripted):
    tracker = scripted(np.full((1, 5, 2), np.nan))
    assert [bool(r.valid) for r in follow(tracker, tracker.frames())] == [False] * 5


def test_choice_of_a_box():
    boxes = [Box(50, 0, 60, 10), Box(0, 0, 8, 8), Box(100, 0, 130, 30)]
    assert choose_box(boxes, "left") is boxes[1]
    assert choose_box(boxes, "right") is choose_box(boxes, "largest") is boxes[2]
    assert choose_box(boxes, 1) is boxes[0]
    assert choose_box(boxes, 3) is None
    with pytest.raises(InputError):
        next(follow(None, [np.zeros((4, 4, 3), np.uint8)], "biggest"))  # pyright: ignore[reportArgumentType]
