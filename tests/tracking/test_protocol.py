"""Boxes."""

import numpy as np
import pytest

from mien.errors import ImageError
from mien.tracking.protocol import Box, checked_picture, merge_boxes


def test_overlap():
    assert Box(0, 0, 10, 10).overlap(Box(5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert Box(0, 0, 10, 10).overlap(Box(20, 0, 30, 10)) == 0
    assert Box(0, 0, 10, 10).overlap(Box(0, 0, 10, 10)) == pytest.approx(1)


def test_square():
    box = Box.square(np.array([10, 20]), 6, 0.5)
    assert (box.x0, box.y0, box.x1, box.y1, box.score) == (7, 17, 13, 23, 0.5)
    assert box.side == 6 and box.centre.tolist() == [10, 20]


def test_merging_keeps_the_confident_box_and_sorts_by_size():
    small = Box(100, 100, 110, 110, 0.6)
    boxes = [Box(0, 0, 20, 20, 0.5), Box(1, 1, 21, 21, 0.9), small]
    assert merge_boxes(boxes) == [boxes[1], small]
    nested = Box(5, 5, 11, 11, 0.7)
    assert nested.nesting(boxes[1]) == boxes[1].nesting(nested) == 1
    assert merge_boxes([boxes[1], nested]) == [boxes[1]]


@pytest.mark.parametrize(
    "shape,dtype", [((4, 4), np.uint8), ((4, 4, 4), np.uint8), ((4, 4, 3), np.float32), ((0, 4, 3), np.uint8)]
)
def test_wrong_pictures_are_refused(shape, dtype):
    with pytest.raises(ImageError):
        checked_picture(np.zeros(shape, dtype))
