"""The published mask networks: layout, numbers, refusals."""

import golden_rule
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mien.checkpoints import rosinality, stylemask
from mien.checkpoints.reader import read_foreign
from mien.checkpoints.renaming import filter_kernel
from mien.errors import CheckpointError
from mien.methods import MaskNetworks, StyleMaskConfig
from mien.stylegan2 import Styles


@pytest.fixture
def tree() -> dict:
    return stylemask.export(MaskNetworks(StyleMaskConfig(widths=(6,) * 10 + (4, 2))))


def test_convert_and_export_are_inverses(tree):
    assert stylemask.recognise(tree) and "network_11.masknet.2.bias" in tree["mask_net"]
    networks = stylemask.convert(tree | {"step": 7})
    assert networks.config.widths == (6,) * 10 + (4, 2) and not networks.training
    back = stylemask.export(networks)
    assert set(back["mask_net"]) == set(tree["mask_net"]) and back["num_layers_control"] == 12
    assert all(torch.equal(back["mask_net"][k], v) for k, v in tree["mask_net"].items())


def test_a_file_is_read(tree, tmp_path):
    torch.save(tree, tmp_path / "mask_network.pt")
    networks = stylemask.convert(read_foreign(tmp_path / "mask_network.pt").tree)
    assert torch.equal(networks.state_dict()["networks.3.2.bias"], tree["mask_net"]["network_03.masknet.2.bias"])


def test_what_does_not_fit_is_named(tree):
    weights = tree["mask_net"]
    lacking = {k: v for k, v in weights.items() if k != "network_03.masknet.2.bias"}
    cases = {
        "lacks network_03.masknet.2.bias": {"mask_net": lacking},
        "unknown other": {"mask_net": weights | {"other": torch.zeros(1)}},
        "network_10.masknet.2.weight has shape": {
            "mask_net": weights | {"network_10.masknet.2.weight": torch.ones(2, 4)}
        },
        "num_layers_control is 11": {"num_layers_control": 11},
        "unknown epoch": {"epoch": 3},
        "no state dict": {"mask_net": 3},
    }
    for message, change in cases.items():
        with pytest.raises(CheckpointError, match=message):
            stylemask.convert(tree | change)
    assert not stylemask.recognise({"A_matrix": {}})


def split(vector: np.ndarray, widths: list[int]) -> tuple[torch.Tensor, ...]:
    return torch.from_numpy(vector).split(widths, 1)


@pytest.mark.parity
def test_masks_and_mixed_styles(golden):
    numbers = golden("stylegan2_rosinality_1024")
    weights = golden_rule.state_dict(numbers, raw=False, part="in_mask_")
    networks = stylemask.convert({"mask_net": weights, "num_layers_control": 12, "step": 1})
    widths = numbers["in_split_sections"].tolist()
    source, target = (Styles(split(numbers[f"out_styles_{side}"], widths), ()) for side in ("source", "target"))
    masks = networks.masks(source, target)
    assert golden_rule.relative_error(torch.cat(masks, 1), numbers["out_masks"]) < 1e-4
    assert golden_rule.relative_error(torch.stack([m.mean() for m in masks]), numbers["out_mask_mean"]) < 1e-4
    deviations = torch.stack([m.std(correction=0) for m in masks])
    assert golden_rule.relative_error(deviations, numbers["out_mask_std"]) < 1e-4
    mixed = networks.mix(source, target)
    assert golden_rule.relative_error(torch.cat(mixed.conv, 1), numbers["out_styles_mixed"]) < 1e-4


@pytest.mark.parity
@pytest.mark.slow
@torch.no_grad()
def test_reenacted_picture(golden):
    """From two latents to the picture, every step ours."""
    numbers = golden("stylegan2_rosinality_1024")
    tensors = golden_rule.state_dict(numbers, raw=True)
    filters = {str(key): filter_kernel(4.0) for key in numbers["in_keys"] if str(key).endswith("kernel")}
    mean = torch.from_numpy(numbers["in_mean_latent"])
    generator = rosinality.convert({"g_ema": tensors | filters}, w_mean=mean)
    weights = golden_rule.state_dict(numbers, raw=False, part="in_mask_")
    networks = stylemask.convert({"mask_net": weights, "num_layers_control": 12})
    codes = generator.truncate(generator.mapping(torch.from_numpy(numbers["in_z"])), float(numbers["in_truncation"]))
    source, target = (generator.styles(generator.broadcast(code[None])) for code in codes)
    picture = F.avg_pool2d(generator.synthesis(networks.mix(source, target)), 4)
    assert golden_rule.relative_error(picture, numbers["out_image_reenacted_pool"]) < 1e-4
