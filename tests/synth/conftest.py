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


@pytest.fixture(scope="session")
def portrait(renderer):
    """A "photograph" whose truth is known: picture (512, 512, 3), points (478, 2), scores (51,), angles, identity."""
    from mien.synth.fitting import load_correspondence
    from mien.synth.framing import crop_framing, view_head
    from mien.synth.renderer import HeadRenderer
    from mien.synth.scenery import random_scene

    size, angles, jitter = 512, np.radians([6.0, -4.0, 3.0]), np.array([0.0, 0.02, -0.3])
    place = random_scene(7038, 7038, size)
    with HeadRenderer(size, 1) as camera:
        frame = camera.render(place, angles[None], np.zeros((1, 51)), jitter[None])[0]
    deformer = renderer._deformer
    base = deformer.identify(place.person.identity)
    framing = crop_framing(place, base[renderer.head.landmarks], angles, size).jittered(jitter, size)
    seen = base[load_correspondence().vertices]
    rims = []
    for eye in reversed(deformer.eyeballs(base)):
        spokes = np.array([[0, 0, 1.0], [0.4, 0, 0.917], [0, 0.4, 0.917], [-0.4, 0, 0.917], [0, -0.4, 0.917]])
        rims.append(eye.centre + eye.radius * spokes)
    points = view_head(place, np.concatenate([seen, *rims]), angles, framing, size).landmarks[:, :2]
    return frame.image, points, np.zeros(51), angles, place.person


@pytest.fixture(scope="session")
def photo_head(portrait):
    """The parts of that photograph."""
    from mien.synth.photograph import PhotoTaker

    image, points, scores, _, _ = portrait
    with PhotoTaker() as taker:
        return taker.take("somebody_1", image, points, scores)


@pytest.fixture(scope="session")
def photo_renderer(renderer):
    from mien.synth.photo_renderer import PhotoRenderer

    return PhotoRenderer(SIZE)
