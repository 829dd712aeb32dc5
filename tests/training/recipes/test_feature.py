"""The recipe of feature refinement: it runs, continues exactly, learns, and goes into a bundle."""

import json
from dataclasses import replace

import pytest
import torch

from mien.apps.cli import main
from mien.checkpoints import load_bundle
from mien.errors import TrainingError
from mien.stylegan2 import Generator
from mien.training.assemble import Assembly, refined
from mien.training.parts import load_discriminator, load_encoder, load_feature, load_generator
from mien.training.recipes import feature
from mien.training.recipes.feature import FeatureRecipe


@pytest.fixture
def recipe(data_pack, toy_heads, trained):
    """A function that makes a recipe on the toy heads."""

    def make(**changes) -> FeatureRecipe:
        common = {"encoder": trained["generator"], "data": toy_heads, "batch": 4, "photographs": 0.0, "layer": 16}
        return FeatureRecipe(**trained, **{**common, "width": 8, **changes})

    return make


def curve(run, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (run.config.out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("is_sharp", "critic_lr"), [(False, 1e-3), (True, 1e-3), (True, 0.0)])
def test_it_continues_exactly_and_trains_both_networks(recipe, run_config, same_weights, trained, is_sharp, critic_lr):
    changes = {"discriminator": trained["generator"] if is_sharp else None, "critic_lr": critic_lr, "r1_every": 2}
    frozen = [load(trained["generator"]).state_dict() for load in (load_generator, load_encoder)]
    whole = feature.train(recipe(**changes), run_config("whole", 4))
    feature.train(recipe(**changes), run_config("parts", 2))
    same_weights(whole, feature.train(recipe(**changes), run_config("parts", 4)))
    made = load_feature(whole.config.out)
    assert made.encoder.write.weight.any() and made.transformer.write.weight.any()
    for before, load in zip(frozen, (load_generator, load_encoder), strict=True):
        after = load(trained["generator"]).state_dict()
        assert all(torch.equal(before[key], after[key]) for key in before)
    records = (whole.config.out / "metrics.jsonl").read_text()
    assert ("sharp" in records) == is_sharp and ("judge" in records) == (is_sharp and critic_lr > 0)


@pytest.mark.usefixtures("data_pack")
def test_photographs_that_move_teach_and_continue_exactly(recipe, run_config, same_weights):
    changes = {"photographs": 0.5, "crossing": True}
    whole = feature.train(recipe(**changes), run_config("whole", 4, sample_every=4))
    feature.train(recipe(**changes), run_config("parts", 2))
    same_weights(whole, feature.train(recipe(**changes), run_config("parts", 4)))
    for name in ("cross_shape", "cross_eye", "cross_mouth", "cross_expression", "cross_id"):
        assert all(value > 0 for value in curve(whole, name)), name
    assert (whole.config.out / "samples" / "crossing_0000000.png").is_file()


def test_the_discriminator_goes_on_learning_alone(recipe, run_config, trained):
    before = load_discriminator(trained["generator"])
    run = feature.train(recipe(discriminator=trained["generator"]), run_config("game", 2))
    parts = torch.load(run.checkpoint, weights_only=True)["parts"]
    still = [key for key, value in before.state_dict().items() if torch.equal(value, parts["critic"][key])]
    assert still == ["logit.bias"], "it cancels out of every pair"
    assert sum(curve(run, "judge")) > 0 and "r1" in (run.config.out / "metrics.jsonl").read_text()


def test_a_refinement_between_two_runs(recipe, run_config, trained):
    """Its weights lie between; a run of another size did not start there."""
    first = feature.train(recipe(layer=8, lr=1e-2), run_config("first", 2)).config.out
    second = feature.train(recipe(start=first, lr=1e-2), run_config("second", 2)).config.out
    plan = {"generator": trained["generator"], "tracker": trained["tracker"], "feature": second}
    name = "encoder.write.weight"
    ends = [load_feature(folder).state_dict()[name] for folder in (first, second)]
    middle = refined(Assembly(**plan, feature_start=first, feature_share=0.25)).state_dict()[name]
    torch.testing.assert_close(middle, 0.75 * ends[0] + 0.25 * ends[1])
    assert torch.equal(refined(Assembly(**plan)).state_dict()[name], ends[1]) and not torch.equal(ends[0], ends[1])
    still = refined(Assembly(**plan, feature_start=first, transformer_share=0.25)).state_dict()
    assert torch.equal(still[name], ends[1]), "the transformer alone goes part of the way"
    moves = "transformer.write.weight"
    before, after = (load_feature(folder).state_dict()[moves] for folder in (first, second))
    torch.testing.assert_close(still[moves], 0.75 * before + 0.25 * after)
    assert not torch.equal(before, after)
    other = feature.train(recipe(layer=16), run_config("other", 1)).config.out
    with pytest.raises(TrainingError, match="did not start from"):
        refined(Assembly(**plan, feature_start=other, feature_share=0.5))


@pytest.mark.parametrize("layer", [8, 32])
def test_the_loss_falls_at_any_layer(recipe, run_config, layer):
    run = feature.train(recipe(batch=8, lr=1e-2, layer=layer), run_config("falls", 20))
    for name in ("pixel", "moved_pixel"):
        values = curve(run, name)
        assert sum(values[-5:]) < 0.95 * sum(values[:5]), name
    assert load_feature(run.config.out).config.resolution == layer


def test_it_starts_from_another_run(recipe, run_config, trained):
    first = feature.train(recipe(layer=8, lr=1e-2), run_config("first", 3)).config.out
    generator = load_generator(trained["generator"])
    again = feature.new_refiner(recipe(start=first), generator)
    stored = load_feature(first)
    assert again.config == stored.config and again.config.resolution == 8
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), stored.parameters(), strict=True))
    assert all(p.requires_grad for p in again.parameters())
    assert feature.train(recipe(start=first), run_config("second", 1)).step == 1
    fills = feature.train(recipe(start=first, fills=True), run_config("fills", 2)).config.out
    assert load_feature(fills).config == replace(stored.config, fills=True)
    assert feature.new_refiner(recipe(start=fills, fills=True), generator).config.fills
    assert feature.new_refiner(recipe(layer=8, fills=True), generator).config.fills
    narrow = Generator(replace(generator.config, channel_base=64))
    with pytest.raises(TrainingError, match="does not fit this generator"):
        feature.new_refiner(recipe(start=first), narrow)


