from __future__ import annotations

from fractions import Fraction

import pytest

from mien.apps.arguments import read_face, read_range, read_rate, read_strength
from mien.errors import InputError


def test_words_become_values():
    assert read_face("left") == "left" and read_face("2") == 2
    assert read_strength("0.8") == 0.8 and read_strength("pose=0.5, mouth=1") == {"pose": 0.5, "mouth": 1.0}
    assert read_range("yaw", "-30:30") == (-30, 30) and read_range("yaw", "-5") == (-5, -5)
    assert read_rate("30000/1001") == Fraction(30000, 1001) and read_rate("29.97") == Fraction(2997, 100)


@pytest.mark.parametrize(
    ("read", "word"),
    [
        (read_face, "middle"),
        (read_face, "-1"),
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
