"""What each scheme asks of A, with a generator, judges and pictures whose answers are known."""

from types import SimpleNamespace

import pytest
import torch

from mien.data.pairs import PairBatch
from mien.face3d import FaceParams, arkit_motion_space
from mien.face3d.motion import Q_LIMIT
from mien.inversion import Encoder, EncoderConfig
from mien.methods import DirectionConfig, DirectionMatrix
from mien.stylegan2 import Generator, GeneratorConfig
from mien.training.engine import seeded
from mien.training.schemes import Inverter, Material, Task, draw_task, task_losses, wanted_motion

MOTION = arkit_motion_space()
K = len(MOTION)


class Blind:
    """Judges that read the mean grey of a picture as yaw, and see no face in dark ones."""

    def read(self, images: torch.Tensor) -> FaceParams:
        angles = images.mean((1, 2, 3))[:, None] * torch.tensor([1.0, 0.0, 0.0])
        fields = {"angles": angles, "valid": images.amax((1, 2, 3)) > -0.99}
        return FaceParams(**{**vars(FaceParams.invalid(len(images))), **fields})

    def geometry(self, result, wanted):
        return {"shape": (self.read(result).angles - wanted.angles).abs().mean()}

    def likeness(self, result, picture):
        return {"id": (result - picture).square().mean()}


class Numbered:
    """Portraits whose grey says which one they are."""

    def __len__(self) -> int:
        return 5

    def pictures(self, index: torch.Tensor) -> torch.Tensor:
        return (index / 10)[:, None, None, None].expand(-1, 3, 16, 16).clone()


class Couples:
    """Two frames, grey .1 and .3, of coordinates −1 and 1."""

    def __len__(self) -> int:
        return 3

    def draw(self, scenes: torch.Tensor, generator: torch.Generator) -> PairBatch:
        first = torch.full((len(scenes), 3, 16, 16), 0.1)
        q = torch.ones(len(scenes), K)
        weight = torch.ones(len(scenes), 1, 16, 16)
        return PairBatch(first, first + 0.2, weight, -q, q, scenes, weight)


@pytest.fixture
def matrix() -> DirectionMatrix:
    return seeded(0, lambda: DirectionMatrix(DirectionConfig(coordinates=K, rows=3, dim=8)))


@pytest.fixture
def material() -> Material:
    sizes = {"resolution": 16, "channel_base": 64, "channel_max": 8, "style_dim": 8}
    generator = seeded(1, lambda: Generator(GeneratorConfig(latent_dim=8, mapping_layers=1, **sizes)))
    encoder = EncoderConfig(resolution=16, channel_base=64, channel_max=8, hidden=8, num_rows=6, style_dim=8)
    inverter = Inverter(seeded(2, lambda: Encoder(encoder)).requires_grad_(False))
    generator.requires_grad_(False).w_mean.fill_(0.5)
    return Material(
        generator=generator, judges=Blind(), motion=MOTION, inverter=inverter, portraits=Numbered(), pairs=Couples()
    )


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def is_portrait(pictures: torch.Tensor) -> list[bool]:
    return (pictures.flatten(1).std(1) == 0).tolist()


@pytest.mark.parametrize(("scheme", "num_real"), [("synthetic", 0), ("mixed", 4), ("real", 8)])
def test_sources_are_samples_or_portraits(material, matrix, scheme, num_real):
    task = draw_task(scheme, material, matrix, 8, 0, draws())
    assert sum(is_portrait(task.source)) == num_real and not any(is_portrait(task.target))
    assert task.likeness is task.source and not task.is_paired
    codes = material.inverter.encoder(task.source)
    for row, is_real in enumerate(is_portrait(task.source)):
        assert torch.allclose(task.code[row], codes[row], atol=1e-6) == is_real


def test_both_kinds_of_a_mixed_batch_move_along_one_coordinate(material, matrix):
    single = [0, 0]
    for seed in range(20):
        task = draw_task("mixed", material, matrix, 8, 0, draws(seed))
        moves_one = ((task.q_target - task.q_source)[:, 1:].abs() > 1e-5).any(1)  # only yaw is ever read in a target
        for is_real, one in zip(is_portrait(task.source), moves_one.tolist(), strict=True):
            single[is_real] += one
    assert min(single) > 20


