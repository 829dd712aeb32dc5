"""Who is rendered: the one place that knows how the people of each version of `heads` are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from mien.errors import InputError
from mien.synth.dataset import PHOTO_REACH, SPLITS, VERSION
from mien.synth.people_pack import PeoplePack
from mien.synth.photo_renderer import PhotoRenderer
from mien.synth.photo_scene import random_photo_scene
from mien.synth.renderer import Frame, HeadRenderer
from mien.synth.scenery import random_scene


class Studio(Protocol):
    """Renders people by number; nobody with these numbers may ever be in a training set.

    Attributes:
        reach: share of the usual head angles that these people can turn.
    """

    reach: float

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

    reach = 1.0

    def __init__(self, size: int) -> None:
        self._renderer = HeadRenderer(size)

    def render(self, person: int, angles: np.ndarray, expression: np.ndarray) -> list[Frame]:
        """See `Studio.render`."""
        seed = held_out_seed(person)
        return self._renderer.render(random_scene(seed, seed, self._renderer.size), angles, expression)

    def close(self) -> None:
        """See `Studio.close`."""
        self._renderer.close()


class PhotographedPeople:
    """People mixed from the held-out portraits of a pack (`mien fit`)."""

    reach = PHOTO_REACH

    def __init__(self, pack: str | Path, size: int) -> None:
        self._pack = PeoplePack(pack)
        self._numbers = self._pack.numbers(held_out=True)
        if not self._numbers:
            self._pack.close()
            raise InputError(f"{pack} holds nobody for held-out renders.")
        self._renderer = PhotoRenderer(size)

    def render(self, person: int, angles: np.ndarray, expression: np.ndarray) -> list[Frame]:
        """See `Studio.render`."""
        scene = random_photo_scene(self._pack, self._numbers, held_out_seed(person), self._renderer.size)
        return self._renderer.render(scene, angles, expression)

    def close(self) -> None:
        """See `Studio.close`."""
        self._pack.close()
        self._renderer.close()


def held_out_seed(person: int) -> int:
    """Seed of a person's number, of the held-out split."""
    return len(SPLITS) * (FIRST_PERSON + person) + SPLITS.index("heldout")


STUDIOS: Mapping[str, Callable[[int], Studio]] = {f"drawn-{VERSION}": DrawnPeople}
"""Version of the benchmark → what renders its people at a side in pixels. A change of the pictures is a new version."""


def photographed(pack: str | Path) -> dict[str, Callable[[int], Studio]]:
    """The version of the benchmark that shows the people of a pack; its name tells packs apart.

    Raises:
        InputError: it is no pack.
    """
    with PeoplePack(pack) as people:
        return {f"photo-{VERSION}-{people.signature()}": partial(PhotographedPeople, pack)}
