"""w_r = w_s + A·Δq."""

import pytest
import torch

from mien.methods import DirectionConfig, DirectionMatrix, move_code


@pytest.fixture
def matrix() -> DirectionMatrix:
    return DirectionMatrix(DirectionConfig(coordinates=5, rows=3, dim=8)).requires_grad_(False)


def test_no_change_returns_the_source(matrix):
    wp = torch.randn(2, 6, 8)
    torch.testing.assert_close(matrix.shift(wp, torch.zeros(2, 5)), wp)


def test_linear_and_only_the_first_rows(matrix):
    wp, dq = torch.zeros(1, 6, 8), torch.randn(1, 5)
    once, twice = matrix.shift(wp, dq), matrix.shift(wp, 2 * dq)
    torch.testing.assert_close(twice, 2 * once)
    assert not once[:, 3:].any() and once[:, :3].any()


def test_row_layout_is_512_times_layer_plus_channel(matrix):
    dq = torch.zeros(1, 5)
    dq[0, 2] = 1
    column = matrix.linear.weight[:, 2]
    torch.testing.assert_close(matrix(dq)[0, 1], column[8:16])


def test_truncation_comes_after_the_shift(matrix):
    wp, dq, mean = torch.randn(2, 6, 8), torch.randn(2, 5), torch.randn(8)
    expected = mean + 0.7 * (matrix.shift(wp, dq) - mean)
    torch.testing.assert_close(move_code(matrix, wp, dq, mean, 0.7), expected)
    by_row = torch.randn(6, 8)
    expected = by_row + 0.7 * (matrix.shift(wp, dq) - by_row)
    torch.testing.assert_close(move_code(matrix, wp, dq, by_row, 0.7), expected)


def test_far_targets_are_clamped(matrix):
    wp, mean = torch.zeros(1, 6, 8), torch.zeros(8)
    far = move_code(matrix, wp, torch.full((1, 5), 100.0), mean, 1.0)
    torch.testing.assert_close(far, move_code(matrix, wp, torch.full((1, 5), 12.0), mean, 1.0))


def test_published_matrices_take_every_change_as_it_comes():
    matrix = DirectionMatrix(DirectionConfig(coordinates=5, rows=3, dim=8, bounded=False)).requires_grad_(False)
    wp, far = torch.zeros(1, 6, 8), torch.full((1, 5), 100.0)
    torch.testing.assert_close(move_code(matrix, wp, far, torch.zeros(8), 1.0), matrix.shift(wp, far))


def test_initial_spread():
    full = DirectionMatrix(DirectionConfig())
    assert tuple(full.linear.weight.shape) == (4096, 26) and full.linear.bias is None
    assert float(full.linear.weight.detach().std()) == pytest.approx(0.03, rel=0.02)
