"""NVIDIA's layouts: round trips, refusals, and the pictures, features and logits of the released code."""

from __future__ import annotations

import dataclasses

import golden_rule
import numpy as np
import pytest
import torch

from mien.checkpoints import nvidia
from mien.checkpoints.renaming import filter_kernel
from mien.errors import CheckpointError
from mien.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from mien.stylegan2.generator import Trace

LIMIT = 1e-4
SMALL = GeneratorConfig(resolution=32, latent_dim=12, style_dim=16, channel_base=256, channel_max=32, mapping_layers=2)
SMALL_CRITIC = DiscriminatorConfig(resolution=32, channel_base=256, channel_max=16)


@pytest.fixture
def state() -> dict:
    return nvidia.export(Generator(SMALL))


@pytest.fixture
def critic_state() -> dict:
    return nvidia.export_discriminator(Discriminator(SMALL_CRITIC))


def same(one: dict, other: dict) -> bool:
    return set(one) == set(other) and all(one[k].shape == v.shape and torch.equal(one[k], v) for k, v in other.items())


def test_round_trip_changes_no_bit(state, critic_state):
    assert nvidia.recognise(state) and not nvidia.recognise(critic_state) and not nvidia.recognise([state])
    generator, critic = nvidia.convert(state), nvidia.convert_discriminator(critic_state)
    assert generator.config == SMALL and critic.config == SMALL_CRITIC
    assert not any(p.requires_grad for p in [*generator.parameters(), *critic.parameters()])
    assert same(nvidia.export(generator), state) and same(nvidia.export_discriminator(critic), critic_state)


def test_what_the_layout_cannot_express_is_not_written():
    with pytest.raises(CheckpointError, match="row maps or an affine mapping"):
        nvidia.export(Generator(dataclasses.replace(SMALL, row_maps=True)))


def test_files_with_several_networks(state, critic_state):
    tree = {"G_ema": state, "D": critic_state, "G": state, "training_set_kwargs": {}, "augment_pipe": None}
    assert nvidia.recognise(tree)
    given = torch.randn(16)
    assert torch.equal(nvidia.convert(tree, w_mean=given).w_mean, given)
    assert nvidia.convert_discriminator(tree).config == SMALL_CRITIC
    with pytest.raises(CheckpointError, match="lacks G_ema"):
        nvidia.convert({"D": critic_state})
    with pytest.raises(CheckpointError, match="extra"):
        nvidia.convert({**tree, "extra": 1})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"synthesis.b8.conv0.noise_const": None}, "synthesis.b8.conv0.noise_const"),
        ({"synthesis.b8.conv0.gain": torch.ones(1)}, "synthesis.b8.conv0.gain"),
        ({"synthesis.b8.torgb.bias": torch.ones(4)}, "synthesis.b8.torgb.bias"),
        ({"synthesis.b16.resample_filter": torch.ones(4, 4)}, "synthesis.b16.resample_filter"),
        ({"synthesis.b16.conv1.bias": 3.0}, "synthesis.b16.conv1.bias"),
        ({"mapping.embed.weight": torch.ones(16, 3)}, "conditional"),
        ({"synthesis.L0_36_512.weight": torch.ones(3)}, "equivariant"),
    ],
)
def test_damage_is_named(state, change, named):
    tree = {name: value for name, value in (state | change).items() if value is not None}
    assert nvidia.recognise(tree)
    with pytest.raises(CheckpointError, match=named.replace(".", r"\.")):
        nvidia.convert(tree)


def pickled(state: dict, **attributes) -> dict:
    """What the reader makes of a network that was pickled as an object."""
    return {
        "class_name": "Generator",
        "init_args": (),
        "init_kwargs": {},
        "attributes": attributes,
        "state_dict": state,
    }


def test_settings_of_layers_are_followed(state, critic_state):
    layers = {"c_dim": 0, "synthesis.b8.conv0.conv_clamp": 256, "synthesis.b8.torgb.conv_clamp": 256}
    layers |= {"synthesis.b8.conv0.activation": "lrelu", "synthesis.b8.conv0.affine.activation": "linear"}
    layers |= {"synthesis.b8.architecture": "skip", "synthesis.b8.conv1.use_noise": True, "mapping.fc0.bias_gain": 0.01}
    critic_layers = {"b4.mbstd.group_size": 8, "c_dim": 0, "b8.conv0.conv_clamp": 256, "b8.skip.conv_clamp": None}
    tree = {"G_ema": pickled(state, **layers), "D": pickled(critic_state, **critic_layers)}
    assert nvidia.recognise(tree)
    assert nvidia.convert(tree).config == dataclasses.replace(SMALL, activation_limit=256.0)
    assert nvidia.convert_discriminator(tree).config == dataclasses.replace(
        SMALL_CRITIC, group_size=8, activation_limit=256.0
    )
    assert nvidia.config(pickled(state, **{"synthesis.b8.conv0.conv_clamp": None})) == SMALL


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [
        ("c_dim", 10, "conditional"),
        ("synthesis.b8.architecture", "resnet", "architecture"),
        ("synthesis.b8.conv1.activation", "relu", "activation"),
        ("synthesis.b8.conv1.use_noise", False, "use_noise"),
        ("synthesis.b8.conv1.conv_clamp", "no", "conv_clamp"),
        ("synthesis.b8.conv1.conv_clamp", -1.0, "conv_clamp"),
        ("mapping.fc0.bias_gain", 1.0, "bias_gain"),
        ("img_channels", 1, "img_channels"),
    ],
)
def test_settings_that_we_cannot_follow_are_refused(state, name, value, named):
    with pytest.raises(CheckpointError, match=named):
        nvidia.convert(pickled(state, **{name: value}))


