"""A system at twice its resolution: it starts as it was, and only its finest layers and refinement learn."""

from copy import deepcopy
from dataclasses import replace
from typing import cast

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mien.face3d import ShapeModel, arkit_motion_space
from mien.inversion import Encoder, EncoderConfig, FeatureRefiner, feature_config
from mien.methods import DirectionConfig, DirectionMatrix
from mien.perception import IdentityNet
from mien.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from mien.stylegan2.ops import upsample
from mien.tracking.regressor import FaceRegressor
from mien.training import growing
from mien.training.engine import seeded
from mien.training.growing import (
    BELOW_EYES,
    GROWTH_WEIGHTS,
    Grown,
    Redrawing,
    growth_losses,
    look,
    through,
    watched_losses,
    windows,
)
from mien.training.judges import Judges
from mien.training.refining import Inversion, Lessons, refine

SIZES = {"channel_base": 64, "channel_max": 8, "style_dim": 8}
CRITIC = DiscriminatorConfig(resolution=16, channel_base=64, channel_max=8)
COORDINATES = 3


class System:
    """A small system of 16 pixels whose refinement does something, and the same grown to 32."""

    def __init__(self) -> None:
        config = GeneratorConfig(resolution=16, latent_dim=8, mapping_layers=1, **SIZES)
        self.generator = Generator(config).requires_grad_(False).eval()
        self.encoder = Encoder(EncoderConfig(resolution=16, num_rows=config.num_rows, hidden=16, **SIZES))
        self.directions = DirectionMatrix(DirectionConfig(coordinates=COORDINATES, rows=4, dim=8))
        self.feature = FeatureRefiner(feature_config(config, 8, width=8, matching=8)).requires_grad_(False)
        for last in (self.feature.encoder.write, self.feature.transformer.write):
            last.weight.normal_(0, 0.3)
        self.grown = Grown(self.generator, self.encoder, self.directions, self.feature, None, CRITIC)
        inversion = Inversion(self.grown.encoder, self.grown.directions, self.grown.generator)
        self.steady = deepcopy(self.grown.generator)
        self.redrawing = Redrawing(self.generator, inversion, self.grown.feature, self.steady)


@pytest.fixture
def system() -> System:
    return seeded(0, System)


@pytest.fixture
def lessons() -> Lessons:
    """Three sources: two have another frame, the third moves like somebody else."""
    draws = torch.Generator().manual_seed(1)

    def noise(count: int) -> torch.Tensor:
        return torch.rand(count, 3, 32, 32, generator=draws) * 2 - 1

    def q(count: int) -> torch.Tensor:
        return torch.randn(count, COORDINATES, generator=draws)

    even = torch.ones(3, 1, 32, 32)
    return Lessons(noise(3), even, q(3), noise(2), q(2), even[:2], q(1))


def test_it_starts_as_the_smaller_system_magnified(system, lessons):
    with torch.no_grad():
        drawn = system.redrawing.draw(lessons, 2)
    sizes = [len(part) for part in (drawn.still, drawn.moved, drawn.crossed, drawn.plain, drawn.before, drawn.delta)]
    assert sizes == [3, 2, 1, 2, 2, 3]
    assert drawn.moved.shape[-1] == 32 and drawn.before.shape[-1] == 16
    torch.testing.assert_close(drawn.plain, upsample(drawn.before), rtol=1e-4, atol=1e-4)
    assert (drawn.moved - drawn.plain).abs().max() > 0.1, "pairs are refined"


