"""Shapes, the three public steps, feature access, truncation, growth."""

from dataclasses import replace

import pytest
import torch

import mien.stylegan2.generator as synthesis
from mien.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig, grow_discriminator
from mien.stylegan2.generator import Trace
from mien.stylegan2.growth import grow_generator, widen_generator
from mien.stylegan2.ops import upsample

SMALL = GeneratorConfig(resolution=32, latent_dim=16, style_dim=16, channel_base=256, channel_max=16)


@pytest.fixture
def generator() -> Generator:
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(0)
        made = Generator(SMALL)
        for layer in made.convs:
            layer.noise_strength.data.fill_(0.1)
    return made.requires_grad_(False)


def test_published_sizes():
    full = GeneratorConfig(resolution=1024, channel_base=32768)
    assert [full.channels(r) for r in full.resolutions] == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    assert full.num_rows == 18
    assert GeneratorConfig(resolution=256).num_rows == 14
    with pytest.raises(ValueError, match="power of two"):
        GeneratorConfig(resolution=100)


def test_parameter_count_of_the_published_generator():
    generator = Generator(GeneratorConfig(resolution=256, channel_base=16384))
    assert sum(p.numel() for p in generator.parameters()) == pytest.approx(24.77e6, rel=0.001)


def test_steps_agree(generator):
    z = torch.randn(3, 16)
    wp = generator.broadcast(generator.truncate(generator.mapping(z), 0.7))
    through_styles = generator.synthesis(generator.styles(wp))
    assert through_styles.shape == (3, 3, 32, 32)
    torch.testing.assert_close(generator(z, 0.7), through_styles)
    torch.testing.assert_close(generator.synthesis(wp, fast=False), through_styles, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("upsampling", ["published", "coarse"])
def test_fast_path_equals_reference_in_both_orders(upsampling):
    generator = Generator(GeneratorConfig(resolution=16, channel_base=128, channel_max=8, upsample=upsampling))
    wp = torch.randn(2, generator.num_rows, 512)
    with torch.no_grad():
        fast, slow = generator.synthesis(wp), generator.synthesis(wp, fast=False)
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-4)


def test_a_sample_does_not_depend_on_its_batch(generator):
    z = torch.randn(4, 16)
    torch.testing.assert_close(generator(z)[2:3], generator(z[2:3]), rtol=1e-4, atol=1e-5)


def test_large_batches_are_drawn_in_parts(generator, monkeypatch):
    wp = torch.randn(5, generator.num_rows, 16)
    with torch.no_grad():
        whole = generator.synthesis(wp)
        monkeypatch.setattr(synthesis, "ACTIVATION_BYTES", 2 * 8 * 32 * 32 * 4)  # two samples
        parts = []
        monkeypatch.setattr(
            synthesis.Styles, "__getitem__", lambda s, p, f=synthesis.Styles.__getitem__: parts.append(p) or f(s, p)
        )
        torch.testing.assert_close(generator.synthesis(wp), whole, rtol=1e-4, atol=1e-5)
    assert [(p.start, p.stop) for p in parts] == [(0, 2), (2, 4), (4, 6)]


