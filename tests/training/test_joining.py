"""What joint training asks, with scenes, judges and networks whose answers are known."""

from types import SimpleNamespace

import pytest
import torch

from mien.data.pairs import PairBatch
from mien.face3d import FaceParams, arkit_motion_space
from mien.inversion import Encoder, EncoderConfig
from mien.methods import DirectionConfig, DirectionMatrix
from mien.stylegan2 import Generator, GeneratorConfig
from mien.training.engine import seeded
from mien.training.joining import JOINT_WEIGHTS, Answers, Jury, Questions, Reenactment, draw_questions

MOTION = arkit_motion_space()
K = len(MOTION)
SIZES = {"channel_base": 64, "channel_max": 8, "style_dim": 8}


class Scenes:
    """Scene n is grey n/10 in its first frame, with q = n, and a little brighter in its second, with q = −n."""

    def __len__(self) -> int:
        return 6

    def draw(self, scenes: torch.Tensor, generator: torch.Generator) -> PairBatch:
        n = scenes[:, None, None, None] / 10
        first, q = n.expand(-1, 3, 16, 16), scenes[:, None].expand(-1, K).float()
        weight = torch.ones(len(scenes), 1, 16, 16)
        return PairBatch(first + 0.01, first, weight, -q, q, scenes, weight)


class Photos:
    """White pictures of angles zero."""

    def draw(self, count, draws):
        params = FaceParams(**{**vars(FaceParams.invalid(count)), "valid": torch.ones(count, dtype=torch.bool)})
        return torch.ones(count, 3, 16, 16), torch.ones(count, 1, 16, 16), params


class Grey:
    """Judges: identity is the mean grey, geometry the distance of mean grey from the wanted yaw."""

    def geometry(self, result, wanted):
        return {name: (result.mean((1, 2, 3)) - wanted.angles[:, 0]).abs().mean() for name in ("shape", "eye", "mouth")}

    def likeness(self, result, picture):
        distance = (result.mean((1, 2, 3)) - picture.mean((1, 2, 3))).abs().mean()
        return {"id": distance, "perceptual": distance}


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def questions(num_photos: int = 0, single: float = 0.0, total: int = 8) -> Questions:
    return draw_questions(Scenes(), Photos(), MOTION, (total, num_photos), single, draws())


def networks(pose_free: bool) -> Reenactment:
    generator = seeded(1, lambda: Generator(GeneratorConfig(resolution=16, latent_dim=8, mapping_layers=1, **SIZES)))
    config = EncoderConfig(resolution=16, hidden=8, num_rows=6, pose_free=pose_free, **SIZES)
    matrix = seeded(2, lambda: DirectionMatrix(DirectionConfig(coordinates=K, rows=3, dim=8)))
    return Reenactment(seeded(3, lambda: Encoder(config)), matrix, generator.requires_grad_(False).eval())


def test_half_have_their_answer_and_half_move_like_others():
    asked = questions()
    assert len(asked.images) == 8 and len(asked.answer) == 4
    torch.testing.assert_close(asked.answer, asked.images[:4] + 0.01)
    assert torch.equal(asked.q_target[:4], -asked.q_source[:4])
    grey = asked.images[:, 0, 0, 0] * 10
    torch.testing.assert_close(asked.q_source[:, 0], grey)
    assert (asked.q_target[4:, 0] >= 0).all() and not torch.equal(asked.q_target[4:], asked.q_source[4:])


def test_photographs_stand_among_those_that_cross_subjects():
    asked = questions(num_photos=3)
    is_photo = asked.images[:, 0, 0, 0] == 1
    assert not is_photo[:4].any() and int(is_photo[4:].sum()) == 3
    zero = MOTION.encode(FaceParams.invalid(1))[0]
    torch.testing.assert_close(asked.q_source[is_photo], zero.expand(3, -1))
    single = questions(single=0.5)
    assert ((single.q_target - single.q_source)[4:6] != 0).sum(1).le(1).all()


def test_processes_share_both_halves():
    asked = questions()
    parts = [asked.part(slice(rank, None, 2)) for rank in (0, 1)]
    assert all(len(part.images) == 4 and len(part.answer) == 2 for part in parts)
    assert torch.equal(parts[1].images, asked.images[[1, 3, 5, 7]])
    assert torch.equal(parts[1].answer, asked.answer[[1, 3]])


