"""The recipe of flows: it continues exactly, learns where things went, and touches nothing else."""

import json
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from mien.errors import TrainingError
from mien.inversion.flow import warp
from mien.stylegan2 import Generator
from mien.training.parts import load_feature, load_generator
from mien.training.recipes import feature, flow
from mien.training.recipes.feature import FeatureRecipe
from mien.training.recipes.flow import FlowRecipe


@pytest.fixture
def recipe(data_pack, toy_heads, trained, run_config):
    """A function that makes a recipe on the toy heads."""
    common = {"data": toy_heads, "encoder": trained["generator"], "batch": 4}
    refining = FeatureRecipe(**trained, **common, photographs=0.0, layer=16, width=8, lr=1e-2, fills=True, matching=8)
    refined = feature.train(refining, run_config("feature", 2)).config.out

    def make(**changes) -> FlowRecipe:
        sizes = {"tracing": 8, "picture": 16, "lr": 1e-2}
        return FlowRecipe(generator=trained["generator"], **{"feature": refined, **common, **sizes, **changes})

    return make


def test_it_continues_exactly_and_teaches_the_flow_alone(recipe, run_config, same_weights):
    config = recipe(opening=0.75)
    whole = flow.train(config, run_config("whole", 4, sample_every=3))
    flow.train(config, run_config("parts", 2))
    same_weights(whole, flow.train(config, run_config("parts", 4)))
    assert (whole.config.out / "samples" / "carried_0000003.png").is_file()
    before, made = load_feature(config.feature), load_feature(whole.config.out)
    assert made.config.tracing == 8 and made.config.blends and not before.config.blends
    old, new = before.state_dict(), made.state_dict()
    assert float(new.pop("transformer.openness").sigmoid()) == pytest.approx(0.75)
    fields, known = new.pop("transformer.write.weight"), old.pop("transformer.write.weight")
    assert not fields[:2].any() and not fields[3].any(), "no flow of convolutions, and what is blended as it began"
    assert torch.equal(fields[2], known[2]) and torch.equal(fields[4:], known[3:])
    changed = {name for name, value in old.items() if not torch.equal(new[name], value)}
    assert changed and all(name.startswith("transformer.matching.") for name in changed)
    assert any(new[name].any() for name in new if "corrections" in name and name.endswith("write.weight"))


def test_the_flow_learns_to_lead_back(recipe, run_config):
    run = flow.train(recipe(batch=12), run_config("falls", 40))
    lines = [json.loads(line) for line in (run.config.out / "metrics.jsonl").read_text().splitlines()]
    left = [line["pixel"] / line["unmoved"] for line in lines]
    assert sum(left[-8:]) < 0.95 * sum(left[:8])


def test_losses_know_the_answer():
    """A picture that moved by two of its pixels; the flow says so on a grid of half the side."""
    picture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    right = torch.zeros(2, 2, 16, 16)
    right[:, 0] = 2 * 2 / 32
    target = warp(picture, F.interpolate(right, scale_factor=2.0))
    even = torch.ones(2, 1, 32, 32)
    perfect, none = (flow.flow_losses(f, picture, target, even) for f in (right, torch.zeros_like(right)))
    assert float(perfect["pixel"]) == pytest.approx(0, abs=1e-5) and float(none["pixel"]) > 0.1
    assert float(perfect["smooth"]) == 0
    bent = right + torch.linspace(0, 15, 16) * (2 / 16)
    assert float(flow.flow_losses(bent, picture, target, even)["smooth"]) == pytest.approx(1, abs=1e-4)


def test_numbers_that_do_not_fit(recipe, run_config):
    for changes, words in (
        ({"opening": 1.0}, "share between"),
        ({"picture": 24}, "shrunk"),
        ({"picture": 64}, "shrunk"),
    ):
        with pytest.raises(TrainingError, match=words):
            flow.train(recipe(**changes), run_config("wrong", 1))
    generator = load_generator(recipe().generator)
    with pytest.raises(TrainingError, match="does not fit this generator"):
        flow.new_refiner(recipe(), Generator(replace(generator.config, channel_base=64)))
    done = flow.train(recipe(), run_config("done", 1)).config.out
    with pytest.raises(TrainingError, match="already"):
        flow.train(recipe(feature=done), run_config("again", 1))
