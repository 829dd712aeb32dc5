"""The recipe of the mask networks: it continues exactly, learns, and leaves everything else alone."""

import json
import os
import subprocess
import sys

import pytest
import torch

from mien.apps.cli import main
from mien.errors import TrainingError
from mien.training.engine import seeded
from mien.training.mixing import PUBLISHED_WEIGHTS, draw_trio, mixture_losses, mixtures
from mien.training.parts import load_generator, load_masks, load_weights
from mien.training.recipes import stylemask
from mien.training.recipes.stylemask import StyleMaskRecipe, load_material, load_networks


@pytest.fixture
def recipe(data_pack, toy_heads, trained):
    """A function that makes a recipe on an untrained toy generator."""

    def make(**changes) -> StyleMaskRecipe:
        return StyleMaskRecipe(**{**trained, "batch": 4, "portraits": toy_heads, **changes})

    return make


def lines(run) -> list[dict]:
    return [json.loads(line) for line in (run.config.out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("inverted", [0.0, 0.5])
def test_a_killed_run_continues_exactly(recipe, run_config, same_weights, trained, inverted):
    before = load_generator(trained["generator"]).state_dict()
    config = recipe(inverted=inverted, encoder=trained["generator"], layers=3)
    whole = stylemask.train(config, run_config("whole", 4, sample_every=2))
    stylemask.train(config, run_config("parts", 2))
    same_weights(whole, stylemask.train(config, run_config("parts", 4)))
    after = load_generator(trained["generator"]).state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before), "the generator is frozen"
    assert len(list((whole.config.out / "samples").iterdir())) == 2
    assert load_masks(whole.config.out).config.widths == (16, 16, 16)


@torch.no_grad()
def likeness_loss(material, networks) -> float:
    """L_id of twelve fixed questions."""
    trio = draw_trio(material, torch.arange(12), 1.0)
    (mixed,) = mixtures(networks, material, trio, cycle=False)
    return float(mixture_losses(material, trio, mixed)[1]["id"])


def test_the_loss_falls(recipe, run_config):
    weights = dict.fromkeys(PUBLISHED_WEIGHTS, 0.0) | {"id": 1.0}
    config = recipe(lr=0.03, cycle=False, weights=weights)
    material = load_material(config, torch.device("cpu"))
    before = likeness_loss(material, seeded(0, lambda: load_networks(config, material.generator)))
    run = stylemask.train(config, run_config("falls", 20, save_every=20))
    assert likeness_loss(material, load_masks(run.config.out)) < 0.8 * before


def test_the_cycle_is_a_switch(recipe, run_config):
    runs = [stylemask.train(recipe(cycle=cycle), run_config(f"cycle{cycle}", 1)) for cycle in (True, False)]
    assert ["cycle_id" in lines(run)[0] for run in runs] == [True, False]
    first, second = (load_weights(run.config.out, "masks") for run in runs)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_layers_are_chosen_kept_and_added(recipe, run_config, trained):
    generator = load_generator(trained["generator"])
    assert len(load_networks(recipe(), generator).networks) == 7, "all layers, since none is beyond 128"
    short = stylemask.train(recipe(layers=2, lr=1e-2), run_config("short", 1)).config.out
    longer = load_networks(recipe(layers=4, start=short), generator).state_dict()
    stored = load_weights(short, "masks")
    assert len(stored) == 8 and all(torch.equal(longer[name], value) for name, value in stored.items())
    with pytest.raises(TrainingError, match="8 layers"):
        load_networks(recipe(layers=8), generator)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inverted": 0.5}, "--encoder"),
        ({"inverted": 1.5}, "from 0 to 1"),
        ({"weights": {"shape": 1.0}}, "expected shape, eye"),
        ({"weights": dict.fromkeys(PUBLISHED_WEIGHTS, 0.0)}, "nothing to learn"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, run_config, changes, message):
    config, run = (
        StyleMaskRecipe(generator=tmp_path, identity=tmp_path, tracker=tmp_path, **changes),
        run_config("no", 1),
    )
    with pytest.raises(TrainingError, match=message):
        stylemask.train(config, run)
    assert not run.out.exists(), "nothing is left of a run that never began"


def test_a_bundle_takes_the_masks_of_a_run(recipe, run_config, trained, tmp_path):
    from mien.checkpoints import load_bundle

    run = stylemask.train(recipe(layers=5), run_config("masks", 1))
    out, parts = tmp_path / "bundle", ("--generator", str(trained["generator"]), "--tracker", str(trained["tracker"]))
    assert main(["bundle", str(out), *parts, "--masks", str(run.config.out)]) == 0
    bundle = load_bundle(out, "cpu")
    assert bundle.masks is not None and bundle.masks.config.widths == (16,) * 5
    assert not any("stylemask" in sentence for sentence in bundle.missing())
    for name, value in load_weights(run.config.out, "masks").items():
        torch.testing.assert_close(bundle.masks.state_dict()[name], value, rtol=1e-3, atol=1e-5)


@pytest.mark.multi
def test_two_processes_equal_one(recipe, run_config, trained, tmp_path):
    places = [word for name in ("generator", "identity", "tracker") for word in (f"--{name}", str(trained[name]))]
    found = []
    for devices in (1, 2):
        out = tmp_path / f"on{devices}"
        words = ["--preset", "tiny", *places, "--out", str(out), "--steps", "2", "--devices", str(devices)]
        words += ["--device", "cpu", "--precision", "32-true", "--seed", "3", "--layers", "3"]
        command = [sys.executable, "-m", "mien.apps.cli", "train", "stylemask", *words]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        found.append(load_weights(out, "masks"))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-5)
