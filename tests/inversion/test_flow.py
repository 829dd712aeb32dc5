"""Flows between feature maps: their unit, and whether matches find what moved."""

import pytest
import torch

from mien.inversion.flow import Matching, Tracing, correlation, warp


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


def test_correlation_compares_with_what_lies_around():
    """A place and its like two to the right and one down, whatever the channels; nothing beyond the edges."""
    here, there = torch.zeros(1, 4, 6, 7), torch.zeros(1, 4, 6, 7)
    here[0, :, 2, 3] = torch.tensor([1.0, 2, 0, -1])
    there[0, :, 3, 5] = torch.tensor([1.0, 2, 0, -1])
    alike = correlation(here, there, 2)
    assert alike.shape == (1, 25, 6, 7) and alike.count_nonzero() == 1
    assert float(alike[0, 5 * 3 + 4, 2, 3]) == pytest.approx(6 / 4)
    corner = correlation(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 4, 4), 1)[0, :, 0, 0]
    assert corner.tolist() == [0, 0, 0, 0, 1, 1, 0, 1, 1]


def test_tracing_begins_at_zero_and_learns_what_a_rough_flow_leaves():
    """Smooth random maps move by six cells to one side or the other and up to two more; the rough flow knows the six,
    which are farther than tracing looks."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Tracing(6, 12)
    noise = torch.Generator().manual_seed(1)

    def example(count: int) -> tuple[torch.Tensor, ...]:
        coarse = torch.randn(count, 6, 12, 12, generator=noise)
        source = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic")
        side = 2.0 * torch.randint(2, (count, 1, 1, 1), generator=noise) - 1
        rough = (side * torch.tensor([6 * 2 / 32, 0]).view(1, 2, 1, 1)).expand(-1, -1, 32, 32)
        wanted = (torch.rand(count, 2, 1, 1, generator=noise) - 0.5) * (4 * 2 / 32)
        wanted = wanted.expand(-1, -1, 32, 32)
        return source, warp(source, rough + wanted), rough, wanted

    def error(count: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
        source, moved, rough, wanted = example(count)
        left = network(source, moved, rough) - wanted
        return left[..., 9:-9, 9:-9].abs().mean(), wanted.abs().mean()

    source, moved, *_ = example(2)
    assert not network(source, moved, torch.full((2, 2, 32, 32), 0.1)).any()
    optimiser = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(120):
        loss, _ = error()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        left, moved_by = error(64)
    assert left < 0.35 * moved_by


def test_one_source_of_many_frames_is_described_once():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Tracing(3, 4)
        for correct in network.corrections:
            correct.write.weight.data.normal_()
    source, moved = torch.randn(1, 3, 16, 16), torch.randn(3, 3, 16, 16)
    flow, seen = 0.1 * torch.randn(3, 2, 16, 16), []
    network.read.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    with torch.no_grad():
        shared = network(source.expand(3, -1, -1, -1), moved, flow)
        assert seen == [3, 1]
        torch.testing.assert_close(shared, network(source.repeat(3, 1, 1, 1), moved, flow), rtol=1e-4, atol=1e-5)
