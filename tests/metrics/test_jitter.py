from __future__ import annotations

import pytest
import torch

from mien.errors import InputError
from mien.metrics import Jitter


def test_second_differences_worked_out_by_hand():
    track = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 4.0], [1.0, 4.0]])
    jitter = Jitter()
    jitter.update(track)
    assert jitter.result().mean.tolist() == [1.0, 3.0] and jitter.result().count == 2


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_batches_make_no_difference(rng, size):
    track = torch.from_numpy(rng.normal(size=(17, 3)))
    valid = torch.from_numpy(rng.random(17) > 0.2)
    jitter = Jitter()
    for part, flags in zip(track.split(size), valid.split(size), strict=True):
        jitter.update(part, flags)
    expected = [
        (track[t + 1] - 2 * track[t] + track[t - 1]).abs() for t in range(1, 16) if bool(valid[t - 1 : t + 2].all())
    ]
    torch.testing.assert_close(jitter.result().mean, torch.stack(expected).mean(0))


def test_a_steady_turn_does_not_tremble_and_gaps_are_no_jumps():
    turn = torch.arange(10.0)[:, None]
    jitter = Jitter()
    jitter.update(turn)
    assert jitter.result().mean.item() == 0
    broken, valid = turn.clone(), torch.ones(10, dtype=torch.bool)
    broken[5], valid[5] = torch.nan, False
    jitter = Jitter()
    jitter.update(broken, valid)
    assert jitter.result().mean.item() == 0 and jitter.result().count == 5


def test_refusals():
    jitter = Jitter()
    with pytest.raises(InputError):
        jitter.result()
    jitter.update(torch.zeros(2, 3))
    for wrong in (torch.zeros(2, 4), torch.zeros(3)):
        with pytest.raises(InputError):
            jitter.update(wrong)
    with pytest.raises(InputError):
        jitter.update(torch.zeros(2, 3), torch.ones(3, dtype=torch.bool))