def test_limits_of_layers_must_agree(state, critic_state):
    with pytest.raises(CheckpointError, match="conv_clamp"):
        nvidia.convert(pickled(state, **{"a.conv_clamp": 1.0, "b.conv_clamp": 2.0}))
    with pytest.raises(CheckpointError, match="group_size"):
        nvidia.convert_discriminator(pickled(critic_state, **{"b4.mbstd.group_size": 0}))


def test_limits_clip_every_layer():
    """A limit so low that it matters."""
    limited = Generator(dataclasses.replace(SMALL, activation_limit=0.5))
    names = tuple(f"conv{i}" for i in range(len(limited.convs)))
    trace = Trace(read=names)
    with torch.no_grad():
        limited.synthesis(torch.randn(1, limited.num_rows, 16), trace=trace)
    assert trace.features is not None
    largest = [float(trace.features[name].abs().max()) for name in names]
    assert largest[0] == 0.5 and max(largest) == 0.5
    critic = Discriminator(dataclasses.replace(SMALL_CRITIC, activation_limit=0.5))
    x = 100 * torch.randn(2, 32, 32, 32)
    with torch.no_grad():
        clipped_part, whole = critic.blocks[0].conv0(x[:, :8]), critic.blocks[0](x[:, :8])
    assert float(clipped_part.abs().max()) == 0.5 < float(whole.abs().max())


class Run:
    """The published generator and discriminator with their golden numbers."""

    def __init__(self, numbers) -> None:
        self.numbers = numbers
        self.generator = nvidia.convert(self.state("in_"))
        self.critic = nvidia.convert_discriminator(self.state("in_D_"))
        self.z = torch.from_numpy(numbers["in_z"])

    def state(self, part: str) -> dict[str, torch.Tensor]:
        names = [str(key) for key in self.numbers[f"{part}keys"]]
        filters = {name: filter_kernel(1.0) for name in names if name.endswith("resample_filter")}
        return golden_rule.state_dict(self.numbers, raw=True, part=part) | filters

    def error(self, value: torch.Tensor, key: str) -> float:
        return golden_rule.relative_error(value, self.numbers[key])

    @torch.no_grad()
    def draw(self, psi: float, fast: bool, noise: str = "fixed", trace: Trace | None = None) -> torch.Tensor:
        g = self.generator
        code = g.broadcast(g.truncate(g.mapping(self.z), psi))
        return g.synthesis(code, fast=fast, noise=noise, trace=trace)  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def run(golden) -> Run:
    return Run(golden("stylegan2_ada_small"))


@pytest.mark.parity
def test_published_round_trip(run):
    assert same(nvidia.export(run.generator), run.state("in_"))
    assert same(nvidia.export_discriminator(run.critic), run.state("in_D_"))
    assert run.generator.num_rows == int(run.numbers["out_num_ws"])


@pytest.mark.parity
def test_codes(run):
    with torch.no_grad():
        w = run.generator.mapping(run.z)
    assert run.error(w, "out_w") < LIMIT
    assert run.error(run.generator.truncate(w, 0.7), "out_w_psi07") < LIMIT


@pytest.mark.parity
@pytest.mark.parametrize("fast", [False, True])
def test_pictures_and_features(run, fast):
    count = len(run.numbers["out_feat_names"])
    trace = Trace(read=tuple(f"conv{i}" for i in range(count)))
    assert run.error(run.draw(1.0, fast, trace=trace), "out_image_psi1") < LIMIT
    assert run.error(run.draw(0.7, fast), "out_image_psi07") < LIMIT
    assert run.error(run.draw(1.0, fast, "none"), "out_image_psi1_nonoise") < LIMIT
    assert trace.features is not None
    maps = [trace.features[f"conv{i}"].double() for i in range(count)]
    assert run.error(torch.stack([x.mean() for x in maps]), "out_feat_mean") < LIMIT
    assert run.error(torch.stack([x.std(correction=0) for x in maps]), "out_feat_std") < LIMIT
    for i, x in enumerate(maps):
        assert run.error(x[0, :4, :8, :8], f"out_feat_corner_{i:02d}") < LIMIT, i


@pytest.mark.parity
def test_logits(run):
    images = torch.from_numpy(np.asarray(run.numbers["out_image_psi1"]))
    with torch.no_grad():
        assert run.error(run.critic(images), "out_D_logits_batch2") < LIMIT
        single = torch.cat([run.critic(image[None]) for image in images])
    assert run.error(single, "out_D_logits_single") < LIMIT
