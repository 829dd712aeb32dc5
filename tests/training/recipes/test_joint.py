"""The recipe of encoder and A together: it runs, continues exactly, learns, and makes a bundle."""

import json
import os
import subprocess
import sys

import pytest
import torch

from mien.apps.cli import main
from mien.checkpoints import load_bundle
from mien.errors import TrainingError
from mien.training.assemble import Assembly, assemble
from mien.training.joining import JOINT_WEIGHTS
from mien.training.parts import load_encoder, load_generator, load_weights
from mien.training.recipes import joint
from mien.training.recipes.joint import JointRecipe


@pytest.fixture
def recipe(data_pack, toy_heads, trained):
    """A function that makes a recipe on the toy heads."""

    def make(**changes) -> JointRecipe:
        common = {"encoder": trained["generator"], "data": toy_heads, "batch": 4, "photographs": 0.0}
        return JointRecipe(**trained, **{**common, **changes})

    return make


def curve(run, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (run.config.out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("is_sharp", [False, True])
def test_it_continues_exactly_and_trains_both(recipe, run_config, same_weights, trained, is_sharp):
    changes = {"discriminator": trained["generator"] if is_sharp else None}
    before = load_generator(trained["generator"]).state_dict()
    whole = joint.train(recipe(**changes), run_config("whole", 4))
    joint.train(recipe(**changes), run_config("parts", 2))
    same_weights(whole, joint.train(recipe(**changes), run_config("parts", 4)))
    for name in ("encoder", "directions"):
        start, end = (load_weights(folder, name) for folder in (trained["generator"], whole.config.out))
        assert any(not torch.equal(start[key], end[key]) for key in start)
    after = load_generator(trained["generator"]).state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert ("sharp" in (whole.config.out / "metrics.jsonl").read_text()) == is_sharp


def test_the_loss_falls(recipe, run_config):
    run = joint.train(recipe(batch=8, lr=3e-3, encoder_lr=1e-2), run_config("falls", 20))
    totals = [sum(JOINT_WEIGHTS[n] * curve(run, n)[i] for n in JOINT_WEIGHTS if n != "sharp") for i in range(20)]
    assert sum(totals[-5:]) < 0.9 * sum(totals[:5])


def test_without_the_cycle_its_losses_are_not_there(recipe, run_config):
    run = joint.train(recipe(cycle=False), run_config("open", 1))
    text = (run.config.out / "metrics.jsonl").read_text()
    assert "cycle" not in text and "answer_pixel" in text


def test_photographs_cross_subjects(recipe, run_config, monkeypatch):
    drawn = []

    class Photos:
        def __init__(self, side: int) -> None:
            self.side = side

        def draw(self, count, draws):
            from mien.face3d import FaceParams

            drawn.append(count)
            return torch.ones(count, 3, self.side, self.side), torch.ones(count, 1, self.side, self.side), (
                FaceParams.invalid(count)
            )  # fmt: skip

    monkeypatch.setattr(joint, "Photographs", Photos)
    joint.train(recipe(batch=8, photographs=0.5), run_config("photos", 2))
    assert drawn == [2, 2]


def test_a_run_serves_as_both_parts_of_a_bundle(recipe, run_config, trained, tmp_path):
    out = joint.train(recipe(), run_config("made", 1)).config.out
    plan = Assembly(generator=trained["generator"], tracker=trained["tracker"], encoder=out, directions=out)
    bundle = load_bundle(assemble(plan, tmp_path / "bundle"))
    assert bundle.encoder is not None and bundle.encoder.config == load_encoder(out).config
    stored = load_weights(out, "encoder")["base.weight"]
    torch.testing.assert_close(bundle.encoder.state_dict()["base.weight"], stored, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 5}, "no equal halves"),
        ({"photographs": 1.5}, "shares"),
        ({"weights": {"pixel": 1.0}}, "expected pixel, perceptual"),
    ],
)
def test_settings_that_make_no_sense_are_refused(recipe, run_config, changes, message):
    with pytest.raises(TrainingError, match=message):
        joint.train(recipe(**changes), run_config("refused", 1))


def test_a_run_without_directions_is_named(recipe, run_config, trained):
    with pytest.raises(TrainingError, match=r"not 'directions'|does not describe a directions"):
        joint.train(recipe(directions=trained["identity"]), run_config("lacks", 1))


def test_presets_on_the_command_line(data_pack, toy_heads, trained, tmp_path):
    words = [word for name in ("generator", "identity", "tracker") for word in (f"--{name}", str(trained[name]))]
    words += ["--encoder", str(trained["generator"]), "--data", str(toy_heads), "--no-cycle"]
    words += ["--out", str(tmp_path / "made"), "--steps", "1", "--device", "cpu", "--precision", "32-true"]
    assert main(["train", "joint", "--preset", "tiny", *words]) == 0
    assert load_encoder(tmp_path / "made").config.num_rows == 8


SCRIPT = """
import sys
from pathlib import Path
from mien.training.engine import RunConfig
from mien.training.recipes.joint import JointRecipe, train

names = ("generator", "identity", "tracker", "encoder", "data")
recipe = JointRecipe(**dict(zip(names, map(Path, sys.argv[3:]))), batch=8, photographs=0.0)
train(recipe, RunConfig(out=Path(sys.argv[1]), steps=2, device="cpu", devices=int(sys.argv[2]), precision="32-true",
                        sample_every=0, record_every=1))
"""


@pytest.mark.multi
def test_two_processes_equal_one(trained, toy_heads, data_pack, tmp_path):
    script = tmp_path / "joint.py"
    script.write_text(SCRIPT)
    folders = [trained["generator"], trained["identity"], trained["tracker"], trained["generator"], toy_heads]
    for devices in (1, 2):
        words = [sys.executable, script, tmp_path / f"run{devices}", devices, *folders]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=300, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
    for name in ("encoder", "directions"):
        one, two = (load_weights(tmp_path / f"run{devices}", name) for devices in (1, 2))
        for key, value in one.items():
            torch.testing.assert_close(two[key], value, rtol=1e-3, atol=1e-4)