@pytest.mark.parametrize("upsampling", ["published", "coarse"])
def test_frozen_weights_that_change_are_seen(upsampling):
    generator = Generator(replace(SMALL, upsample=upsampling)).requires_grad_(False).eval()
    wp = torch.randn(1, generator.num_rows, 16)
    generator.synthesis(wp)
    for layer in generator.convs:
        layer.weight.mul_(torch.rand_like(layer.weight))
    torch.testing.assert_close(generator.synthesis(wp), generator.synthesis(wp, fast=False), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(generator.double().synthesis(wp.double()), generator.synthesis(wp.double(), fast=False))
    half = generator.bfloat16().synthesis(wp.bfloat16())
    assert half.dtype == torch.bfloat16 and half.isfinite().all()
    generator.load_state_dict(Generator(generator.config).state_dict(), assign=True)
    torch.testing.assert_close(generator.synthesis(wp), generator.synthesis(wp, fast=False), rtol=1e-4, atol=1e-4)


def test_rows_reach_their_layers(generator):
    wp = torch.randn(1, generator.num_rows, 16)
    changed = wp.clone()
    changed[:, -1] += 1
    before, after = generator.styles(wp), generator.styles(changed)
    assert all(torch.equal(a, b) for a, b in zip(before.conv, after.conv, strict=True))
    assert not torch.equal(before.rgb[-1], after.rgb[-1])
    with pytest.raises(ValueError, match="W\\+"):
        generator.styles(wp[:, :-1])


@pytest.mark.parametrize("noise", ["fixed", "none"])
def test_a_feature_map_comes_without_what_lies_behind_it(generator, noise):
    code = torch.randn(3, generator.num_rows, 16, generator=torch.Generator().manual_seed(2))
    trace, drawn = Trace(read=("conv3",)), []
    generator.synthesis(code, noise=noise, trace=trace)
    generator.convs[4].register_forward_pre_hook(lambda *_: drawn.append(1))
    torch.testing.assert_close(generator.feature_map(code, "conv3", noise), trace.features["conv3"])
    assert not drawn
    with pytest.raises(ValueError, match="conv0 to conv6"):
        generator.feature_map(code, "conv7")


def test_features_can_be_read_and_replaced(generator):
    wp = torch.randn(2, generator.num_rows, 16)
    reading = Trace(read=("conv3",))
    image = generator.synthesis(wp, trace=reading)
    assert reading.features is not None and reading.features["conv3"].shape[2:] == (16, 16)
    same = generator.synthesis(wp, trace=Trace(replace=reading.features))
    torch.testing.assert_close(same, image)
    other = generator.synthesis(wp, trace=Trace(replace={"conv3": reading.features["conv3"] + 1}))
    assert float((other - image).abs().mean()) > 1e-3


def test_noise_modes(generator):
    wp = torch.randn(1, generator.num_rows, 16)
    fixed, none = generator.synthesis(wp), generator.synthesis(wp, noise="none")
    assert torch.equal(fixed, generator.synthesis(wp)) and not torch.equal(fixed, none)
    assert not torch.equal(generator.synthesis(wp, noise="random"), generator.synthesis(wp, noise="random"))


def test_truncation_zero_gives_the_mean_face(generator):
    generator.w_mean.fill_(0.3)
    images = generator(torch.randn(2, 16), psi=0.0)
    torch.testing.assert_close(images[0], images[1])


def test_an_affine_mapping_is_linear_in_normalised_z():
    made = Generator(replace(SMALL, mapping_layers=1, mapping_lr_multiplier=1.0, affine_mapping=True))
    z = torch.randn(3, SMALL.latent_dim)
    torch.testing.assert_close(made.mapping(z) + made.mapping(-z), made.mapping_layers[0].bias.expand(3, -1) * 2)
    with pytest.raises(ValueError, match="one layer, not 8"):
        replace(SMALL, affine_mapping=True)


@pytest.fixture
def mapped(generator) -> Generator:
    """The generator with row maps that turn each row differently."""
    made = Generator(replace(generator.config, row_maps=True)).eval()
    made.load_state_dict(generator.state_dict(), strict=False)
    draws = torch.Generator().manual_seed(5)
    made.row_weight.add_(torch.randn(made.row_weight.shape, generator=draws) * 0.2)
    made.row_bias.add_(torch.randn(made.row_bias.shape, generator=draws))
    return made


def test_row_maps_begin_as_repetition(generator):
    made = Generator(replace(generator.config, row_maps=True))
    w = torch.randn(2, generator.config.style_dim)
    torch.testing.assert_close(made.broadcast(w), generator.broadcast(w))


def test_row_maps_give_each_row_its_own_code_and_truncation_its_own_centre(mapped):
    w = torch.randn(2, mapped.config.style_dim, generator=torch.Generator().manual_seed(3))
    wp = mapped.broadcast(w)
    assert wp.shape == (2, mapped.num_rows, mapped.config.style_dim)
    torch.testing.assert_close(wp[1, 3], mapped.row_weight[3] @ w[1] + mapped.row_bias[3])
    mapped.w_mean.copy_(torch.randn(mapped.w_mean.shape, generator=torch.Generator().manual_seed(4)))
    torch.testing.assert_close(mapped.truncate(wp, 0.0)[0], mapped.broadcast(mapped.w_mean[None])[0])
    torch.testing.assert_close(mapped.truncate(wp, 0.6), mapped.broadcast(mapped.truncate(w, 0.6)))


def test_growth_keeps_the_pictures_of_row_maps(mapped):
    z = torch.randn(2, mapped.config.latent_dim, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(
            grow_generator(mapped)(z, noise="none"), upsample(mapped(z, noise="none")), atol=1e-4, rtol=1e-4
        )


def test_growth_keeps_the_picture(generator):
    grown = grow_generator(generator).requires_grad_(False)
    wp = torch.randn(2, grown.num_rows, 16)
    small = generator.synthesis(wp[:, : generator.num_rows])
    torch.testing.assert_close(grown.synthesis(wp), upsample(small), rtol=1e-4, atol=1e-4)


def test_logits_stay_exact_where_maps_are_rounded():
    critic = Discriminator(DiscriminatorConfig(resolution=16, channel_base=128, channel_max=16))
    critic.logit.bias.data.fill_(50.0)
    last = critic.features(torch.randn(4, 3, 16, 16))[-1]
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rounded = critic.judge(last)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, critic.judge(last).detach())


def test_discriminator_groups_and_growth():
    critic = Discriminator(DiscriminatorConfig(resolution=16, channel_base=128, channel_max=16))
    images = torch.randn(6, 3, 16, 16)
    assert critic(images).shape == (6, 1)
    assert [m.shape[-1] for m in critic.features(images)] == [8, 4]
    grown = grow_discriminator(critic)
    assert grown(torch.randn(2, 3, 32, 32)).shape == (2, 1)
    assert torch.equal(grown.blocks[1].conv0.weight, critic.blocks[0].conv0.weight)


def test_a_wider_generator_draws_the_same_pictures(generator):
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(1)
        narrow = Generator(replace(SMALL, channel_base=128, noise=False))
        for parameter in narrow.parameters():
            parameter.data += 0.1 * torch.randn_like(parameter)
        wide, z = widen_generator(narrow, 256), torch.randn(3, 16)
    assert torch.allclose(wide(z), narrow(z), atol=1e-5)
    assert wide.convs[-1].weight.shape[0] == 2 * narrow.convs[-1].weight.shape[0]
    with pytest.raises(ValueError, match="narrower"):
        widen_generator(wide, 128)


def test_a_wider_generator_uses_its_new_channels_when_it_trains():
    with torch.random.fork_rng():
        torch.random.default_generator.manual_seed(1)
        narrow = Generator(replace(SMALL, channel_base=128, noise=False))
        wide, z = widen_generator(narrow, 256), torch.randn(2, 16)
    wide(z).square().mean().backward()
    width = narrow.config.channels(32)
    assert wide.rgbs[-1].weight.grad[:, width:].abs().max() > 0


def test_growth_may_keep_the_finest_layers_wide(generator):
    with pytest.raises(ValueError, match="would widen layers"):
        grow_generator(generator, channel_min=generator.config.channel_max + 1)
    finest = generator.config.resolution
    least = generator.config.channels(finest)
    grown = grow_generator(generator, channel_min=least)
    assert grown.config.channels(2 * finest) == least > replace(grown.config, channel_min=None).channels(2 * finest)
    wp = torch.randn(2, grown.num_rows, 16)
    small = generator.synthesis(wp[:, : generator.num_rows])
    torch.testing.assert_close(grown.requires_grad_(False).synthesis(wp), upsample(small), rtol=1e-4, atol=1e-4)