def test_half_the_batch_moves_one_coordinate():
    source, target = torch.zeros(8, 5), torch.ones(8, 5)
    wanted = wanted_motion(source, target, 0.5, draws())
    assert ((wanted[:4] != 0).sum(1) == 1).all() and torch.equal(wanted[4:], target[4:])
    assert torch.equal(wanted_motion(source, target, 0.0, draws()), target), "the released code's other branch"


def test_targets_of_samples_stay_in_the_working_range(material, matrix):
    wide = MOTION.with_ranges(MOTION.ranges * 1e-3)
    bright = SimpleNamespace(**{**vars(material), "motion": wide})
    task = draw_task("synthetic", Material(**vars(bright)), matrix, 8, 0, draws())
    assert float(task.q_source.abs().max()) > Q_LIMIT >= float(task.q_target[4:].abs().max())


def test_pairs_ask_for_the_other_frame_in_full(material, matrix):
    task = draw_task("paired", material, matrix, 6, 0, draws())
    assert task.is_paired and torch.equal(task.likeness, task.target)
    assert (task.q_target - task.q_source == 2).all(), "no single coordinate in pairs"
    losses = task_losses(material.judges, MOTION, task, task.source)
    assert float(losses["pixel"]) == pytest.approx(0.2) and float(losses["id"]) == pytest.approx(0.04, rel=1e-4)


def test_only_pairs_have_a_true_answer(material, matrix):
    task = draw_task("synthetic", material, matrix, 4, 0, draws())
    losses = task_losses(material.judges, MOTION, task, task.source)
    assert "pixel" not in losses and float(losses["id"]) == 0
    wanted = MOTION.decode(task.q_target)[0]
    expected = (material.judges.read(task.source).angles - wanted).abs().mean()
    assert float(losses["shape"]) == pytest.approx(float(expected))


def test_truncation_shows_in_the_pictures_of_samples_not_in_their_codes(material):
    plain, cut = (
        Material(**{**vars(material), "truncation": psi}).samples(3, 1.0, draws()) for psi in (1.0, 0.5)
    )  # fmt: skip
    assert torch.equal(plain.codes, cut.codes)
    shown = material.generator.synthesis(material.generator.truncate(plain.codes, 0.5), noise="none")
    torch.testing.assert_close(cut.images, shown)
    half = material.samples(3, 0.5, draws()).codes
    torch.testing.assert_close(half, 0.5 + (plain.codes - 0.5) * 0.5)


def test_samples_without_a_face_are_left_out():
    pictures = torch.zeros(4, 3, 8, 8)
    numbers = torch.arange(4.0)[:, None].expand(4, K)
    task = Task(pictures, pictures, torch.zeros(4, 6, 8), numbers, numbers)
    kept = task.where(torch.tensor([True, False, True, False]))
    assert kept.q_source[:, 0].tolist() == [0, 2] and len(kept.source) == len(kept.code) == 2
    assert task.where(torch.zeros(4, dtype=torch.bool)) is task, "every process must take the step"


def test_a_pose_free_code_gets_its_pose_from_the_matrix_that_trains_or_a_fixed_one(material, matrix):
    config = EncoderConfig(**{**vars(material.inverter.encoder.config), "pose_free": True})
    encoder = seeded(2, lambda: Encoder(config)).requires_grad_(False)
    images, q = torch.rand(2, 3, 16, 16), torch.randn(2, K)
    fixed = seeded(5, lambda: DirectionMatrix(matrix.config)).requires_grad_(False)
    torch.testing.assert_close(Inverter(encoder).codes(images, q, matrix), matrix.shift(encoder(images), q))
    torch.testing.assert_close(Inverter(encoder, fixed).codes(images, q, matrix), fixed.shift(encoder(images), q))
    Inverter(encoder).codes(images, q, matrix).sum().backward()
    assert matrix.linear.weight.grad is not None
