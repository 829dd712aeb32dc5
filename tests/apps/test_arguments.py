from __future__ import annotations

from fractions import Fraction

import pytest

from mien.apps.arguments import (
    joined_strength,
    read_driver_face,
    read_face,
    read_range,
    read_rate,
    read_reference,
    read_source_face,
    read_strength,
)
from mien.errors import InputError


def test_words_become_values():
    assert read_face("left") == "left" and read_face("2") == 2
    assert read_strength("0.8") == 0.8 and read_strength("pose=0.5, mouth=1") == {"pose": 0.5, "mouth": 1.0}
    assert read_range("yaw", "-30:30") == (-30, 30) and read_range("yaw", "-5") == (-5, -5)
    assert read_rate("30000/1001") == Fraction(30000, 1001) and read_rate("29.97") == Fraction(2997, 100)


def test_faces_and_references():
    assert read_source_face("all") == "all" and read_source_face("") is None and read_source_face("1") == 1
    assert read_driver_face("matching") == "matching" and read_driver_face("left") == "left"
    assert read_reference("neutral") == "neutral" and read_reference("12") == 12 and read_reference("a.png") == "a.png"


def test_strengths_by_group_may_be_several_words():
    words = ["--strength", "pose=1", "mouth=1.2", "yaw=0", "anna.jpg", "bob=1.mp4", "-o", "x=1"]
    assert joined_strength(words) == ["--strength", "pose=1,mouth=1.2,yaw=0", "anna.jpg", "bob=1.mp4", "-o", "x=1"]
    assert joined_strength(["a", "--strength", "0.5", "b=1"]) == ["a", "--strength", "0.5", "b=1"]


@pytest.mark.parametrize(
    ("read", "word"),
    [
        (read_face, "middle"),
        (read_face, "-1"),
        (read_source_face, "matching"),
        (read_driver_face, "all"),
        (read_strength, "much"),
        (read_strength, "pose=a"),
        (read_strength, "pose"),
        (lambda word: read_range("yaw", word), "1:"),
        (lambda word: read_range("yaw", word), "a:b"),
        (read_rate, "0"),
        (read_rate, "1/0"),
        (read_rate, "fast"),
    ],
)
def test_other_words_are_refused(read, word):
    with pytest.raises(InputError):
        read(word)
