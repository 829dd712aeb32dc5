"""Questions to the mask networks, with judges whose answers are known."""

import pytest
import torch

from mien.face3d import FaceParams, arkit_motion_space
from mien.inversion import Encoder, EncoderConfig
from mien.methods import DirectionConfig, DirectionMatrix, MaskNetworks, StyleMaskConfig
from mien.stylegan2 import Generator, GeneratorConfig
from mien.training.engine import seeded
from mien.training.mixing import draw_trio, mixture_losses, mixtures, total
from mien.training.schemes import Inverter, Material

K = len(arkit_motion_space())


class MeanGrey:
    """Judges that read the mean grey of a picture as yaw."""

    def read(self, images: torch.Tensor) -> FaceParams:
        angles = images.mean((1, 2, 3))[:, None] * torch.tensor([1.0, 0.0, 0.0])
        seen = {"angles": angles, "valid": images.mean((1, 2, 3)) > -0.5}
        return FaceParams(**{**vars(FaceParams.invalid(len(images))), **seen})

    def geometry(self, result, wanted):
        return {"shape": (self.read(result).angles - wanted.angles).abs().mean()}

    def likeness(self, result, picture):
        return {"id": (result - picture).square().mean(), "perceptual": result.mean() * torch.nan}


class Greys:
    """Portraits whose grey says which one they are."""

    def __len__(self) -> int:
        return 5

    def pictures(self, index: torch.Tensor) -> torch.Tensor:
        return (index / 10)[:, None, None, None].expand(-1, 3, 16, 16).clone()


@pytest.fixture
def material() -> Material:
    sizes = {"resolution": 16, "channel_base": 64, "channel_max": 8, "style_dim": 8}
    generator = seeded(1, lambda: Generator(GeneratorConfig(latent_dim=8, mapping_layers=1, **sizes)))
    config = EncoderConfig(**sizes, hidden=8, num_rows=6, pose_free=True)
    matrix = DirectionMatrix(DirectionConfig(coordinates=K, rows=6, dim=8)).requires_grad_(False)
    inverter = Inverter(seeded(2, lambda: Encoder(config)).requires_grad_(False), matrix)
    return Material(
        generator=generator.requires_grad_(False),
        judges=MeanGrey(),
        motion=arkit_motion_space(),
        truncation=0.5,
        inverter=inverter,
        portraits=Greys(),
    )


@pytest.fixture
def networks() -> MaskNetworks:
    return seeded(3, lambda: MaskNetworks(StyleMaskConfig(widths=(8, 8))))


SEEDS = torch.arange(6)


@pytest.mark.parametrize("inverted", [0.0, 0.5, 1.0])
def test_a_question_depends_on_its_seed_alone(material, inverted):
    whole, part = (draw_trio(material, seeds, 1.0, inverted) for seeds in (SEEDS, SEEDS[3:5]))
    for role in ("source", "target", "third"):
        torch.testing.assert_close(getattr(whole, role).codes[3:5], getattr(part, role).codes)
        torch.testing.assert_close(getattr(whole, role).images[3:5], getattr(part, role).images)
    assert not torch.equal(whole.source.codes, whole.target.codes)
    flat = torch.cat([getattr(whole, role).images for role in ("source", "target", "third")]).flatten(1).std(1) == 0
    assert {0.0: flat.sum() == 0, 0.5: 3 < flat.sum() < 15, 1.0: flat.all()}[inverted]


def test_pictures_come_with_the_pose_in_their_code(material):
    source = draw_trio(material, SEEDS, 1.0, 1.0).source
    with torch.no_grad():
        expected = material.inverter.directions.shift(material.inverter.encoder(source.images), source.q)
    torch.testing.assert_close(source.codes, expected)
    assert not source.codes.requires_grad


def test_faces_that_are_not_seen_are_left_out(material):
    trio = draw_trio(material, SEEDS, 1.0)
    trio.target.valid.fill_(True), trio.third.valid.fill_(True), trio.source.valid.fill_(True)
    trio.third.valid[2] = False
    seen = trio.seen()
    assert torch.equal(seen.source.codes, trio.source.codes[[0, 1, 3, 4, 5]])
    trio.source.valid.fill_(False)
    assert len(trio.seen().source.codes) == 6


def test_the_cycle_goes_on_from_the_mixture(material, networks):
    trio = draw_trio(material, SEEDS, 1.0)
    first, straight, again = mixtures(networks, material, trio)
    generator = material.generator
    ours, theirs, third = (
        generator.styles(generator.truncate(face.codes, 0.5)) for face in (trio.source, trio.target, trio.third)
    )
    for found, expected in [
        (first, networks.mix(ours, theirs)),
        (straight, networks.mix(ours, third)),
        (again, networks.mix(networks.mix(ours, theirs), third)),
    ]:
        for one, other in zip(found.styles.conv, expected.conv, strict=True):
            torch.testing.assert_close(one, other)
    assert first.wanted is trio.target.q and straight.wanted is again.wanted is trio.third.q
    assert len(mixtures(networks, material, trio, cycle=False)) == 1


def test_gradients_reach_the_networks_and_nothing_else(material, networks):
    trio = draw_trio(material, SEEDS, 1.0, 0.5)
    drawn = [mixture_losses(material, trio, one) for one in mixtures(networks, material, trio)]
    weights = {"shape": 1.0, "eye": 1.0, "mouth": 1.0, "id": 10.0, "perceptual": 0.0}
    loss = total([losses for _, losses in drawn], weights)
    loss.backward()
    assert torch.isfinite(loss), "a loss of weight 0 does not count, whatever it is"
    assert all(weight.grad is not None and bool(weight.grad.any()) for weight in networks.parameters())
    frozen = [*material.generator.parameters(), *material.inverter.encoder.parameters()]
    assert all(weight.grad is None for weight in frozen)


def test_results_are_judged_by_the_source_and_the_wanted_pose(material, networks):
    trio = draw_trio(material, SEEDS, 1.0)
    (mixed,) = mixtures(networks, material, trio, cycle=False)
    result, losses = mixture_losses(material, trio, mixed)
    torch.testing.assert_close(losses["id"], (result - trio.source.images).square().mean())
    wanted, _ = material.motion.decode(trio.target.q.clamp(-6, 6))
    shown = result.mean((1, 2, 3))[:, None] * torch.tensor([1.0, 0.0, 0.0])
    torch.testing.assert_close(losses["shape"], (shown - wanted).abs().mean())
