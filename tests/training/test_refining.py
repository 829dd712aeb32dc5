"""What feature refinement is asked, and whom each answer teaches."""

from dataclasses import replace

import pytest
import torch

from mien.data.pairs import PairBatch
from mien.face3d import FaceParams, arkit_motion_space
from mien.face3d.params import ARKIT_NAMES
from mien.inversion import Encoder, EncoderConfig, FeatureRefiner, feature_config
from mien.methods import DirectionConfig, DirectionMatrix
from mien.stylegan2 import Generator, GeneratorConfig
from mien.training.engine import seeded
from mien.training.refining import FEATURE_WEIGHTS, Inversion, Refined, RefinementJury, draw_lessons, refine

MOTION = arkit_motion_space()
K = len(MOTION)
PAIRED = {name for name in FEATURE_WEIGHTS if name != "sharp" and not name.startswith("cross_")}
SIZES = {"channel_base": 64, "channel_max": 8, "style_dim": 8}


class Scenes:
    """Scene n: a frame of grey n/10 with q = n, and one that is brighter with q = −n."""

    def __len__(self) -> int:
        return 6

    def draw(self, scenes: torch.Tensor, generator: torch.Generator) -> PairBatch:
        first = (scenes[:, None, None, None] / 10).expand(-1, 3, 16, 16)
        q = scenes[:, None].expand(-1, K).float()
        weight = torch.full((len(scenes), 1, 16, 16), 1.0)
        return PairBatch(first + 0.01, first, weight, -q, q, scenes, 2 * weight)


class Photos:
    def draw(self, count, draws):
        return torch.ones(count, 3, 16, 16), torch.ones(count, 1, 16, 16), FaceParams.invalid(count)


class Grey:
    """Likeness is brightness; what Net3D sees of a face is its brightness, too, in place of the yaw in radians.

    Half of it is the eyes' turn to the side.
    """

    def read(self, result):
        bright = result.mean((1, 2, 3))
        expression = torch.zeros(len(result), len(ARKIT_NAMES))
        for name in ("eyeLookOutLeft", "eyeLookInRight"):
            expression[:, ARKIT_NAMES.index(name)] = bright / 2
        angles = torch.stack([bright, 0 * bright, 0 * bright], 1)
        return replace(FaceParams.invalid(len(result)), angles=angles, expression=expression)

    def likeness(self, result, picture):
        distance = (result.mean((1, 2, 3)) - picture.mean((1, 2, 3))).abs().mean()
        return {"id": distance, "perceptual": distance}

    def geometry_seen(self, seen, wanted):
        distance = (seen.angles[:, 0] - wanted.angles[:, 0]).abs().mean()
        return {"shape": distance, "eye": 2 * distance, "mouth": 3 * distance}


@pytest.fixture
def inversion() -> Inversion:
    generator = seeded(1, lambda: Generator(GeneratorConfig(resolution=16, latent_dim=8, mapping_layers=1, **SIZES)))
    config = EncoderConfig(resolution=16, hidden=8, num_rows=6, pose_free=True, **SIZES)
    matrix = seeded(2, lambda: DirectionMatrix(DirectionConfig(coordinates=K, rows=3, dim=8))).requires_grad_(False)
    encoder = seeded(3, lambda: Encoder(config)).requires_grad_(False)
    return Inversion(encoder, matrix, generator.requires_grad_(False).eval(), 0.8)


@pytest.fixture
def refiner(inversion) -> FeatureRefiner:
    made = seeded(4, lambda: FeatureRefiner(feature_config(inversion.generator.config, 8, 8)))
    for network in (made.encoder, made.transformer):
        seeded(5, lambda network=network: torch.nn.init.normal_(network.write.weight))
    return made


def lessons(num_photos: int = 2, crossing: bool = False):
    draws = torch.Generator().manual_seed(0)
    return draw_lessons(Scenes(), Photos(), MOTION, (6, num_photos), draws, crossing)


def perfect_answers(asked) -> Refined:
    return Refined(torch.zeros(6, 8, 8, 8), asked.images, asked.images, asked.targets, asked.images[:0])


