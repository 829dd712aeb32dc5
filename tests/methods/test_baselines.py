"""Baselines on generators and codes whose answers are known."""

import pytest
import torch

from mien.methods import DirectionMatrix
from mien.methods.baselines import (
    assigned_directions,
    directions_of,
    factor_slopes,
    half_range,
    regressed_directions,
    still_directions,
    style_factors,
)
from mien.stylegan2 import Generator, GeneratorConfig
from mien.training.engine import seeded


@pytest.fixture
def generator() -> Generator:
    config = GeneratorConfig(resolution=16, channel_base=64, channel_max=8, latent_dim=8, style_dim=8, mapping_layers=1)
    return seeded(0, lambda: Generator(config)).requires_grad_(False)


def test_columns_shift_the_rows_they_say():
    weight = torch.randn(2, 4, 3)
    shifted = directions_of(weight).shift(torch.zeros(1, 5, 4), torch.tensor([[0.0, 2.0, 0.0]]))
    torch.testing.assert_close(shifted[0, :2], 2 * weight[..., 1])
    assert not shifted[0, 2:].any()


def test_copying_moves_nothing():
    wp = torch.randn(3, 6, 8)
    assert torch.equal(still_directions(5, 4, 8).shift(wp, torch.randn(3, 5)), wp)


def test_factors_are_what_styles_read_most(generator):
    """Channels of the first rows that all read w along one axis, some along a second: the factors are these axes."""
    for number, layer in enumerate(generator.convs):
        layer.affine.weight.zero_()
        layer.affine.weight[:, 3] = 5.0 if number < 4 else 0.0
        layer.affine.weight[:, 6] = 0.0 if number < 4 else 900.0
        if number < 4:
            layer.affine.weight[:2, 3], layer.affine.weight[:2, 1] = 0.0, 0.01
    factors = style_factors(generator, 4, 2)
    expected = torch.eye(8)[[3, 1]]
    torch.testing.assert_close(factors.abs(), expected)
    with pytest.raises(ValueError, match="no 2 factors of 7 rows"):
        style_factors(generator, 7, 2)


def test_factors_are_orthogonal_and_ordered(generator):
    factors = style_factors(generator, 6, 8)
    torch.testing.assert_close(factors @ factors.T, torch.eye(8), atol=1e-5, rtol=0.0)
    weights = torch.nn.functional.normalize(torch.cat([layer.affine.weight for layer in generator.convs]), dim=1)
    strength = (weights @ factors.T).square().sum(0)
    assert (strength.diff() <= 1e-5).all() and strength[0] > 1.2 * strength[-1]


class Linear:
    """A generator whose picture is its code, rows side by side."""

    def synthesis(self, codes, noise):
        return codes


def test_slopes_are_mean_changes_per_unit_and_leave_out_what_is_not_seen():
    codes = torch.tensor([0.0, 1.0, 5.0])[:, None, None].expand(3, 4, 2)

    def read(pictures):
        value = pictures[:, :2, 0].sum(1)[:, None] * torch.tensor([[3.0, 0.0]])
        return torch.where(pictures[:, :1, 0] > 4, torch.nan, value)

    slopes = factor_slopes(Linear(), codes, torch.eye(2), rows=2, read=read, step=0.5)
    torch.testing.assert_close(slopes, torch.tensor([[6.0, 0.0], [0.0, 0.0]]))
    unseen = factor_slopes(Linear(), codes[2:], torch.eye(2), rows=2, read=read, step=0.1)
    assert not unseen.any()


def test_every_coordinate_gets_the_factor_that_moves_it_alone():
    factors = torch.eye(4)
    slopes = torch.tensor([[0.5, 0.5], [0.0, -1.0], [2.0, 0.1], [1e-4, 0.0]])
    matrix = assigned_directions(factors, slopes, rows=3, longest=10.0)
    weight = matrix.linear.weight.unflatten(0, (3, 4))
    expected = torch.zeros(3, 4, 2)
    expected[:, 2, 0], expected[:, 1, 1] = 0.5, -1.0
    torch.testing.assert_close(weight, expected)
    short = assigned_directions(factors, slopes, rows=1, longest=0.7).linear.weight
    assert float(short[1, 1]) == pytest.approx(-0.7) and float(short[2, 0]) == 0.5
    with pytest.raises(ValueError, match="1 factors"):
        assigned_directions(factors[:1], slopes[:1], 1, 1.0)


def test_regression_finds_the_matrix_that_made_the_codes():
    draws = torch.Generator().manual_seed(0)
    truth = torch.randn(4, 5, 3, generator=draws)
    q = torch.randn(400, 3, generator=draws) * torch.tensor([3.0, 1.0, 2.0]) + 1
    codes = 7 + torch.einsum("rdk,nk->nrd", truth, q)
    codes = torch.cat([codes, torch.randn(400, 2, 5, generator=draws)], 1)
    q_seen = torch.where(torch.arange(400)[:, None] == 5, torch.nan, q)
    matrix = regressed_directions(codes, q_seen, rows=4, ridge=1e-9)
    assert isinstance(matrix, DirectionMatrix) and matrix.config.rows == 4
    torch.testing.assert_close(matrix.linear.weight.unflatten(0, (4, 5)), truth, atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="two codes"):
        regressed_directions(codes, torch.full_like(q, torch.nan), 4)


def test_ridge_shrinks_by_the_share_that_it_adds_to_the_variance():
    q = torch.tensor([[-1.0], [1.0]])
    codes = torch.tensor([[[-2.0]], [[2.0]]])
    assert float(regressed_directions(codes, q, 1, ridge=1.0).linear.weight) == pytest.approx(1.0)
    assert float(regressed_directions(codes, q, 1, ridge=0.0).linear.weight) == pytest.approx(2.0)


def test_half_a_range_is_the_mean_distance_of_codes(generator):
    length = half_range(generator, 500, torch.Generator().manual_seed(0))
    z = torch.randn(500, 8, generator=torch.Generator().manual_seed(0))
    assert length == pytest.approx(float((generator.mapping(z) - generator.w_mean).norm(dim=1).mean()) / 6)
