import numpy as np
import pytest
import torch

from mien.checkpoints.perceptual import load_lpips
from mien.errors import CheckpointError
from mien.perception import Lpips, LpipsConfig

KERNELS = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}


def _fill(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    values = np.sin(np.arange(int(np.prod(shape))) * 12.9898 + seed) * 0.1
    return torch.tensor(values).reshape(shape).float()


@pytest.fixture
def files(tmp_path):
    """Weights in the layouts of torchvision's AlexNet and of the authors' package, filled by rule."""
    trunk = {}
    for number, (layer, (wide, deep, side)) in enumerate(KERNELS.items()):
        trunk[f"features.{layer}.weight"] = _fill((wide, deep, side, side), 2 * number)
        trunk[f"features.{layer}.bias"] = _fill((wide,), 2 * number + 1)
    trunk["classifier.6.bias"] = torch.zeros(1000)
    widths = [wide for wide, _, _ in KERNELS.values()]
    heads = {f"lin{i}.model.1.weight": _fill((1, wide, 1, 1), 100 + i).abs() for i, wide in enumerate(widths)}
    torch.save(trunk, tmp_path / "alexnet.pth")
    torch.save(heads, tmp_path / "alex.pth")
    return tmp_path / "alexnet.pth", tmp_path / "alex.pth"


def _pictures() -> tuple[torch.Tensor, torch.Tensor]:
    first = torch.linspace(-1, 1, 2 * 3 * 64 * 64).reshape(2, 3, 64, 64).sin()
    return first, (first * 3).cos()


@torch.no_grad()
def test_distances_equal_those_of_the_authors_package(files):
    """lpips 0.1.4 with the same weights, in double precision."""
    network = load_lpips(*files)
    assert network(*_pictures()).tolist() == pytest.approx([0.22905907133288766, 0.14593325686286726], rel=1e-4)


@torch.no_grad()
def test_equal_pictures_have_no_distance(files):
    first, _ = _pictures()
    assert load_lpips(*files)(first, first).tolist() == [0, 0]


def test_swapped_files_are_refused(files):
    with pytest.raises(CheckpointError, match="LPIPS"):
        load_lpips(files[1], files[0])


def test_other_widths_can_be_built():
    assert Lpips(LpipsConfig(widths=(4, 4, 4, 4, 4)))(*_pictures()).shape == (2,)
