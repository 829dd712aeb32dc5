"""Inception against numbers of pytorch-fid 0.3.0, I3D against a second writing of its PyTorch port.

All weights are filled by rule. The file's order of tensors decides their filling, so a name that is mixed up shows.
"""

import math

import pytest
import torch
from torch.nn import functional as F

from mien.checkpoints.perceptual import INCEPTION_BLOCKS, load_i3d, load_inception
from mien.errors import CheckpointError
from mien.perception.branches import pad_same

C7 = {"6b": 128, "6c": 160, "6d": 160, "6e": 192}
STEM = {
    "Conv2d_1a_3x3": (32, 3, 3, 3), "Conv2d_2a_3x3": (32, 32, 3, 3), "Conv2d_2b_3x3": (64, 32, 3, 3),
    "Conv2d_3b_1x1": (80, 64, 1, 1), "Conv2d_4a_3x3": (192, 80, 3, 3),
}  # fmt: skip


def _fill(name: str, shape: tuple[int, ...], seed: int) -> torch.Tensor:
    wave = torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 12.9898 + seed).reshape(shape)
    if name.endswith("running_var"):
        return (1 + 0.5 * wave).float()
    if len(shape) == 1:
        return ((1 + 0.2 * wave) if name.endswith("bn.weight") else 0.1 * wave).float()
    return (wave * (3 / math.prod(shape[1:])) ** 0.5 * 1.2).float()


def _unit(name: str, shape: tuple[int, ...], kind: str = "conv") -> list[tuple[str, tuple[int, ...]]]:
    """Tensors of a convolution with batch normalisation, in the order of its file."""
    norm = [(f"{name}.bn.{leaf}", shape[:1]) for leaf in ("weight", "bias", "running_mean", "running_var")]
    return [(f"{name}.{kind}.weight", shape), *norm, (f"{name}.bn.num_batches_tracked", ())]


def _filled(tensors: list[tuple[str, tuple[int, ...]]]) -> dict[str, torch.Tensor]:
    return {
        name: torch.tensor(0) if name.endswith("tracked") else _fill(name, shape, seed)
        for seed, (name, shape) in enumerate(tensors)
    }


def _mixed_2d(block: str, width: int) -> list[tuple[str, tuple[int, int, int, int]]]:
    """Layers of a mixed block in the order of the file: name and shape."""
    if block[0] == "5":
        pool = 32 if block == "5b" else 64
        table = [("1x1", 64, width, 1, 1), ("5x5_1", 48, width, 1, 1), ("5x5_2", 64, 48, 5, 5)]
        table += [("3x3dbl_1", 64, width, 1, 1), ("3x3dbl_2", 96, 64, 3, 3), ("3x3dbl_3", 96, 96, 3, 3)]
        table += [("_pool", pool, width, 1, 1)]
    elif block == "6a":
        table = [("3x3", 384, width, 3, 3), ("3x3dbl_1", 64, width, 1, 1)]
        table += [("3x3dbl_2", 96, 64, 3, 3), ("3x3dbl_3", 96, 96, 3, 3)]
    elif block in C7:
        c = C7[block]
        table = [("1x1", 192, width, 1, 1), ("7x7_1", c, width, 1, 1), ("7x7_2", c, c, 1, 7), ("7x7_3", 192, c, 7, 1)]
        table += [("7x7dbl_1", c, width, 1, 1), ("7x7dbl_2", c, c, 7, 1), ("7x7dbl_3", c, c, 1, 7)]
        table += [("7x7dbl_4", c, c, 7, 1), ("7x7dbl_5", 192, c, 1, 7), ("_pool", 192, width, 1, 1)]
    elif block == "7a":
        table = [("3x3_1", 192, width, 1, 1), ("3x3_2", 320, 192, 3, 3), ("7x7x3_1", 192, width, 1, 1)]
        table += [("7x7x3_2", 192, 192, 1, 7), ("7x7x3_3", 192, 192, 7, 1), ("7x7x3_4", 192, 192, 3, 3)]
    else:
        table = [("1x1", 320, width, 1, 1), ("3x3_1", 384, width, 1, 1), ("3x3_2a", 384, 384, 1, 3)]
        table += [("3x3_2b", 384, 384, 3, 1), ("3x3dbl_1", 448, width, 1, 1), ("3x3dbl_2", 384, 448, 3, 3)]
        table += [("3x3dbl_3a", 384, 384, 1, 3), ("3x3dbl_3b", 384, 384, 3, 1), ("_pool", 192, width, 1, 1)]
    return [(f"Mixed_{block}.branch{name}", shape) for name, *shape in table]  # type: ignore[misc]


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory):
    widths = {"5b": 192, "5c": 256, "5d": 288, "6a": 288, "7a": 768, "7b": 1280, "7c": 2048} | dict.fromkeys(C7, 768)
    tensors = [item for name, shape in STEM.items() for item in _unit(name, shape)]
    for block in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
        for name, shape in _mixed_2d(block, widths[block]):
            tensors += _unit(name, tuple(shape))
    tensors += [("fc.weight", (1008, 2048)), ("fc.bias", (1008,))]
    path = tmp_path_factory.mktemp("fid") / "inception.pth"
    torch.save(_filled(tensors), path)
    return path


