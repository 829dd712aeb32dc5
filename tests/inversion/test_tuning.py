"""Tuning returns a new generator, moves what it says, leaves the shared one alone, and follows the published steps."""

import hashlib

import golden_rule
import pytest
import torch

from mien.checkpoints import rosinality
from mien.checkpoints.renaming import filter_kernel
from mien.inversion import TuningConfig, tune_generator
from mien.stylegan2 import Generator, GeneratorConfig

SMALL = GeneratorConfig(resolution=32, latent_dim=8, style_dim=8, channel_base=256, channel_max=16)


def fingerprint(generator: Generator) -> str:
    digest = hashlib.sha256()
    for name, tensor in generator.state_dict().items():
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        return Generator(SMALL).requires_grad_(False).eval()


@pytest.fixture
def task(generator) -> tuple[torch.Tensor, torch.Tensor]:
    """A code and a picture that the generator does not draw from it."""
    source = torch.Generator().manual_seed(1)
    wp = torch.randn(1, generator.num_rows, 8, generator=source)
    return wp, torch.rand(1, 3, 32, 32, generator=source) * 2 - 1


def test_the_shared_generator_is_not_touched(generator, task):
    before = fingerprint(generator)
    tuned = tune_generator(generator, *task, TuningConfig(steps=2, from_resolution=16))
    assert fingerprint(generator) == before != fingerprint(tuned)
    assert not any(p.requires_grad or p.grad is not None for p in [*generator.parameters(), *tuned.parameters()])
    assert not tuned.training
    assert fingerprint(tune_generator(generator, *task, TuningConfig(steps=0))) == before


def test_only_fine_styled_convolutions_move(generator, task):
    tuned = tune_generator(generator, *task, TuningConfig(steps=1, from_resolution=16)).state_dict()
    moved = {name for name, tensor in generator.state_dict().items() if not torch.equal(tensor, tuned[name])}
    leaves = ("weight", "affine.weight", "affine.bias", "noise_strength", "bias")
    assert moved == {f"convs.{i}.{leaf}" for i in range(3, 7) for leaf in leaves}


def test_loss_falls_and_is_reported(generator, task):
    seen = []
    tuned = tune_generator(
        generator,
        *task,
        TuningConfig(steps=20, learning_rate=0.02, from_resolution=8),
        perceptual=lambda a, b: (a - b).abs().mean((1, 2, 3)),
        progress=lambda step, losses: seen.append((step, losses)),
    )
    assert [step for step, _ in seen] == list(range(20))
    assert seen[-1][1]["mse"] < 0.7 * seen[0][1]["mse"]
    first = seen[0][1]
    assert first["total"] == pytest.approx(100 * first["mse"] + first["perceptual"], rel=1e-5)
    assert float((tuned.synthesis(task[0]) - task[1]).square().mean()) < seen[-1][1]["mse"]


def test_tuning_works_where_gradients_are_off(generator, task):
    expected = fingerprint(tune_generator(generator, *task, TuningConfig(steps=2)))
    with torch.inference_mode():
        wp, image = (x.clone() for x in task)
        assert fingerprint(tune_generator(generator, wp, image, TuningConfig(steps=2))) == expected


def test_misuse_is_refused(generator, task):
    with pytest.raises(ValueError, match="expected pictures"):
        tune_generator(generator, task[0], task[1][..., :16])
    with pytest.raises(ValueError, match="no styled convolution"):
        tune_generator(generator, *task, TuningConfig(from_resolution=64))
    with pytest.raises(ValueError, match="negative"):
        TuningConfig(steps=-1)


@pytest.mark.parity
def test_published_steps(golden):
    numbers = golden("pti")
    tensors = golden_rule.state_dict(numbers, raw=True)
    names = [str(key) for key in numbers["in_keys"]]
    tensors |= {name: filter_kernel(4.0) for name in names if name.endswith("kernel")}
    generator = rosinality.convert(tensors, w_mean=torch.from_numpy(numbers["in_mean_latent"]))
    wp = generator.truncate(torch.from_numpy(numbers["in_wplus"]), float(numbers["in_truncation"]))
    image = golden_rule.picture_tensor(int(numbers["in_image_index"]), 256, 256, int(numbers["seed"]))
    seen: list[dict[str, float]] = []
    config = TuningConfig(steps=3, learning_rate=float(numbers["in_lr"]), mse_weight=float(numbers["in_l2_weight"]))
    tuned = tune_generator(generator, wp, image, config, progress=lambda _, losses: seen.append(losses))

    def close(value, key: str, limit: float) -> None:
        assert golden_rule.relative_error(value, numbers[key]) < limit, key

    before, after = generator.synthesis(wp), tuned.synthesis(wp)
    close(before, "out_image_before", 1e-4)
    close(after, "out_image_after3", 2e-3)
    close(torch.tensor([losses["total"] for losses in seen]), "out_loss_steps", 1e-3)
    close(torch.tensor([losses["mse"] for losses in seen]), "out_l2_steps", 1e-3)
    close(100 * (after - image).double().square().mean(), "out_loss_after3", 1e-3)
    one, other = (rosinality.export(g, has_mean=False)["g_ema"] for g in (generator, tuned))
    moved = [key for key in names if not torch.equal(one[key], other[key])]
    assert set(moved) == {str(key) for key in numbers["out_moved_keys"]}
    assert set(names) - set(moved) == {str(key) for key in numbers["out_unmoved_keys"]}
    changes = [(other[str(key)] - one[str(key)]).double().abs().mean() for key in numbers["out_moved_keys"]]
    close(torch.stack(changes), "out_moved_mean_abs", 1e-2)
