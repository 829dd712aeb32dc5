"""The rosinality layout: round trips, refusals, and the pictures, features and styles of the published code."""

from __future__ import annotations

import dataclasses

import golden_rule
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mien.checkpoints import rosinality
from mien.checkpoints.renaming import filter_kernel
from mien.errors import CheckpointError
from mien.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, Styles
from mien.stylegan2.generator import Trace

LIMIT = 1e-4
SMALL = GeneratorConfig(resolution=32, latent_dim=12, style_dim=16, channel_base=256, channel_max=32, mapping_layers=2)


def state(numbers) -> dict[str, torch.Tensor]:
    """The filled tensors of a golden generator with its filters."""
    tensors = golden_rule.state_dict(numbers, raw=True)
    names = [str(key) for key in numbers["in_keys"]]
    return tensors | {name: filter_kernel(4.0) for name in names if name.endswith("kernel")}


@pytest.fixture
def tree() -> dict:
    return rosinality.export(Generator(SMALL))


def same(one: dict, other: dict) -> bool:
    return set(one) == set(other) and all(
        one[k].shape == v.shape and one[k].dtype == v.dtype and torch.equal(one[k], v) for k, v in other.items()
    )


def test_round_trip_changes_no_bit(tree):
    assert rosinality.recognise(tree) and rosinality.recognise(tree["g_ema"])
    tree["latent_avg"] = torch.randn(16)
    generator = rosinality.convert(tree)
    assert generator.config == SMALL and not generator.training
    assert not any(p.requires_grad for p in generator.parameters())
    back = rosinality.export(generator)
    assert same(back["g_ema"], tree["g_ema"]) and torch.equal(back["latent_avg"], tree["latent_avg"])
    assert set(rosinality.export(generator, has_mean=False)) == {"g_ema"}


def test_converted_weights_are_fresh(tree):
    generator = rosinality.convert(tree)
    before = tree["g_ema"]["input.input"].clone()
    generator.const.add_(1)
    assert torch.equal(tree["g_ema"]["input.input"], before)


def test_mean_is_stored_given_or_estimated_always_alike(tree):
    del tree["latent_avg"]
    first, second = rosinality.convert(tree), rosinality.convert(tree["g_ema"])
    assert torch.equal(first.w_mean, second.w_mean) and first.w_mean.abs().sum() > 0
    given = torch.randn(1, 16)
    assert torch.equal(rosinality.convert(tree, w_mean=given).w_mean, given[0])
    assert torch.equal(rosinality.convert({**tree, "latent_avg": given}).w_mean, given[0])


@pytest.mark.parametrize("resolution", [8, 64])
def test_sizes_come_from_shapes(resolution):
    settings = dataclasses.replace(SMALL, resolution=resolution, mapping_layers=3, channel_base=512)
    assert rosinality.config(rosinality.export(Generator(settings), False)).resolutions == settings.resolutions
    network = Discriminator(DiscriminatorConfig(resolution=resolution, channel_base=256, channel_max=16))
    foreign = rosinality.export_discriminator(network)
    assert rosinality.discriminator_config({"d": foreign}).resolution == resolution


def test_discriminator_round_trip():
    network = Discriminator(DiscriminatorConfig(resolution=32, channel_base=256, channel_max=16))
    foreign = rosinality.export_discriminator(network)
    again = rosinality.convert_discriminator({"g_ema": {}, "d": foreign})
    assert again.config == network.config
    assert same(rosinality.export_discriminator(again), foreign)
    pictures = torch.randn(4, 3, 32, 32)
    assert torch.equal(again(pictures), network(pictures))


def damaged(tree: dict, kind: str) -> tuple[dict, str]:
    """A damaged tree and what the message must name."""
    g = tree["g_ema"]
    key = "convs.0.conv.weight"
    changes = {
        "missing": ({k: v for k, v in g.items() if k != "noises.noise_3"}, "noises.noise_3"),
        "missing size": ({k: v for k, v in g.items() if k != key}, key),
        "unknown": ({**g, "convs.0.conv.gain": torch.ones(1)}, "convs.0.conv.gain"),
        "shape": ({**g, "conv1.activate.bias": torch.zeros(3)}, "conv1.activate.bias"),
        "widths": ({**g, key: torch.zeros(1, 24, 32, 3, 3)}, "24 at 8"),
        "dtype": ({**g, key: g[key].long()}, key),
        "no tensor": ({**g, "style.1.bias": "hello"}, "style.1.bias"),
        "filter": ({**g, "convs.2.conv.blur.kernel": torch.ones(4, 4)}, "convs.2.conv.blur.kernel"),
        "text key": ({**g, 7: torch.ones(1)}, "7"),
    }
    changed, named = changes[kind]
    return {"g_ema": changed}, named