I3D_BLOCKS = {
    "3b": (192, 64, 96, 128, 16, 32, 32), "3c": (256, 128, 128, 192, 32, 96, 64), "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64), "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64), "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128), "5c": (832, 384, 192, 384, 48, 128, 128),
}  # fmt: skip


@pytest.fixture(scope="module")
def i3d_file(tmp_path_factory):
    stem = {"Conv3d_1a_7x7": (64, 3, 7, 7, 7), "Conv3d_2b_1x1": (64, 64, 1, 1, 1), "Conv3d_2c_3x3": (192, 64, 3, 3, 3)}
    tensors = [item for name, shape in stem.items() for item in _unit(name, shape, "conv3d")]
    for block, (width, a, b, c, d, e, f) in I3D_BLOCKS.items():
        layers = {"b0": (a, width, 1), "b1a": (b, width, 1), "b1b": (c, b, 3), "b2a": (d, width, 1)}
        for name, (out, deep, side) in (layers | {"b2b": (e, d, 3), "b3b": (f, width, 1)}).items():
            tensors += _unit(f"Mixed_{block}.{name}", (out, deep, side, side, side), "conv3d")
    tensors += [("logits.conv3d.weight", (400, 1024, 1, 1, 1)), ("logits.conv3d.bias", (400,))]
    path = tmp_path_factory.mktemp("fvd") / "i3d.pt"
    torch.save(_filled(tensors), path)
    return path


@pytest.mark.slow
@torch.no_grad()
def test_inception_features_equal_those_of_pytorch_fid(inception_file):
    picture = torch.sin(torch.arange(3 * 64 * 64.0).reshape(1, 3, 64, 64) * 0.37)
    features = load_inception(inception_file)(picture)
    assert features.shape == (1, 2048)
    expected = [97.5073471069336, 79.3844985961914, 60.6341438293457, 45.15768814086914, 33.62257766723633]
    assert features[0, :5].tolist() == pytest.approx(expected, rel=1e-3)
    assert features.mean().item() == pytest.approx(9.123417854309082, rel=1e-3)


@pytest.mark.slow
@torch.no_grad()
def test_i3d_logits_equal_those_of_its_port(i3d_file):
    clip = torch.sin(torch.arange(10 * 3 * 224 * 224.0).reshape(1, 10, 3, 224, 224) * 0.0037)
    logits = load_i3d(i3d_file)(clip)
    expected = [-41.02413558959961, -46.9692497253418, -52.7733154296875, -58.41807556152344, -63.888710021972656]
    assert logits[0, :5].tolist() == pytest.approx(expected, rel=1e-3)
    assert logits.mean().item() == pytest.approx(-9.18922233581543, rel=1e-3)


@pytest.mark.slow
def test_the_files_are_told_apart(inception_file, i3d_file):
    for load, wrong in ((load_inception, i3d_file), (load_i3d, inception_file)):
        with pytest.raises(CheckpointError):
            load(wrong)


def test_every_block_of_the_file_is_used_once():
    assert len(INCEPTION_BLOCKS) == len(set(INCEPTION_BLOCKS)) == 16


@pytest.mark.parametrize("size", [7, 8, 9])
def test_windows_fall_on_as_many_places_as_steps_fit(size):
    x = torch.ones(1, 1, size, size, size)
    padded = pad_same(x, (3, 3, 3), (2, 2, 2))
    assert F.max_pool3d(padded, 3, 2).shape[2] == math.ceil(size / 2)
    assert padded.sum() == x.sum() and padded[0, 0, -1, -1, -1] == 0
