"""Feature refinement: which map, no change at rest, Δf that follows the features, and the copy that does not."""

import pytest
import torch
from torch.nn import functional as F

from mien.inversion import FeatureConfig, FeatureRefiner, copying, feature_config, filling, following, seeing_finer
from mien.inversion.feature import Field
from mien.stylegan2 import Generator, GeneratorConfig, Trace

SIZES = GeneratorConfig(resolution=32, latent_dim=8, style_dim=8, channel_base=256, channel_max=12, mapping_layers=1)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(SIZES).requires_grad_(False).eval()


@pytest.fixture(params=["carries", "fills", "follows"])
def refiner(request) -> FeatureRefiner:
    """Networks that do something: the last layers, which begin at zero, are filled."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        made = FeatureRefiner(feature_config(SIZES, 16, width=8, matching=8))
        made = {"carries": lambda x: x, "fills": filling, "follows": lambda x: following(filling(x), 8, 0.0)}[
            request.param
        ](made).requires_grad_(False)
        for correct in made.transformer.tracing.corrections if made.config.tracing else ():
            correct.write.weight.normal_()
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


@pytest.mark.parametrize("fine", [None, 12])
def test_a_refiner_that_sees_finer_starts_as_before(generator, refiner, fine):
    """Once and twice; and what it sees anew reaches Δf once its weights differ within a square."""
    once = seeing_finer(refiner, fine)
    twice = seeing_finer(once)
    assert (once.config.picture, once.config.fold, twice.config.fold) == (64, 2, 4)
    assert twice.config.fine == once.config.fine == fine
    pictures = [torch.rand(2, 3, 128, 128, generator=draws(i)) for i in (1, 2)]
    f, moved = (torch.randn(2, 12, 16, 16, generator=draws(i)) for i in (3, 4))
    with torch.no_grad():
        before = refiner.encoder(*pictures)
        carried = refiner.transformer(before, f, moved)
        for finer in (once, twice):
            delta = finer.encoder(*pictures)
            assert delta.shape[1] == finer.config.num_added == 12 + 4 * (fine or 0)
            torch.testing.assert_close(delta[:, :12], before, rtol=1e-4, atol=1e-4)
            after = finer.transformer(delta, f, moved)
            torch.testing.assert_close(after[:, :12], carried, rtol=1e-3, atol=1e-3)
            assert not delta[:, 12:].any() and not after[:, 12:].any()
        once.encoder.read.weight.normal_()
        coarse = [F.avg_pool2d(p, 4).repeat_interleave(4, 2).repeat_interleave(4, 3) for p in pictures]
        assert (once.encoder(*pictures) - once.encoder(*coarse)).abs().max() > 0.1


def test_the_finer_map_is_added_where_it_belongs_and_moves_with_the_same_flow(generator, refiner):
    """A dot in a cell of the map of twice the side: at rest it stays there, and a flow of one cell carries it along."""
    finer = seeing_finer(refiner, SIZES.channels(32))
    code = torch.randn(1, 8, 8, generator=draws())
    names = (finer.config.layer, finer.config.fine_layer)
    plain = Trace(read=names)
    generator.synthesis(code, trace=plain)
    dot = torch.zeros(1, 8, 32, 32)
    dot[0, 5, 9, 10] = 3.0
    delta = torch.cat([torch.zeros(1, 12, 16, 16), F.pixel_unshuffle(dot, 2)], 1)
    trace = finer.at_rest(delta)
    trace.read = names
    generator.synthesis(code, trace=trace)
    assert torch.equal(trace.features[names[0]], plain.features[names[0]])
    torch.testing.assert_close(trace.features[names[1]] - plain.features[names[1]], dot, rtol=0, atol=1e-5)
    transformer, flow = finer.transformer, torch.zeros(1, 2, 16, 16)
    flow[:, 0] = 2 / 32  # half a cell of 16 to the right is one of 32
    factors = torch.tensor([1.0, 1.5]).view(1, 2, 1, 1).expand(-1, -1, 16, 16)
    field = Field(flow, factors, torch.zeros(1, 1, 16, 16), torch.zeros(1, 12, 16, 16))
    transformer.field = lambda *_: field
    moved = transformer(delta, plain.features[names[0]], plain.features[names[0]])
    assert not moved[:, :12].any()
    torch.testing.assert_close(F.pixel_shuffle(moved[:, 12:], 2), 1.5 * dot.roll(-1, 3), rtol=0, atol=1e-5)


def test_the_finer_map_has_a_factor_of_its_own(generator, refiner):
    """Fields that were known keep their meaning; the new factor begins at one."""
    finer = seeing_finer(refiner, 12).transformer
    old = refiner.transformer
    assert (old.num_factors, finer.num_factors, finer.num_fields) == (1, 2, old.num_fields + 1)
    delta, f, moved = (torch.randn(1, 12, 16, 16, generator=draws(i)) for i in range(3))
    with torch.no_grad():
        known, now = old.field(delta, f, moved), finer.field(torch.cat([delta] * 5, 1), f, moved)
    for name in ("flow", "share", "added"):
        torch.testing.assert_close(getattr(now, name), getattr(known, name))
    torch.testing.assert_close(now.factors[:, :1], known.factors)
    assert torch.equal(now.factors[:, 1:], torch.ones(1, 1, 16, 16))


@pytest.mark.parametrize("fold", [0, 3, 8])
def test_squares_that_do_not_fit(fold):
    with pytest.raises(ValueError, match="in squares of"):
        FeatureConfig(picture=64, resolution=16, fold=fold)


def test_a_finer_map_needs_pictures_as_fine():
    FeatureConfig(picture=64, resolution=16, fold=2, fine=8)
    with pytest.raises(ValueError, match="as many squares"):
        FeatureConfig(picture=64, resolution=16, fold=4, fine=8)


@pytest.mark.parametrize("refiner", ["carries", "fills"], indirect=True)
def test_a_refiner_that_follows_starts_as_before(refiner):
    before, after = refiner.transformer, following(refiner, 8).transformer
    delta, f, moved = (torch.randn(2, 12, 16, 16, generator=draws(i)) for i in range(3))
    with torch.no_grad():
        old, new = before.field(delta, f, moved), after.field(delta, f, moved)
        for name in ("flow", "factors", "added"):
            torch.testing.assert_close(getattr(new, name), getattr(old, name), rtol=1e-5, atol=1e-5)
        assert old.share.shape[1] == 0
        torch.testing.assert_close(new.share, torch.full((2, 1, 16, 16), 1 / (1 + torch.e**5)), rtol=1e-4, atol=0)
        was, now = before(delta, f, moved), after(delta, f, moved)
    assert (was - now).abs().max() < 0.01 * was.abs().max()


def test_what_is_open_shows_the_carried_map_in_the_place_of_the_moved_one(generator):
    """With a flow known to lead one cell to the right: all of the carried map, half of it, and the moved one alone."""
    made = following(FeatureRefiner(feature_config(SIZES, 16, width=8, matching=8)), 8).requires_grad_(False)
    f, moved, none = torch.randn(1, 12, 16, 16), torch.randn(1, 12, 16, 16), torch.zeros(1, 12, 16, 16)
    rest, flow = made.transformer.rest(none, f), torch.zeros(1, 2, 16, 16)
    flow[:, 0] = 2 / 16
    carried = torch.cat([f[..., 1:], torch.zeros(1, 12, 16, 1)], -1)
    known = made.transformer.field(none, f, moved, rest)
    for share in (0.0, 0.5, 1.0):
        field = known._replace(flow=flow, share=torch.full((1, 1, 16, 16), share))
        made.transformer.field = lambda *_, field=field: field  # type: ignore[method-assign]
        torch.testing.assert_close(
            moved + made.transformer(none, f, moved, rest), share * carried + (1 - share) * moved, rtol=1e-4, atol=1e-4
        )


def test_the_flow_of_maps_alone_is_none_at_rest_and_needs_its_parts(refiner):
    transformer = refiner.transformer
    f, moved = torch.randn(2, 12, 16, 16, generator=draws()), torch.randn(2, 12, 16, 16, generator=draws(1))
    if not refiner.config.tracing:
        with pytest.raises(ValueError, match="follows nothing"):
            transformer.flow(f, moved)
        return
    assert transformer.flow(f, f).abs().max() < 1e-5
    transformer.write.weight.zero_()
    whole = transformer.field(torch.randn(2, 12, 16, 16, generator=draws(2)), f, moved).flow
    torch.testing.assert_close(transformer.flow(f, moved), whole, rtol=1e-4, atol=1e-5)