@pytest.mark.parametrize(
    "kind", ["missing", "missing size", "unknown", "shape", "widths", "dtype", "no tensor", "filter", "text key"]
)
def test_damage_is_named(tree, kind):
    broken, named = damaged(tree, kind)
    with pytest.raises(CheckpointError, match=named.replace(".", r"\.")):
        rosinality.convert(broken)


def test_other_files_are_refused(tree):
    assert not rosinality.recognise({"state_dict": {}}) and not rosinality.recognise([1])
    with pytest.raises(CheckpointError, match="optimizer"):
        rosinality.convert({**tree, "optimizer": {}})
    with pytest.raises(CheckpointError, match="latent_avg"):
        rosinality.convert({**tree, "latent_avg": torch.zeros(18, 16)})
    with pytest.raises(CheckpointError, match="g_ema"):
        rosinality.convert({"g_ema": 3})
    with pytest.raises(CheckpointError, match="lacks d"):
        rosinality.convert_discriminator(tree)
    with pytest.raises(CheckpointError, match="up-sampling"):
        rosinality.export(Generator(dataclasses.replace(SMALL, upsample="coarse")))
    with pytest.raises(CheckpointError, match="row maps or an affine mapping"):
        rosinality.export(Generator(dataclasses.replace(SMALL, row_maps=True)))


class Run:
    """One published generator, its golden numbers, and the codes they were made of."""

    def __init__(self, numbers) -> None:
        self.numbers = numbers
        self.foreign = state(numbers)
        mean = torch.from_numpy(numbers["in_mean_latent"])
        self.generator = rosinality.convert({"g_ema": self.foreign}, w_mean=mean)
        self.psi = float(numbers["in_truncation"])
        self.wplus = self.tensor("in_wplus")
        self.shifted = self.wplus.clone()
        self.shifted[:, :8] += self.tensor("in_shift")
        self.features: dict[bool, dict[str, torch.Tensor]] = {}
        self.images: dict[bool, torch.Tensor] = {}

    def tensor(self, key: str) -> torch.Tensor:
        return torch.from_numpy(np.asarray(self.numbers[key]))

    def error(self, value: torch.Tensor, key: str) -> float:
        return golden_rule.relative_error(value, self.numbers[key])

    def code(self, i: int) -> torch.Tensor:
        """Truncated W+ code of z[i]."""
        w = self.generator.mapping(self.tensor("in_z")[i : i + 1])
        return self.generator.broadcast(self.generator.truncate(w, self.psi))

    @torch.no_grad()
    def draw(self, code: torch.Tensor | Styles, fast: bool, pool: int = 1) -> torch.Tensor:
        return F.avg_pool2d(self.generator.synthesis(code, fast=fast), pool)

    @torch.no_grad()
    def trace(self, fast: bool) -> torch.Tensor:
        """The image of in_wplus; its features are kept, and it is computed once."""
        if fast not in self.features:
            names = [f"conv{i}" for i in range(len(self.numbers["out_feat_names"]))]
            names += [f"rgb{i}" for i in range(len(self.numbers["out_rgb_names"]))]
            trace = Trace(read=tuple(names))
            self.images[fast] = self.generator.synthesis(self.wplus, fast=fast, trace=trace)
            assert trace.features is not None
            self.features[fast] = trace.features
        return self.images[fast]


def check_features(run: Run, fast: bool) -> None:
    """Shapes, means, deviations and corners of every layer; mean and deviation of the picture after every ToRGB."""
    run.trace(fast)
    features, numbers = run.features[fast], run.numbers
    convs = [features[f"conv{i}"] for i in range(len(numbers["out_feat_names"]))]
    pictures = [features[f"rgb{i}"] for i in range(len(numbers["out_rgb_names"]))]
    assert [tuple(x.shape[1:]) for x in convs] == [tuple(shape) for shape in numbers["out_feat_shape"]]
    for maps, kind in ((convs, "feat"), (pictures, "rgb")):
        doubles = [x.double() for x in maps]
        assert run.error(torch.stack([x.mean() for x in doubles]), f"out_{kind}_mean") < LIMIT
        assert run.error(torch.stack([x.std(correction=0) for x in doubles]), f"out_{kind}_std") < LIMIT
    for i, x in enumerate(convs):
        assert run.error(x[0, :4, :8, :8], f"out_feat_corner_{i:02d}") < LIMIT, i