def test_pairs_come_first_and_photographs_have_no_other_frame():
    asked = lessons()
    assert len(asked.images) == 6 and len(asked.targets) == 4 and (asked.images[4:] == 1).all()
    torch.testing.assert_close(asked.targets, asked.images[:4] + 0.01)
    assert torch.equal(asked.q_target, -asked.q_source[:4])
    assert (asked.weight == 1).all() and (asked.target_weight == 2).all() and len(asked.target_weight) == 4
    one, two = (asked.part(slice(rank, None, 2)) for rank in (0, 1))
    assert torch.equal(two.images, asked.images[[1, 3, 5]]) and torch.equal(one.targets, asked.targets[[0, 2]])


def test_photographs_may_move_like_somebody_else_or_along_one_coordinate():
    """Drawing them changes nothing of what else is asked; the first of them move along one coordinate."""
    plain, asked = lessons(4), lessons(4, crossing=True)
    assert len(plain.q_cross) == 0 and torch.equal(plain.q_wanted, plain.q_target)
    assert torch.equal(plain.images, asked.images) and torch.equal(plain.q_target, asked.q_target)
    assert asked.q_cross.shape == (4, K) and torch.equal(asked.q_wanted, torch.cat([asked.q_target, asked.q_cross]))
    changed = (asked.q_cross != asked.q_source[2:]).sum(1)
    assert (changed[:2] == 1).all() and (asked.q_cross[2:] == asked.q_cross[2:, :1]).all()
    assert asked.q_cross.abs().max() <= 6
    one, two = (asked.part(slice(rank, None, 2)) for rank in (0, 1))
    assert torch.equal(one.q_cross, asked.q_cross[::2]) and torch.equal(two.q_cross, asked.q_cross[1::2])


def test_moved_photographs_are_judged_by_what_was_asked(inversion, refiner):
    """By geometry and likeness, under their own names; they are moved as pairs are, and teach the transformer."""
    asked, jury = lessons(2, crossing=True), RefinementJury(Grey(), MOTION)
    made, (_, moved) = refine(inversion, refiner, asked), inversion.codes(asked)
    assert len(made.moved) == 4 and len(made.crossed) == 2 and len(moved) == 6
    again = refine(inversion, refiner, lessons(2))
    torch.testing.assert_close(made.moved, again.moved, rtol=1e-3, atol=1e-3)
    refiner.zero_grad(set_to_none=True)
    made.crossed.square().mean().backward()
    assert all(p.grad is None for p in refiner.encoder.parameters())
    assert any(p.grad is not None and p.grad.any() for p in refiner.transformer.parameters())
    yaw = MOTION.decode(asked.q_cross)[0][:, :1, None, None]
    exact = replace(perfect_answers(asked), crossed=yaw.expand(2, 3, 16, 16))
    losses = jury.verdict(asked, exact)
    assert set(losses) == set(FEATURE_WEIGHTS) - {"sharp"}
    assert [float(losses[f"cross_{n}"]) for n in ("shape", "eye", "mouth")] == pytest.approx([0, 0, 0], abs=1e-5)
    assert float(losses["cross_id"]) == pytest.approx(float((1 - yaw).abs().mean()), rel=1e-4)
    aside = replace(asked, q_cross=MOTION.encode(Grey().read(torch.full((2, 3, 16, 16), 0.6))))
    grey = torch.tensor([0.4, -0.4])[:, None, None, None].expand(2, 3, 16, 16)
    looked = jury.verdict(aside, replace(exact, crossed=grey))
    assert float(looked["cross_expression"]) == pytest.approx((0.1 + 0.5) / 2 / (K - 3), rel=1e-4)
    off = jury.verdict(asked, replace(exact, crossed=exact.crossed + 0.5))
    assert [float(off[f"cross_{n}"]) for n in ("shape", "eye", "mouth")] == pytest.approx([0.5, 1, 1.5], rel=1e-4)


def test_codes_are_inverted_moved_and_truncated(inversion):
    asked = lessons()
    code, moved = inversion.codes(asked)
    found = inversion.directions.shift(inversion.encoder(asked.images), asked.q_source)
    torch.testing.assert_close(code, inversion.generator.truncate(found, 0.8))
    at_target = inversion.directions.shift(inversion.encoder(asked.images[:4]), asked.q_target)
    torch.testing.assert_close(moved, inversion.generator.truncate(at_target, 0.8), rtol=1e-3, atol=1e-4)


