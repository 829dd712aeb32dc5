"""Who is rendered: the one place that knows how the people of each version of `heads` are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from mien.synth.dataset import SPLITS, VERSION
from mien.synth.renderer import Frame, HeadRenderer
from mien.synth.scenery import random_scene


class Studio(Protocol):
    """Renders people by number; nobody with these numbers may ever be in a training set."""

    def render(self, person: int, angles: np.ndarray, expression: np.ndarray) -> list[Frame]:
        """Frames of one person in one place, framed by the `head` crop of their own landmarks.

        Args:
            person: number of person and place.
            angles: (F, 3) yaw, pitch, roll in radians.
            expression: (F, 51) ARKit coefficients.
        """
        ...

    def close(self) -> None:
        """Give back what rendering needs."""
        ...


FIRST_PERSON = 10**12
"""Numbers start here, far from those of data sets (`mien.synth.dataset.person_seed`)."""


class DrawnPeople:
    """Procedurally painted people of `mien.synth`, with seeds of the held-out split, whose seeds are odd."""

    def __init__(self, size: int) -> None:
        self._renderer = HeadRenderer(size)

    def render(self, person: int, angles: np.ndarray, expression: np.ndarray) -> list[Frame]:
        """See `Studio.render`."""
        seed = len(SPLITS) * (FIRST_PERSON + person) + SPLITS.index("heldout")
        return self._renderer.render(random_scene(seed, seed, self._renderer.size), angles, expression)

    def close(self) -> None:
        """See `Studio.close`."""
        self._renderer.close()


STUDIOS: Mapping[str, Callable[[int], Studio]] = {f"drawn-{VERSION}": DrawnPeople}
"""Version of the benchmark → what renders its people at a side in pixels. A change of the pictures is a new version."""