def test_samples_show_the_copy_beside_the_transformer(recipe, run_config):
    run = feature.train(recipe(), run_config("shown", 1, sample_every=1))
    assert [p.name for p in (run.config.out / "samples").iterdir()] == ["feature_0000000.png"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer": 64}, "no feature map of side 64"),
        ({"photographs": 1.0}, "no pairs"),
        ({"weights": {"pixel": 1.0}}, "expected pixel, perceptual"),
    ],
)
def test_settings_that_make_no_sense_are_refused(recipe, run_config, changes, message):
    with pytest.raises(TrainingError, match=message):
        feature.train(recipe(**changes), run_config("refused", 1))


def test_from_the_command_line_into_a_bundle(data_pack, toy_heads, trained, tmp_path):
    words = [word for name in ("generator", "identity", "tracker") for word in (f"--{name}", str(trained[name]))]
    words += ["--encoder", str(trained["generator"]), "--data", str(toy_heads)]
    words += ["--out", str(tmp_path / "made"), "--steps", "1", "--device", "cpu", "--precision", "32-true"]
    assert main(["train", "feature", "--preset", "tiny", *words]) == 0
    parts = ["--generator", str(trained["generator"]), "--tracker", str(trained["tracker"])]
    for name, more in (("with", []), ("copied", ["--copy-features"])):
        assert main(["bundle", str(tmp_path / name), *parts, "--feature", str(tmp_path / "made"), *more]) == 0
        bundle = load_bundle(tmp_path / name)
        assert bundle.feature is not None and bool(bundle.feature.config.copies) == bool(more)
    assert main(["bundle", str(tmp_path / "without"), *parts]) == 0
    assert load_bundle(tmp_path / "without").feature is None