def test_each_network_learns_its_own_lesson(inversion, refiner):
    for part, teaches in (("inversion", refiner.encoder), ("moved", refiner.transformer)):
        refiner.zero_grad(set_to_none=True)
        getattr(refine(inversion, refiner, lessons()), part).square().mean().backward()
        others = {*refiner.parameters()} - {*teaches.parameters()}
        assert all(p.grad is not None for p in teaches.parameters()) and any(p.grad.any() for p in teaches.parameters())
        frozen = [
            *inversion.encoder.parameters(),
            *inversion.directions.parameters(),
            *inversion.generator.parameters(),
        ]
        assert all(p.grad is None for p in [*others, *frozen])


def test_sources_are_drawn_without_and_with_their_shift(inversion, refiner):
    asked = lessons()
    made, (code, moved) = refine(inversion, refiner, asked), inversion.codes(asked)
    trace = refiner.reading()
    torch.testing.assert_close(made.plain, inversion.generator.synthesis(code, noise="none", trace=trace))
    shift = refiner.find(asked.images, made.plain, refiner.kept(trace))
    torch.testing.assert_close(made.delta, shift.delta)
    assert (made.inversion - made.plain).abs().max() > 1e-3
    alone = type(shift)(shift.delta[:1], shift.source[:1], shift.rest[:1])
    expected = inversion.generator.synthesis(moved[:1], noise="none", trace=refiner.moving(alone))
    torch.testing.assert_close(made.moved[:1], expected, rtol=1e-3, atol=1e-3)


def test_each_loss_looks_at_what_it_names():
    asked, jury = lessons(), RefinementJury(Grey(), MOTION)
    perfect = perfect_answers(asked)
    assert {n: float(v) for n, v in jury.verdict(asked, perfect).items()} == dict.fromkeys(PAIRED, 0.0)
    for changes, names in (
        ({"delta": perfect.delta + 1}, {"energy"}),
        ({"inversion": asked.images + 0.5}, {"pixel", "perceptual", "id"}),
        ({"moved": asked.targets + 0.5}, {"moved_pixel", "moved_perceptual", "moved_id"}),
    ):
        losses = jury.verdict(asked, Refined(**{**vars(perfect), **changes}))
        assert {name for name, value in losses.items() if float(value) > 0.1} == names
    off = Refined(**{**vars(perfect), "inversion": asked.images + 0.5, "moved": asked.targets + 0.5})
    both = jury.verdict(asked, off)
    assert float(both["moved_pixel"]) == pytest.approx(2 * float(both["pixel"])), "weights of the other frame count"


def brightness(pictures: torch.Tensor) -> torch.Tensor:
    return 40 * pictures.mean((1, 2, 3))[:, None]


def test_sharpness_compares_each_picture_with_its_own_truth():
    asked, jury = lessons(), RefinementJury(Grey(), MOTION, brightness)
    perfect = perfect_answers(asked)
    assert jury.verdict(asked, perfect)["sharp"].item() == pytest.approx(0.6931, abs=1e-3)
    assert asked.images.std() > 0.1, "else a wrong order would not be seen"
    worse = Refined(**{**vars(perfect), "moved": asked.targets - 1})
    assert jury.verdict(asked, worse)["sharp"].item() == pytest.approx((6 * 0.6931 + 4 * 40) / 10, rel=1e-3)


def test_the_finest_level_may_count_less_where_heads_have_moved():
    asked = lessons()
    perfect = perfect_answers(asked)
    off = replace(perfect, inversion=asked.images + 0.5, moved=asked.targets + 0.5)
    whole, less = (RefinementJury(Grey(), MOTION, finest=finest).verdict(asked, off) for finest in (1.0, 0.25))
    assert float(less["pixel"]) == pytest.approx(float(whole["pixel"]))
    assert float(less["moved_pixel"]) == pytest.approx(float(whole["moved_pixel"]) * 2.25 / 3, rel=1e-4)
