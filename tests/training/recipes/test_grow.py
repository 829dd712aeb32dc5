"""The recipe of twice the resolution: it runs, continues exactly, learns, and goes into a bundle with the rest."""

import json
from pathlib import Path

import pytest
import torch

from mien.apps.cli import main
from mien.checkpoints import load_bundle
from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.face3d.motion import Q_LIMIT
from mien.inversion import seeing_finer
from mien.training.parts import load_directions, load_discriminator, load_encoder, load_feature, load_generator
from mien.training.recipes import feature, flow, grow
from mien.training.recipes.feature import FeatureRecipe
from mien.training.recipes.grow import GrowRecipe
from mien.training.refining import Lessons


@pytest.fixture
def recipe(data_pack, toy_heads, trained, run_config):
    """A function that makes a recipe on the toy heads, shown at 64 pixels; the smaller system has 32."""
    common = {"data": toy_heads, "encoder": trained["generator"], "batch": 4}
    refining = FeatureRecipe(**trained, **common, photographs=0.0, layer=16, width=8, lr=1e-2)
    refined = feature.train(refining, run_config("feature", 2)).config.out

    def make(**changes) -> GrowRecipe:
        sizes = {"photographs": 0.0, "window": 32, "critic_base": 128, "channel_min": None, "warm_up": 0}
        return GrowRecipe(generator=trained["generator"], **{"feature": refined, **common, **sizes, **changes})

    return make


def curve(run, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (run.config.out / "metrics.jsonl").read_text().splitlines()]


def test_it_continues_exactly_and_keeps_what_lies_in_front(recipe, run_config, same_weights, trained):
    changes = {"r1_every": 2, "warm_up": 1}
    whole = grow.train(recipe(**changes), run_config("whole", 4, sample_every=3))
    grow.train(recipe(**changes), run_config("parts", 2))
    same_weights(whole, grow.train(recipe(**changes), run_config("parts", 4)))
    before, after = load_generator(trained["generator"]), load_generator(whole.config.out)
    assert after.config.resolution == 2 * before.config.resolution
    old, new = before.state_dict(), after.state_dict()
    changed = {name.split(".")[1] for name in old if name.startswith("convs") and not torch.equal(old[name], new[name])}
    assert changed == {"5", "6"}, "layers behind the map of 16 pixels"
    rows = load_encoder(trained["generator"]).state_dict()["offsets.weight"]
    assert torch.equal(load_encoder(whole.config.out).state_dict()["offsets.weight"][: len(rows)], rows)
    assert (whole.config.out / "samples" / "grown_0000003.png").is_file()
    assert "r1" in (whole.config.out / "metrics.jsonl").read_text()


def test_the_discriminator_learns_alone_at_first(recipe, run_config):
    config = recipe(warm_up=2)
    run = grow.train(config, run_config("warm", 2))
    parts = torch.load(run.checkpoint, weights_only=True)["parts"]["networks"]
    small = load_generator(config.generator).state_dict()
    assert all(torch.equal(parts[f"generator.{name}"], small[name]) for name in small)
    assert load_discriminator(run.config.out).config.resolution == 32
    later = grow.train(config, run_config("warm", 4))
    assert not torch.equal(load_generator(later.config.out).convs[-1].weight, parts["generator.convs.8.weight"])