@pytest.fixture(scope="module")
def small_run(golden) -> Run:
    return Run(golden("stylegan2_rosinality_256"))


@pytest.fixture(scope="module")
def large_run(golden) -> Run:
    return Run(golden("stylegan2_rosinality_1024"))


@pytest.mark.parity
def test_published_round_trip(small_run):
    assert small_run.generator.config == GeneratorConfig()
    assert same(rosinality.export(small_run.generator, False)["g_ema"], small_run.foreign)


@pytest.mark.parity
def test_codes_and_styles_256(small_run):
    run = small_run
    with torch.no_grad():
        assert run.error(run.generator.mapping(run.tensor("in_z")), "out_w") < LIMIT
        assert run.error(run.code(0), "out_latent_z0_trunc") < LIMIT
        assert run.error(run.generator.truncate(run.shifted, run.psi), "out_latent_shift_trunc") < LIMIT
        source = run.generator.styles(run.wplus)
        target = run.generator.styles(run.tensor("in_wplus_target"))
    assert [s.shape[1] for s in source.conv] == run.numbers["out_style_widths"].tolist()
    assert [s.shape[1] for s in source.rgb] == run.numbers["out_rgb_style_widths"].tolist()
    assert run.error(torch.cat(source.conv, 1), "out_styles_source") < LIMIT
    assert run.error(torch.cat(target.conv, 1), "out_styles_target") < LIMIT
    assert run.error(torch.cat(source.rgb, 1), "out_rgb_styles_source") < LIMIT


@pytest.mark.parity
@pytest.mark.parametrize("fast", [False, True])
def test_pictures_256(small_run, fast):
    run = small_run
    assert run.error(run.trace(fast), "out_image_wplus") < LIMIT
    assert run.error(run.draw(run.code(0), fast), "out_image_z0_trunc") < LIMIT
    truncated = run.generator.truncate(run.shifted, run.psi)
    assert run.error(run.draw(truncated, fast), "out_image_shift_trunc") < LIMIT
    source, target = run.generator.styles(run.wplus), run.generator.styles(run.tensor("in_wplus_target"))
    swapped = Styles((*target.conv[:12], source.conv[12]), source.rgb)
    assert run.error(run.draw(swapped, fast), "out_image_styles_swapped") < LIMIT


@pytest.mark.parity
@pytest.mark.parametrize("fast", [False, True])
def test_features_256(small_run, fast):
    check_features(small_run, fast)


@pytest.mark.parity
def test_codes_and_styles_1024(large_run):
    run = large_run
    assert run.generator.config == GeneratorConfig(resolution=1024, channel_base=32768)
    with torch.no_grad():
        assert run.error(run.generator.mapping(run.tensor("in_z")), "out_w") < LIMIT
        assert run.error(run.code(0), "out_latent_source") < LIMIT
        assert run.error(run.generator.truncate(run.shifted, run.psi), "out_latent_shift_trunc") < LIMIT
        source, target = run.generator.styles(run.code(0)), run.generator.styles(run.code(1))
    assert [s.shape[1] for s in source.conv] == run.numbers["in_split_sections"].tolist()
    assert run.error(torch.cat(source.conv, 1), "out_styles_source") < LIMIT
    assert run.error(torch.cat(target.conv, 1), "out_styles_target") < LIMIT


@pytest.mark.parity
def test_pictures_1024(large_run):
    """The reference path draws one of the five; the fast path, which is proven equal on that one, all of them."""
    run = large_run
    truncated = run.generator.truncate(run.shifted, run.psi)
    assert run.error(F.avg_pool2d(run.trace(True), 4), "out_image_wplus_pool") < LIMIT
    assert run.error(F.avg_pool2d(run.trace(False), 4), "out_image_wplus_pool") < LIMIT
    assert run.error(run.draw(truncated, True, 4), "out_image_shift_trunc_pool") < LIMIT
    assert run.error(run.draw(run.code(0), True, 4), "out_image_source_pool") < LIMIT
    assert run.error(run.draw(run.code(1), True, 4), "out_image_target_pool") < LIMIT
    source = run.generator.styles(run.code(0))
    mixed = torch.split(run.tensor("out_styles_mixed"), run.numbers["in_split_sections"].tolist(), 1)
    assert run.error(run.draw(Styles(mixed, source.rgb), True, 4), "out_image_reenacted_pool") < LIMIT


@pytest.mark.parity
@pytest.mark.parametrize("fast", [False, True])
def test_features_1024(large_run, fast):
    check_features(large_run, fast)
