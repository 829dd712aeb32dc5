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
from mien.stylegan2 import Generator, GeneratorConfig
from mien.synth.dataset import RenderedHeads
from mien.training.engine import Run, start_fabric
from mien.training.parts import load_directions, load_encoder, load_generator
from mien.training.recipes import mapping
from mien.training.recipes.mapping import MappingRecipe, codes_in_other_poses, with_gaussian_codes, with_row_maps


@pytest.fixture
def recipe(toy_heads, trained) -> MappingRecipe:
    run = trained["generator"]
    return MappingRecipe(
        generator=run, encoder=run, data=toy_heads, batch=12, projections=16, lr=1e-2, scheme="transport"
    )


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
    assert after.config == replace(before.config, row_maps=True)


def test_without_row_maps_the_generator_stays_a_published_one(recipe, run_config):
    run = mapping.train(replace(recipe, row_maps=False), run_config("plain", 1))
    assert load_generator(run.config.out).config == load_generator(recipe.generator).config


def test_gaussian_codes_have_the_moments_of_the_given_ones():
    draws = torch.Generator().manual_seed(0)
    sizes = GeneratorConfig(resolution=16, latent_dim=5, style_dim=4, channel_base=64, mapping_lr_multiplier=0.01)
    codes = torch.randn(4000, 4, generator=draws) @ torch.randn(4, 4, generator=draws) + torch.tensor([3.0, 0, -5, 1])
    made = with_gaussian_codes(Generator(sizes), codes)
    w = made.mapping(torch.randn(20_000, 5, generator=draws))
    torch.testing.assert_close(w.mean(0), codes.mean(0), atol=0.1, rtol=0)
    torch.testing.assert_close(torch.cov(w.T), torch.cov(codes.T), atol=0.15, rtol=0.05)
    assert torch.equal(made.w_mean, codes.mean(0))
    few = with_gaussian_codes(Generator(replace(sizes, latent_dim=2)), codes)
    kept = torch.linalg.eigvalsh(torch.cov(few.mapping(torch.randn(20_000, 2, generator=draws)).T))
    torch.testing.assert_close(kept[2:], torch.linalg.eigvalsh(torch.cov(codes.T))[2:], atol=0, rtol=0.05)
    assert kept[:2].abs().max() < 1e-2, "the largest two directions are kept"


def test_the_gaussian_scheme_takes_one_step_and_its_samples_lie_among_the_codes(recipe, run_config, same_weights):
    recipe = replace(recipe, scheme="gaussian")
    run = mapping.train(recipe, run_config("gaussian", 500, record_every=1))
    assert run.step == 1
    before, after = load_generator(recipe.generator), load_generator(run.config.out)
    assert after.config.affine_mapping and after.config.row_maps
    assert all(torch.equal(v, after.state_dict()[k]) for k, v in before.state_dict().items() if k.startswith("convs"))
    same_weights(run, mapping.train(recipe, run_config("gaussian", 500)))
    as_before = mapping.train(replace(recipe, scheme="transport"), run_config("transport", 1, record_every=1))
    assert curve(run, "transport")[0] < curve(as_before, "transport")[0]


def test_row_maps_find_the_rows_that_their_mean_determines():
    draws = torch.Generator().manual_seed(0)
    generator = Generator(GeneratorConfig(resolution=16, latent_dim=4, style_dim=4, channel_base=64, mapping_layers=1))
    rows = generator.num_rows
    weight, bias = torch.randn(rows, 4, 4, generator=draws), torch.randn(rows, 4, generator=draws)
    weight, bias = weight - weight.mean(0) + torch.eye(4), bias - bias.mean(0)  # the mean of the rows is w
    w = torch.randn(5000, 4, generator=draws)
    codes = torch.einsum("lij,bj->bli", weight, w) + bias
    mapped = with_row_maps(generator, codes)
    torch.testing.assert_close(mapped.row_weight, weight, atol=0.03, rtol=0)
    torch.testing.assert_close(mapped.row_bias, bias, atol=0.03, rtol=0)
    found = mapped.broadcast(w)
    assert (found - codes).square().mean() < 1e-3 * codes.var()
    assert torch.equal(mapped.convs[0].weight, generator.convs[0].weight)
    few = with_row_maps(generator, codes[:3])
    assert few.broadcast(w).isfinite().all()


def test_it_continues_exactly(recipe, run_config, same_weights):
    recipe = replace(recipe, settle=0.0)  # the rate depends on the number of steps, which a first session has less of
    whole = mapping.train(recipe, run_config("whole", 4))
    mapping.train(recipe, run_config("parts", 2))
    same_weights(whole, mapping.train(recipe, run_config("parts", 4)))


def test_codes_are_those_of_pictures_in_poses_of_others(recipe, run_config):
    run = Run(run_config("codes", 1), start_fabric(run_config("codes", 1)))
    pairs = FramePairs(RenderedHeads(recipe.data), arkit_motion_space(), 32)
    encoder, matrix = load_encoder(recipe.encoder), load_directions(recipe.encoder)
    codes = codes_in_other_poses(encoder, matrix, pairs, 10, run)
    assert codes.shape == (10, encoder.config.num_rows, 16)
    wp = encoder(pairs.pictures(torch.arange(len(pairs.heads))))
    possible = torch.cat([matrix.shift(code.expand(len(pairs.q), -1, -1), pairs.q) for code in wp])
    distance = torch.cdist(codes.flatten(1), possible.flatten(1), compute_mode="donot_use_mm_for_euclid_dist")
    assert distance.min(1).values.max() < 1e-3
    again = codes_in_other_poses(encoder, matrix, pairs, 10, run)
    assert torch.equal(codes, again), "every session starts from the same codes"


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
    w = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(bundle.generator.broadcast(w), stored.broadcast(w), atol=1e-2, rtol=1e-2)
    assert (tmp_path / "run" / "samples").is_dir()