def test_it_goes_on_from_what_was_grown_and_follows_a_flow(recipe, run_config, same_weights, trained, toy_heads):
    """Generator and discriminator begin as another run ended, refinement as `flow` left it."""
    config = recipe()
    grown = grow.train(config, run_config("grown", 2)).config.out
    still = recipe(start=grown, warm_up=9)  # the generator does not learn before step 9
    begun = grow.train(still, run_config("begun", 1, seed=5)).config.out
    for load in (load_generator, load_feature):
        old, new = (load(folder).state_dict() for folder in (grown, begun))
        assert all(torch.equal(old[name], new[name]) for name in old)
    critics = (load_discriminator(folder).logit.weight for folder in (grown, begun))
    assert 0 < (next(critics) - next(critics)).abs().max() < 3e-3, "one step farther"
    matched = FeatureRecipe(
        **trained, data=toy_heads, encoder=trained["generator"], batch=4, photographs=0.0, layer=16, width=8, matching=8
    )
    refined = feature.train(matched, run_config("matched", 1)).config.out
    sharper = recipe(feature=refined)
    grown = grow.train(sharper, run_config("sharper", 1)).config.out
    data = {"generator": grown, "encoder": grown, "feature": grown, "data": toy_heads, "batch": 4, "picture": 32}
    carried = flow.train(flow.FlowRecipe(**data, tracing=8), run_config("flow", 1)).config.out
    begin = load_feature(carried)
    for is_fixed in (True, False):
        further = recipe(feature=refined, start=grown, carried=carried, is_flow_fixed=is_fixed, photographs=0.5)
        whole = grow.train(further, run_config(f"further {is_fixed}", 3))
        grow.train(further, run_config(f"parts {is_fixed}", 1))
        same_weights(whole, grow.train(further, run_config(f"parts {is_fixed}", 3)))
        end = load_feature(whole.config.out)
        assert end.config == begin.config and end.config.tracing == 8
        for part in ("matching", "tracing"):
            old, new = (getattr(one.transformer, part).state_dict() for one in (begin, end))
            assert all(torch.equal(old[name], new[name]) for name in old) == is_fixed, part
        assert not torch.equal(begin.transformer.openness, end.transformer.openness)


def test_it_does_not_go_on_from_other_sizes(recipe, run_config):
    grown = grow.train(recipe(), run_config("grown", 1)).config.out
    smaller = recipe().feature  # refines one map, and compares pictures of half the side
    for changes, words in (
        ({"critic_base": 64, "start": grown}, "other sizes"),
        ({"start": grown, "carried": smaller}, "other sizes"),
        ({"carried": grown}, "needs --start"),
    ):
        with pytest.raises(TrainingError, match=words):
            grow.train(recipe(**changes), run_config("wrong", 1))


def test_the_losses_fall(recipe, run_config):
    calm = grow.GROWTH_WEIGHTS | {"moved_pixel": 8.0, "kept": 1.0, "fool": 0.1}
    run = grow.train(recipe(batch=8, lr=1e-2, feature_lr=1e-2, weights=calm), run_config("falls", 24))
    for name in ("pixel", "moved_pixel"):
        values = curve(run, name)
        assert sum(values[-5:]) < 0.95 * sum(values[:5]), name


@pytest.mark.usefixtures("data_pack")
@pytest.mark.parametrize("judges", [(), ("tracker",), ("tracker", "identity")])
def test_portraits_that_move_are_held_to_what_they_were_and_read(recipe, run_config, same_weights, trained, judges):
    changes = {"photographs": 0.5} | {name: trained[name] for name in judges}
    whole = grow.train(recipe(**changes), run_config("whole", 3))
    grow.train(recipe(**changes), run_config("parts", 1))
    same_weights(whole, grow.train(recipe(**changes), run_config("parts", 3)))
    lines = (whole.config.out / "metrics.jsonl").read_text()
    read, known = ("cross_shape", "cross_eye", "cross_mouth", "cross_expression"), ("cross_id", "moved_id")
    assert "cross_fool" in lines
    assert all((name in lines) == ("tracker" in judges) for name in read)
    assert all((name in lines) == ("identity" in judges) for name in known)


@pytest.mark.usefixtures("data_pack")
def test_what_net3d_misses_teaches_the_transformer(recipe, run_config, trained):
    """Of all losses that one alone: pictures that move change, and Δf itself does not."""
    alone = dict.fromkeys(grow.GROWTH_WEIGHTS, 0.0)
    config = recipe(photographs=0.5, tracker=trained["tracker"], weights=alone | {"cross_expression": 20.0})
    made = load_feature(grow.train(config, run_config("alone", 3)).config.out)
    start = seeing_finer(load_feature(config.feature), made.config.fine)
    before, after = start.encoder.state_dict(), made.encoder.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items() if "_fine" not in name)
    assert not torch.equal(made.transformer.write.weight, start.transformer.write.weight)


