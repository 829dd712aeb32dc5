"""The recipe of the mapping network: samples move to the codes of pictures, nothing else moves."""

import json
from dataclasses import replace

import pytest
import torch

from mien.apps.cli import main
from mien.checkpoints import load_bundle
from mien.data.pairs import FramePairs
from mien.errors import TrainingError
from mien.face3d import arkit_motion_space
from mien.synth.dataset import RenderedHeads
from mien.training.engine import Run, start_fabric
from mien.training.parts import load_directions, load_encoder, load_generator
from mien.training.recipes import mapping
from mien.training.recipes.mapping import MappingRecipe, mean_codes


@pytest.fixture
def recipe(toy_heads, trained) -> MappingRecipe:
    run = trained["generator"]
    return MappingRecipe(generator=run, encoder=run, data=toy_heads, batch=12, projections=16, lr=1e-2)


def curve(run, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (run.config.out / "metrics.jsonl").read_text().splitlines()]


def test_samples_move_to_the_codes_and_the_synthesis_stays(recipe, run_config):
    run = mapping.train(recipe, run_config("moves", 60))
    transport = curve(run, "transport")
    assert sum(transport[-5:]) < 0.8 * sum(transport[:5])
    before, after = load_generator(recipe.generator), load_generator(run.config.out)
    moved = {
        key.split(".")[0] for key, value in before.state_dict().items() if not value.equal(after.state_dict()[key])
    }
    assert moved == {"mapping_layers", "w_mean"}


def test_it_continues_exactly(recipe, run_config, same_weights):
    recipe = replace(recipe, settle=0.0)  # the rate depends on the number of steps, which a first session has less of
    whole = mapping.train(recipe, run_config("whole", 4))
    mapping.train(recipe, run_config("parts", 2))
    same_weights(whole, mapping.train(recipe, run_config("parts", 4)))


def test_codes_are_mean_rows_in_poses_of_the_pictures(recipe, run_config):
    run = Run(run_config("codes", 1), start_fabric(run_config("codes", 1)))
    pairs = FramePairs(RenderedHeads(recipe.data), arkit_motion_space(), 32)
    encoder, matrix = load_encoder(recipe.encoder), load_directions(recipe.encoder)
    codes = mean_codes(encoder, matrix, pairs, 10, run)
    assert codes.shape == (10, 16)
    wp = encoder(pairs.pictures(torch.arange(len(pairs.heads))))
    possible = torch.cat([matrix.shift(code.expand(len(pairs.q), -1, -1), pairs.q).mean(1) for code in wp])
    assert torch.cdist(codes, possible).min(1).values.max() < 1e-3
    assert torch.equal(codes, mean_codes(encoder, matrix, pairs, 10, run)), "every session starts from the same codes"


def test_too_few_pictures_are_refused(recipe, run_config):
    with pytest.raises(TrainingError, match="a batch of 100 needs as many pictures; there are 24"):
        mapping.train(replace(recipe, batch=100), run_config("few", 1))


def test_it_goes_into_a_bundle_in_place_of_the_generator(recipe, trained, tmp_path):
    words = [w for name in ("generator", "encoder", "data") for w in (f"--{name}", str(getattr(recipe, name)))]
    words += ["--out", str(tmp_path / "run"), "--steps", "2", "--device", "cpu", "--sample-every", "1", "--batch", "8"]
    assert main(["train", "mapping", "--preset", "tiny", *words]) == 0
    parts = [w for name in ("encoder", "directions") for w in (f"--{name}", str(trained["generator"]))]
    parts += ["--tracker", str(trained["tracker"]), "--generator", str(tmp_path / "run")]
    assert main(["bundle", str(tmp_path / "made"), *parts]) == 0
    bundle, stored = load_bundle(tmp_path / "made"), load_generator(tmp_path / "run")
    torch.testing.assert_close(bundle.generator.w_mean, stored.w_mean, atol=1e-2, rtol=1e-2)
    assert (tmp_path / "run" / "samples").is_dir()
