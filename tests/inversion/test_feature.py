"""Feature refinement: which map, no change at rest, Δf that follows the features, and the copy that does not."""

import pytest
import torch

from mien.inversion import FeatureConfig, FeatureRefiner, copying, feature_config, filling
from mien.inversion.feature import warp
from mien.stylegan2 import Generator, GeneratorConfig, Trace

SIZES = GeneratorConfig(resolution=32, latent_dim=8, style_dim=8, channel_base=256, channel_max=12, mapping_layers=1)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(SIZES).requires_grad_(False).eval()


@pytest.fixture(params=[False, True], ids=["carries", "fills"])
def refiner(request) -> FeatureRefiner:
    """Networks that do something: the last layers, which begin at zero, are filled."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = FeatureRefiner(feature_config(SIZES, 16, width=8, matching=8))
        made = (filling(made) if request.param else made).requires_grad_(False)
        made.encoder.write.weight.normal_()
        made.transformer.write.weight.normal_()
    return made


@pytest.mark.parametrize("resolution", [8, 16, 32])
def test_the_map_is_the_last_of_its_side(generator, resolution):
    config = feature_config(SIZES, resolution)
    trace = Trace(read=tuple(f"conv{i}" for i in range(len(generator.convs))))
    generator.synthesis(torch.randn(1, 8, 8, generator=draws()), trace=trace)
    assert trace.features is not None
    sides = [f.shape[-1] for f in trace.features.values()]
    last = f"conv{max(i for i, side in enumerate(sides) if side == resolution)}"
    assert config.layer == last and trace.features[last].shape[1] == config.channels


@pytest.mark.parametrize("changes", [{"resolution": 24}, {"resolution": 4}, {"resolution": 64, "picture": 32}])
def test_maps_that_cannot_be(changes):
    with pytest.raises(ValueError, match=r"side|halved"):
        FeatureConfig(**{"picture": 128, **changes})
    with pytest.raises(ValueError, match="no feature map"):
        feature_config(SIZES, 64)


def test_new_networks_change_nothing(generator):
    new = FeatureRefiner(feature_config(SIZES, 16, width=8))
    picture, code = torch.rand(2, 3, 32, 32, generator=draws()), torch.randn(2, 8, 8, generator=draws())
    trace = new.reading()
    drawn = generator.synthesis(code, trace=trace)
    shift = new.find(picture, drawn, new.kept(trace))
    assert shift.delta.shape == (2, 12, 16, 16) and not shift.delta.any()
    for made in (new.at_rest(shift.delta), new.moving(shift)):
        assert torch.equal(generator.synthesis(code, trace=made), drawn)


def test_a_face_at_rest_keeps_its_shift_and_a_moved_one_does_not(generator, refiner):
    picture, code = torch.rand(3, 3, 32, 32, generator=draws()), torch.randn(3, 8, 8, generator=draws())
    trace = refiner.reading()
    drawn = generator.synthesis(code, trace=trace)
    shift = refiner.find(picture, drawn, refiner.kept(trace))
    still = generator.synthesis(code, trace=refiner.at_rest(shift.delta))
    assert (still - drawn).abs().max() > 1e-2
    torch.testing.assert_close(generator.synthesis(code, trace=refiner.moving(shift)), still, rtol=1e-4, atol=1e-4)
    moved = code + 0.5
    copied = generator.synthesis(moved, trace=copying(refiner).moving(shift))
    torch.testing.assert_close(copied, generator.synthesis(moved, trace=refiner.at_rest(shift.delta)))
    assert (generator.synthesis(moved, trace=refiner.moving(shift)) - copied).abs().max() > 1e-2
    assert refiner.config.copies is None and copying(refiner).config.copies


def test_one_source_serves_many_frames_in_any_batches(generator, refiner, monkeypatch):
    codes = torch.randn(5, 8, 8, generator=draws())
    source = torch.randn(1, 12, 16, 16, generator=draws())
    shift = refiner.find(*torch.rand(2, 1, 3, 32, 32, generator=draws()), source)
    with torch.no_grad():
        together = generator.synthesis(codes, trace=refiner.moving(shift))
        monkeypatch.setattr(Generator, "_samples_at_once", lambda *_: 2)
        parted = generator.synthesis(codes, trace=refiner.moving(shift))
    torch.testing.assert_close(parted, together, rtol=1e-4, atol=1e-4)


def test_a_flow_in_half_sides_carries_a_map():
    picture = torch.zeros(1, 1, 8, 8)
    picture[0, 0, 3, 5] = 1
    flow = torch.zeros(1, 2, 8, 8)
    torch.testing.assert_close(warp(picture, flow), picture)
    flow[:, 0] = 2 / 8  # each place takes what lies one sample to the right
    moved = warp(picture, flow)
    assert float(moved[0, 0, 3, 4]) == pytest.approx(1) and float(moved.sum()) == pytest.approx(1)


@pytest.mark.parametrize("matching", [None, 16])
def test_the_flow_learns_to_follow_features_that_move(matching):
    """Features and their shift move together by two samples; the transformer sees the former and finds the latter."""
    from copy import deepcopy

    config = FeatureConfig(resolution=16, channels=2, picture=16, width=16, matching=matching)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        transformer = FeatureRefiner(config).transformer
    untrained = deepcopy(transformer)
    optimiser = torch.optim.Adam(transformer.parameters(), 5e-3)
    noise = draws(3)

    def example(count: int) -> tuple[torch.Tensor, ...]:
        at = torch.nn.functional.avg_pool2d(torch.randn(count, 4, 34, 34, generator=noise), 3, 1, 1)[..., 8:24, 8:24]
        f, delta = at[:, :2] * 3, at[:, 2:] * 3
        return delta, f, f.roll(2, 3), delta.roll(2, 3)

    def error(network) -> float:
        delta, f, moved, truth = example(32)
        return float((network(delta, f, moved) - truth)[..., 4:12, 4:12].abs().mean())

    for _ in range(60):
        delta, f, moved, truth = example(8)
        loss = (transformer(delta, f, moved) - truth)[..., 4:12, 4:12].abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        assert error(transformer) < 0.75 * error(untrained)


@pytest.mark.parametrize("matching", [None, 8])
def test_a_transformer_that_fills_draws_what_the_source_did_not_show(matching):
    """It begins as the one that does not, keeps faces at rest, and learns what no warped shift can be."""
    config = FeatureConfig(resolution=16, channels=2, picture=16, width=16, matching=matching)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        old = FeatureRefiner(config)
    old.transformer.write.weight.data.normal_(generator=draws())
    new = filling(old)
    f, moved = torch.randn(2, 4, 2, 16, 16, generator=draws(1))
    delta = torch.zeros_like(f)
    shown = torch.randn(4, 2, 16, 16, generator=draws(2))
    assert torch.equal(new.transformer(shown, f, moved), old.transformer(shown, f, moved))
    assert old.config.fills is None and new.config.fills and filling(new).config == new.config
    optimiser = torch.optim.Adam(new.transformer.parameters(), 1e-2)
    errors = []
    for _ in range(60):
        error = (new.transformer(delta, f, moved) - (moved - f)).abs().mean()
        errors.append(error.item())
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    assert not old.transformer(delta, f, moved).any(), "nothing carried is nothing added"
    assert errors[-1] < 0.8 * errors[0]
    torch.testing.assert_close(new.transformer(shown, f, f), shown, rtol=1e-4, atol=1e-5)


def test_gradients_of_a_moved_face_reach_the_transformer_alone(generator, refiner):
    refiner.requires_grad_(True)
    code = torch.randn(2, 8, 8, generator=draws())
    shift = refiner.find(*torch.rand(2, 2, 3, 32, 32, generator=draws()), torch.randn(2, 12, 16, 16))
    loose = type(shift)(
        shift.delta.detach(), shift.source, refiner.transformer.rest(shift.delta.detach(), shift.source)
    )
    generator.synthesis(code, trace=refiner.moving(loose)).square().mean().backward()
    assert all(p.grad is None for p in [*refiner.encoder.parameters(), *generator.parameters()])
    assert all(p.grad is not None and p.grad.any() for p in refiner.transformer.parameters())


def test_matching_finds_what_moved_far():
    """A map of one bright place each; where it has moved to, the flow leads back."""
    from mien.inversion.feature import Matching

    config = FeatureConfig(resolution=32, channels=1, picture=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Matching(config, 8)
    network.sharpness.data.fill_(3.0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    noise = draws(1)
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