@pytest.mark.parametrize(("name", "photographs", "is_drawn_anew"), [("cross_id", 0.5, False), ("moved_id", 0.0, True)])
@pytest.mark.usefixtures("data_pack")
def test_likeness_teaches_what_moves(recipe, run_config, trained, name, photographs, is_drawn_anew):
    """Alone: the generator learns from pairs, which have a true frame, and not from portraits; E_F from neither."""
    judges = {"tracker": trained["tracker"], "identity": trained["identity"]}
    alone = dict.fromkeys(grow.GROWTH_WEIGHTS, 0.0) | {name: 30.0}
    config = recipe(photographs=photographs, weights=alone, **judges)
    out = grow.train(config, run_config("alone", 3)).config.out
    made = load_feature(out)
    start = seeing_finer(load_feature(config.feature), made.config.fine)
    before, after = start.encoder.state_dict(), made.encoder.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items() if "_fine" not in key)
    assert not torch.equal(made.transformer.write.weight, start.transformer.write.weight)
    old, new = (load_generator(folder).convs[6].weight for folder in (config.generator, out))
    assert torch.equal(old, new) != is_drawn_anew


@pytest.mark.parametrize(("share", "glances"), [(0.0, 0.0), (0.5, 0.3), (1.0, 0.0), (0.0, 1.0)])
def test_shares_of_the_portraits_close_their_eyes_or_look_anywhere(share, glances):
    motion = arkit_motion_space()
    q = torch.randn(200, len(motion), generator=torch.Generator().manual_seed(0))
    none = torch.zeros(0, len(motion))
    lessons = Lessons(q, q, q, none, none, none, q)
    after = grow.with_busy_eyes(lessons, motion, share, glances, torch.Generator().manual_seed(1)).q_cross
    lids = [motion.index("blink_left"), motion.index("blink_right")]
    gaze = [motion.index("gaze_x"), motion.index("gaze_y")]
    others = [i for i in range(len(motion)) if i not in lids + gaze]
    assert torch.equal(after[:, others], q[:, others]) and torch.equal(lessons.q_cross, q)
    closed = (after[:, lids] == Q_LIMIT).all(1)
    assert torch.equal(after[~closed][:, lids], q[~closed][:, lids])
    assert abs(float(closed.float().mean()) - share) < 0.1
    looking = (after[:, gaze] != q[:, gaze]).all(1)
    assert not (looking & closed).any() and abs(float(looking.float().mean()) - glances) < 0.1
    if glances:
        directions = after[looking][:, gaze]
        assert directions.abs().max() <= Q_LIMIT and (directions.std(0) - Q_LIMIT / 3**0.5).abs().max() < 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 128}, "do not fit into pictures of 64"),
        ({"channel_min": 512}, "cannot grow as asked for"),
        ({"photographs": 1.0}, "no pairs"),
        ({"lids": 0.8}, "together at most 1"),
        ({"weights": {"pixel": 1.0}}, "expected pixel, moved_pixel"),
        ({"identity": Path("nowhere")}, "--identity needs --tracker"),
    ],
)
def test_settings_that_make_no_sense_are_refused(recipe, run_config, changes, message):
    with pytest.raises(TrainingError, match=message):
        grow.train(recipe(**changes), run_config("refused", 1))
    assert not (run_config("refused", 1).out).exists()


def test_from_the_command_line_into_a_bundle(recipe, trained, tmp_path):
    given = recipe()
    words = [
        w for name in ("generator", "encoder", "feature", "data") for w in (f"--{name}", str(getattr(given, name)))
    ]
    out = tmp_path / "grown"
    words += ["--out", str(out), "--steps", "1", "--device", "cpu", "--precision", "32-true"]
    assert main(["train", "grow", "--preset", "tiny", *words]) == 0
    parts = ["--generator", str(out), "--feature", str(out), "--tracker", str(trained["tracker"])]
    assert main(["bundle", str(tmp_path / "bundle"), *parts]) == 0
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.generator.config.resolution == 64
    assert bundle.feature is not None and bundle.feature.config.picture == 64 == 2 * bundle.feature.config.fold * 16
    assert bundle.feature.config == load_feature(out).config
    assert load_directions(out).config == load_directions(trained["generator"]).config
