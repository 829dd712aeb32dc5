"""Masks between the styles of two pictures."""

import pytest
import torch

from mien.methods import MaskNetworks, StyleMaskConfig, controlled_layers
from mien.stylegan2 import Generator, GeneratorConfig, Styles
from mien.training.engine import seeded

WIDTHS = (6, 6, 4)


def styles(seed: int) -> Styles:
    draws = torch.Generator().manual_seed(seed)
    conv = tuple(torch.randn(2, width, generator=draws) for width in (*WIDTHS, 3, 2))
    return Styles(conv, tuple(torch.randn(2, width, generator=draws) for width in (6, 4)))


def test_masks_begin_near_one_half_and_only_controlled_layers_mix():
    networks, source, target = MaskNetworks(StyleMaskConfig(widths=WIDTHS)), styles(0), styles(1)
    masks = networks.masks(source, target)
    assert [m.shape[1] for m in masks] == list(WIDTHS)
    assert all(bool(((m - 0.5).abs() < 0.2).all()) for m in masks)
    mixed = networks(source, target)
    for mask, ours, theirs, found in zip(masks, source.conv, target.conv, mixed.conv):
        torch.testing.assert_close(found, torch.lerp(ours, theirs, mask))
    assert mixed.conv[3:] == source.conv[3:] and mixed.rgb == source.rgb


def test_the_source_in_its_own_pose_is_the_source():
    source = styles(0)
    mixed = MaskNetworks(StyleMaskConfig(widths=WIDTHS)).mix(source, source)
    for found, ours in zip(mixed.conv, source.conv, strict=True):
        torch.testing.assert_close(found, ours)


def test_masks_can_be_learnt():
    networks = seeded(0, lambda: MaskNetworks(StyleMaskConfig(widths=WIDTHS)))
    source, target = styles(0), styles(1)
    optimiser = torch.optim.Adam(networks.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        loss = (networks(source, target).conv[0] - target.conv[0]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_other_generators_are_refused():
    with pytest.raises(ValueError, match="widths"):
        MaskNetworks(StyleMaskConfig(widths=(6, 5))).masks(styles(0), styles(1))
    with pytest.raises(ValueError, match="widths"):
        MaskNetworks(StyleMaskConfig(widths=(6, 6, 4, 3, 2, 1))).masks(styles(0), styles(1))


def test_networks_can_be_built_without_memory():
    with torch.device("meta"):
        assert MaskNetworks(StyleMaskConfig(widths=WIDTHS)).networks[0][0].weight.is_meta


def test_layers_up_to_128_are_controlled_unless_told_otherwise():
    with torch.device("meta"):
        config = GeneratorConfig(resolution=256, channel_base=1024, channel_max=16, latent_dim=4, style_dim=4)
        large, small = Generator(config), Generator(GeneratorConfig(resolution=16, channel_max=8, channel_base=64))
    assert controlled_layers(large).widths == (16,) * 10 + (8,) and large.convs[11].noise.shape[-1] == 256
    assert controlled_layers(large, 12).widths == (16,) * 10 + (8, 8)
    assert controlled_layers(small).widths == tuple(c.affine.weight.shape[0] for c in small.convs)
    for count in (0, 6):
        with pytest.raises(ValueError, match="controlled"):
            controlled_layers(small, count)


def test_the_first_layers_alone_mix_with_the_same_weights():
    networks, source, target = MaskNetworks(StyleMaskConfig(widths=WIDTHS)), styles(0), styles(1)
    all_layers, first = networks.mix(source, target), networks.first(2).mix(source, target)
    assert all(torch.equal(a, b) for a, b in zip(all_layers.conv[:2], first.conv[:2], strict=True))
    assert first.conv[2:] == source.conv[2:] and len(networks.networks) == 3
    for count in (0, 4):
        with pytest.raises(ValueError, match="these networks know 3"):
            networks.first(count)