def test_moved_pictures_start_as_before_where_refinement_sees_the_same(system, lessons):
    """Sources without anything finer than before, whose inversion is the small one's: nothing may differ."""
    coarse = replace(lessons, images=F.interpolate(F.avg_pool2d(lessons.images, 2), scale_factor=2, mode="nearest"))
    shrunk = replace(coarse, images=F.avg_pool2d(lessons.images, 2), targets=F.avg_pool2d(lessons.targets, 2))
    before = Inversion(system.encoder, system.directions, system.generator)
    with torch.no_grad():
        drawn, small = system.redrawing.draw(coarse, 2), refine(before, system.feature, shrunk)
    torch.testing.assert_close(drawn.moved, upsample(small.moved), rtol=0, atol=0.1)
    assert (drawn.moved - upsample(drawn.before)).abs().max() > 0.3, "refinement shows in these pictures"


def test_only_what_lies_behind_the_refined_map_learns(system, lessons):
    grown = system.grown
    learning = {id(p) for p in grown.release()}
    names = {n for n, p in grown.generator.named_parameters() if id(p) in learning}
    assert {n.rsplit(".", 1)[0] for n in names if ".affine." not in n} == {f"convs.{i}" for i in (3, 4, 5, 6)} | {
        "rgbs.2",
        "rgbs.3",
    }
    assert {n.split(".affine")[0] for n in names if ".affine." in n} == {"convs.5", "convs.6", "rgbs.3"}
    drawn = system.redrawing.draw(lessons, 1)
    views = look(drawn, lessons, 16, torch.Generator().manual_seed(0))
    losses = growth_losses(drawn, lessons, grown.discriminator.requires_grad_(False), views, 1)
    torch.stack([GROWTH_WEIGHTS[k] * v for k, v in losses.items()]).sum().backward()
    taught = {n for n, p in grown.named_parameters() if p.grad is not None and p.grad.any()}
    assert all(n.startswith(("generator.", "feature.")) for n in taught)
    assert {n.removeprefix("generator.") for n in taught if n.startswith("generator.")} <= names
    assert {n.split(".")[1] for n in taught if n.startswith("feature.")} == {"encoder", "transformer"}


def test_what_has_no_true_answer_teaches_the_transformer_alone(system, lessons):
    grown = system.grown
    grown.release()
    system.redrawing.draw(lessons, 1).crossed.square().sum().backward()
    taught = {n for n, p in grown.named_parameters() if p.grad is not None and p.grad.any()}
    assert taught and all(n.startswith("feature.transformer.") for n in taught)


def test_the_losses_are_set_against_each_other(system, lessons):
    critic = Discriminator(CRITIC)

    def lost(drawn, finest=0.5):
        return growth_losses(drawn, lessons, critic, look(drawn, lessons, 16, torch.Generator().manual_seed(0)), finest)

    with torch.no_grad():
        drawn = system.redrawing.draw(lessons, 1)
        losses = lost(drawn)
        perfect = replace(drawn, still=lessons.images, moved=lessons.targets, plain=lessons.targets[:1])
        best = lost(replace(perfect, crossed=lessons.images[2:]))
        unmoved = lost(replace(drawn, crossed=lessons.images[2:]))
        same = lost(replace(drawn, plain=F.interpolate(drawn.before, scale_factor=2, mode="nearest")))
        blurred = lost(drawn, 0.0)
    judged = {"cross_fool"} | {name for name in GROWTH_WEIGHTS if not name.startswith(("cross_", "moved_id"))}
    assert set(losses) == judged
    assert all(value > 0 for value in losses.values())
    assert float(best["pixel"]) == float(best["moved_pixel"]) == float(best["texture"]) == 0
    for name in ("fool", "cross_fool"):
        assert float(best[name]) == pytest.approx(0.6931, abs=1e-3), "the same pictures are preferred by chance"
    assert float(losses["cross_fool"]) != pytest.approx(0.6931, abs=1e-3)
    assert float(unmoved["cross_fool"]) == pytest.approx(0.6931, abs=1e-3)
    assert float(unmoved["fool"]) == float(losses["fool"]) != pytest.approx(0.6931, abs=1e-3)
    assert float(same["kept"]) == pytest.approx(0, abs=1e-6) and float(losses["kept"]) > 1e-3
    assert blurred["pixel"] < losses["pixel"] and blurred["moved_pixel"] < losses["moved_pixel"]


