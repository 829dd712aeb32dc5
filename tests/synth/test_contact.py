"""Contact sheets and clips."""

import numpy as np
import pytest

from mien.errors import InputError
from mien.synth.contact import render_contact_sheet
from mien.synth.sequence import render_sequence


def test_larger_sheets_start_with_the_same_people(renderer):
    small = render_contact_sheet(count=2, seed=3, size=48, columns=3)
    large = render_contact_sheet(count=4, seed=3, size=48, columns=3)
    assert small.shape == (48, 96, 3) and large.shape == (96, 144, 3)
    assert np.array_equal(small, large[:48, :96])
    assert (large[48:, 48:] == 255).all()


def test_bad_numbers_are_refused():
    with pytest.raises(InputError):
        render_contact_sheet(count=0)


def test_a_clip_moves_and_is_reproducible(renderer):
    frames = list(render_sequence(person_seed=2, num_frames=4, rate=5.0, motion_seed=1, size=48))
    again = next(iter(render_sequence(person_seed=2, num_frames=4, rate=5.0, motion_seed=1, size=48)))
    assert len(frames) == 4 and frames[0].image.shape == (48, 48, 3)
    assert np.array_equal(frames[0].image, again.image)
    assert not np.array_equal(frames[0].angles, frames[3].angles)
