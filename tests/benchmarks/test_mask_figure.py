"""The picture of the masks: what is bright, where, and what the numbers beside it say."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.checkpoints import Bundle, save_bundle
from mien.errors import BundleError
from mien.face3d import arkit_motion_space
from mien.images import read_image
from mien.methods import MaskNetworks, controlled_layers
from mien.stylegan2 import Generator, GeneratorConfig
from mien.training.engine import seeded

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "make_mask_figure.py"
_spec = importlib.util.spec_from_file_location("make_mask_figure", SCRIPT)
assert _spec is not None and _spec.loader is not None
drawing = sys.modules["make_mask_figure"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(drawing)


@pytest.fixture
def bundle() -> Bundle:
    config = GeneratorConfig(resolution=16, channel_base=64, channel_max=8, latent_dim=8, style_dim=8)
    generator = seeded(0, lambda: Generator(config)).requires_grad_(False)
    masks = seeded(1, lambda: MaskNetworks(controlled_layers(generator, 4))).requires_grad_(False)
    masks.networks[2][2].bias[:6] = 9.0
    card = {"licence": "none", "provenance": "random numbers", "quality": {}}
    return Bundle("tiny", generator, None, None, arkit_motion_space(), 1.0, "head", None, card, masks)


def test_masks_are_measured_layer_by_layer(bundle):
    layers = drawing.measure(bundle, 5)
    assert [layer.resolution for layer in layers] == [4, 8, 8, 16]
    assert [layer.masks.shape for layer in layers] == [(5, 8)] * 4
    assert layers[2].mean > 0.8 and layers[2].share >= 0.75 and abs(layers[0].mean - 0.5) < 0.1
    for again, layer in zip(drawing.measure(bundle, 5), layers, strict=True):
        assert np.array_equal(again.masks, layer.masks)


def test_bright_channels_come_first_and_lines_are_pairs():
    masks = np.array([[0.0, 1.0, 0.2, 0.0], [0.0, 1.0, 1.0, 0.0]])
    drawn = drawing.band(drawing.Layer(4, masks), 8, 2).astype(int).sum(-1)
    assert drawn.shape == (4, 8)
    assert drawn[0, 0] == drawn[0, 1] > drawn[0, 2] > drawn[0, 4] == drawn[0, 7]
    assert np.array_equal(drawn[0], drawn[1]) and drawn[2, 2] == drawn[2, 0]
    assert drawing.Layer(4, masks).share == 0.5 and drawing.Layer(4, masks).mean == 0.4


def test_the_picture_holds_every_layer(bundle, tmp_path):
    layers = drawing.measure(bundle, 20)
    picture = drawing.figure(layers, 64, 1)
    assert picture.shape == (4 * 26, drawing.TEXT_PX + 64, 3)
    assert (picture[:20, : drawing.TEXT_PX] < 100).any(), "there is text beside a band"
    save_bundle(bundle, tmp_path / "tiny")
    out = tmp_path / "made" / "masks.png"
    drawing.main(drawing.Settings(bundle=str(tmp_path / "tiny"), out=out, pairs=20, width_px=64))
    assert np.abs(read_image(out).astype(int) - picture).mean() < 2


def test_a_bundle_without_masks_is_refused(bundle):
    with pytest.raises(BundleError, match="mask networks"):
        drawing.measure(replace(bundle, masks=None), 2)
