"""One small renderer for the whole room; its tests skip where the data pack or OpenGL is missing."""

import os
from pathlib import Path

import numpy as np
import pytest

from mien.errors import MissingDataError, MissingExtraError, RenderError
from mien.face3d.params import ARKIT_NAMES

SIZE = 128
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def _data():
    before = os.environ.get("MIEN_DATA")
    os.environ.setdefault("MIEN_DATA", str(REPOSITORY.parent / "shared" / "data"))
    yield
    if before is None:
        os.environ.pop("MIEN_DATA", None)


@pytest.fixture(scope="session")
def renderer(_data):
    from mien.synth.renderer import HeadRenderer

    try:
        return HeadRenderer(SIZE)
    except (MissingDataError, MissingExtraError, RenderError) as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def scene():
    from mien.synth.scenery import random_scene

    return random_scene(7038, 7038, SIZE)


@pytest.fixture
def draw(renderer, scene):
    """draw(yaw=…, pitch=…, roll=… in degrees, name=value…) → Frame."""

    def drawn(yaw=0.0, pitch=0.0, roll=0.0, **weights):
        expression = np.zeros(len(ARKIT_NAMES))
        for name, value in weights.items():
            expression[ARKIT_NAMES.index(name)] = value
        return renderer.render(scene, np.radians([[yaw, pitch, roll]]), expression[None])[0]

    return drawn