@pytest.mark.parametrize("pose_free", [True, False])
def test_answers_are_inverted_moved_and_moved_back(pose_free):
    net, asked = networks(pose_free), questions()
    given = net.answer(asked)
    code = net.encoder(asked.images)
    at_source = net.directions.shift(code, asked.q_source) if pose_free else code
    torch.testing.assert_close(given.inversion, net.draw(at_source))
    change = asked.q_target - asked.q_source
    torch.testing.assert_close(given.moved, net.draw(net.directions.shift(at_source, change)))
    again = net.encoder(given.moved)
    back = net.directions.shift(again, asked.q_source if pose_free else -change)
    torch.testing.assert_close(given.cycled, net.draw(back), rtol=1e-3, atol=1e-3)
    assert net.answer(asked, with_cycle=False).cycled is not given.moved


def test_gradients_reach_encoder_and_directions_and_nothing_else():
    for part in ("inversion", "moved", "cycled"):
        net = networks(True)
        getattr(net.answer(questions()), part).square().mean().backward()
        assert all(p.grad is None for p in net.generator.parameters())
        for network in (net.encoder, net.directions):
            assert all(p.grad is not None for p in network.parameters())
            assert any(p.grad.any() for p in network.parameters())


def test_each_loss_looks_at_what_it_names():
    asked = questions()
    jury = Jury(Grey(), MOTION)
    wp = torch.ones(8, 6, 8)
    perfect = asked.images.clone()
    perfect[:4] = asked.answer
    given = SimpleNamespace(codes=wp, inversion=asked.images, moved=perfect, cycled=asked.images)
    losses = jury.verdict(asked, given, torch.ones(8))
    assert set(losses) == set(JOINT_WEIGHTS) - {"sharp"}
    zero = [name for name, value in losses.items() if float(value) < 1e-6]
    assert set(zero) == set(losses) - {"shape", "eye", "mouth"}
    yaw = MOTION.decode(asked.q_target)[0][:, 0]
    assert float(losses["shape"]) == pytest.approx(float((perfect.mean((1, 2, 3)) - yaw).abs().mean()), rel=1e-4)
    shifted = {"inversion": ("pixel", "perceptual", "id"), "cycled": ("cycle_pixel", "cycle_perceptual", "cycle_id")}
    shifted["moved"] = ("answer_pixel", "answer_perceptual", "answer_id", "cross_id")
    for part, names in shifted.items():
        wrong = SimpleNamespace(**{**vars(given), part: getattr(given, part) + 0.5})
        found = jury.verdict(asked, wrong, torch.ones(8))
        assert {n for n in zero if float(found[n]) > 0.1} == set(names)
    others = SimpleNamespace(**{**vars(given), "moved": torch.cat([perfect[:4], perfect[4:] + 0.5])})
    found = jury.verdict(asked, others, torch.ones(8))
    assert {n for n in zero if float(found[n]) > 0.1} == {"cross_id"}
    uneven = SimpleNamespace(**{**vars(given), "codes": wp * torch.arange(6.0)[:, None]})
    found = jury.verdict(asked, uneven, torch.ones(8))
    assert float(found["rows"]) == pytest.approx(35 / 12) and float(found["centre"]) == pytest.approx(1.5**2)


def test_sharpness_compares_answers_with_true_pictures_and_the_rest_with_the_source():
    asked = questions()
    jury = Jury(Grey(), MOTION, lambda pictures: 40 * pictures.mean((1, 2, 3))[:, None])
    true = torch.cat([asked.answer, asked.images[4:]])
    perfect = Answers(torch.zeros(8, 6, 8), asked.images, true, asked.images)
    assert jury.verdict(asked, perfect, torch.zeros(8))["sharp"].item() == pytest.approx(0.6931, abs=1e-3)
    worse = Answers(perfect.codes, asked.images, torch.cat([asked.answer - 1, asked.images[4:]]), asked.images)
    expected = (12 * 0.6931 + 4 * 40) / 16
    assert jury.verdict(asked, worse, torch.zeros(8))["sharp"].item() == pytest.approx(expected, rel=1e-3)