def test_what_is_not_there_is_not_compared(system, lessons):
    critic, draws = Discriminator(CRITIC), torch.Generator().manual_seed(0)
    with torch.no_grad():
        drawn = system.redrawing.draw(lessons, 1)
        bare = replace(drawn, crossed=drawn.crossed[:0], plain=drawn.plain[:0], before=drawn.before[:0])
        now, few = (growth_losses(one, lessons, critic, look(one, lessons, 16, draws), 0.5) for one in (drawn, bare))
    assert set(now) - set(few) == {"kept", "cross_fool"}
    assert all(value.isfinite() for value in few.values())


def test_photographs_that_moved_are_seen_beside_themselves_below_the_eyes(system, lessons):
    rows = torch.linspace(0, 1, 32).view(1, 1, -1, 1).expand(1, 3, 32, 32)
    with torch.no_grad():
        drawn = replace(system.redrawing.draw(lessons, 1), crossed=rows)
    lessons = replace(lessons, images=torch.cat([lessons.images[:2], rows + 5]))
    draws = torch.Generator().manual_seed(1)
    tops = set()
    for _ in range(20):
        views = look(drawn, lessons, 12, draws)
        assert len(views.true) == len(views.made) == 7, "three at rest, two pairs, one plain, one that moved"
        torch.testing.assert_close(views.true[-1], views.made[-1] + 5)
        tops.add(round(31 * float(views.made[-1, 0, 0, 0])))
    assert min(tops) == round(BELOW_EYES * 32) and max(tops) == 20


class Recogniser(nn.Module):
    """Knows a person by the mean colour alone."""

    def features(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        return [pictures]

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return F.normalize(pictures.mean((2, 3)) + 1e-6)


def test_likeness_is_asked_of_pairs_and_portraits_against_their_own(system, lessons, monkeypatch):
    judges = Judges(cast(FaceRegressor, None), cast(IdentityNet, Recogniser()), cast(ShapeModel, None))
    with torch.no_grad():
        drawn = replace(system.redrawing.draw(lessons, 1), crossed=lessons.images[:0])
        motion = arkit_motion_space()
        perfect = watched_losses(judges, motion, replace(drawn, moved=lessons.targets), lessons)
        swapped = watched_losses(judges, motion, replace(drawn, moved=lessons.targets.flip(0)), lessons)
    assert set(perfect) == {"moved_id"} and float(perfect["moved_id"]) == pytest.approx(0, abs=1e-6)
    assert float(swapped["moved_id"]) > 0.01
    monkeypatch.setattr(growing, "missed_motion", lambda *_: {"shape": torch.zeros(())})
    for source, is_own in ((lessons.images[2:], True), (lessons.images[:1], False)):
        seen = watched_losses(judges, motion, replace(drawn, crossed=source), lessons)
        assert set(seen) == {"cross_shape", "cross_id", "moved_id"}
        assert (float(seen["cross_id"]) < 1e-6) == is_own


def test_windows_lie_inside_and_show_the_same_place():
    places = windows(40, 32, 16, torch.Generator().manual_seed(3))
    tops = [rows.start for rows, _ in places]
    assert min(tops) >= 0 and max(rows.stop for rows, _ in places) <= 32 and len(set(tops)) > 5
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    seen = through(torch.stack([rows, columns, rows]).expand(40, -1, -1, -1), places)
    assert seen.shape == (40, 3, 16, 16)
    for picture, (top, left) in zip(seen, places, strict=True):
        assert (float(picture[0, 0, 0]), float(picture[1, 0, 0])) == (top.start, left.start)
    assert windows(3, 32, 32, torch.Generator()) == [(slice(0, 32), slice(0, 32))] * 3
    assert windows(3, 32, 32, torch.Generator(), below=0.5) == [(slice(0, 32), slice(0, 32))] * 3, "no lower than fits"
