"""Fixtures shared by all rooms.

The data pack and the golden numbers lie beside the repository and are never part of it. Where they are absent the tests
that need them are skipped; in continuous integration (`CI=true`) their absence is a failure, and so is a missing
renderer, because a skipped test proves nothing.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import golden_rule
import numpy as np
import pytest
import torch

DATA = Path(os.environ.get("MIEN_DATA", "../shared/data"))
GOLDEN = Path(os.environ.get("MIEN_GOLDEN", str(DATA.parent / "golden")))

torch.set_num_threads(1)  # many small tensors: threads only wait for each other on a busy machine


def _required(is_there: bool, what: str) -> None:
    if is_there:
        return
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{what} is required in continuous integration")
    pytest.skip(f"{what} is not here")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """With -v: how far each parity test file was from the golden numbers at worst."""
    if golden_rule.WORST and config.getoption("verbose") > 0:
        terminalreporter.write_sep("=", "largest error / largest value")
        for place, error in sorted(golden_rule.WORST.items()):
            terminalreporter.write_line(f"{error:.1e}  {place}")


@pytest.fixture(scope="session")
def data_pack() -> Path:
    """Folder of the data pack; see docs/conventions.md, "Data beside the repository"."""
    _required((DATA / "README.md").is_file(), f"the data pack at {DATA}")
    return DATA


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Mapping[str, np.ndarray]]:
    """`golden("crops")` opens golden/crops.npz."""
    _required((GOLDEN / "README.md").is_file(), f"the golden numbers at {GOLDEN}")
    return lambda name: np.load(GOLDEN / f"{name}.npz", allow_pickle=False)


@pytest.fixture(scope="session")
def can_render() -> None:
    """Requires an off-screen OpenGL context (moderngl over EGL)."""
    try:
        import moderngl

        moderngl.create_context(standalone=True, backend="egl", require=330).release()  # pyright: ignore[reportCallIssue]
    except Exception as error:
        _required(False, f"an EGL context ({error})")


@pytest.fixture(scope="session")
def samples() -> Path:
    """Folder of the embedded sample pictures and driver; there when the default bundle is."""
    assets = Path(__file__).parents[1] / "src" / "mien" / "assets"
    is_there = (assets / "avatar" / "bundle.json").is_file() and (assets / "samples" / "driver.mp4").is_file()
    _required(is_there, "the embedded bundle with its samples")
    return assets / "samples"


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh, fixed random source."""
    return np.random.default_rng(0)
