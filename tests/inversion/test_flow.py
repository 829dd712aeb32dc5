"""Flows between feature maps: their unit, and whether matches find what moved."""

import pytest
import torch

from mien.inversion.flow import Matching, warp


def test_a_flow_in_half_sides_carries_a_map():
    picture = torch.zeros(1, 1, 8, 8)
    picture[0, 0, 3, 5] = 1
    flow = torch.zeros(1, 2, 8, 8)
    torch.testing.assert_close(warp(picture, flow), picture)
    flow[:, 0] = 2 / 8  # each place takes what lies one sample to the right
    moved = warp(picture, flow)
    assert float(moved[0, 0, 3, 4]) == pytest.approx(1) and float(moved.sum()) == pytest.approx(1)


def test_matching_finds_what_moved_far():
    """A map of one bright place each; where it has moved to, the flow leads back."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Matching(32, 1, 8)
    network.sharpness.data.fill_(3.0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    noise = torch.Generator().manual_seed(1)
    axis = torch.arange(32.0)

    def bump(at: torch.Tensor) -> torch.Tensor:
        along = torch.exp(-((axis - at[:, :, None]) ** 2) / 8)
        return 3 * along[:, 1, :, None] * along[:, 0, None, :]

    def example(count: int) -> tuple[torch.Tensor, ...]:
        first, second = 6 + 20 * torch.rand(2, count, 2, generator=noise)
        return bump(first)[:, None], bump(second)[:, None], second.round().long(), (first - second) / 16

    def error() -> tuple[float, float]:
        source, moved, at, wanted = example(64)
        got = network(source, moved)[torch.arange(64), :, at[:, 1], at[:, 0]]
        return float((got - wanted).abs().mean()), float(wanted.abs().mean())

    for _ in range(150):
        source, moved, at, wanted = example(16)
        got = network(source, moved)[torch.arange(16), :, at[:, 1], at[:, 0]]
        loss = (got - wanted).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        off, moved_by = error()
    assert off < 0.35 * moved_by
