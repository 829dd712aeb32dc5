"""Contact sheets: many rendered people on one picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.errors import InputError
from mien.synth.motion import random_angles, random_expression
from mien.synth.people_pack import PeoplePack
from mien.synth.photo_renderer import PhotoRenderer
from mien.synth.photo_scene import random_photo_scene
from mien.synth.renderer import HeadRenderer
from mien.synth.scenery import random_scene


def render_contact_sheet(
    count: int = 32, seed: int = 0, size: int = 128, columns: int = 8, people: str | Path | None = None
) -> np.ndarray:
    """Render people of consecutive seeds side by side, each in a random pose and expression.

    Args:
        count: number of people, at least 1.
        seed: person i has seed `seed + i`, so larger sheets start with the same people.
        size: side of each picture in pixels.
        columns: pictures in a row.
        people: pack of photographed people (`mien fit`) to mix them from; None draws people.

    Returns:
        (rows * size, columns * size, 3) uint8; places beyond the last person are white.

    Raises:
        InputError: a number is not positive.
        MissingDataError, MissingExtraError, RenderError: rendering is not possible here.
    """
    if min(count, size, columns) < 1 or seed < 0:
        raise InputError("A contact sheet needs a positive count, size and number of columns, and a seed from 0.")
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full((rows, columns, size, size, 3), 255, np.uint8)
    for i, image in enumerate(_photographed(people, count, seed, size) if people else _drawn(count, seed, size)):
        sheet[i // columns, i % columns] = image
    return sheet.transpose(0, 2, 1, 3, 4).reshape(rows * size, columns * size, 3)


def _motion(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, 0xC04])
    return random_angles(rng)[None] * 0.7, random_expression(rng)[None]


def _drawn(count: int, seed: int, size: int) -> Iterator[np.ndarray]:
    with HeadRenderer(size) as renderer:
        for number in range(seed, seed + count):
            yield renderer.render(random_scene(number, number, size), *_motion(number))[0].image


def _photographed(people: str | Path, count: int, seed: int, size: int) -> Iterator[np.ndarray]:
    with PeoplePack(people) as pack, PhotoRenderer(size) as renderer:
        numbers = pack.numbers(held_out=False)
        for number in range(seed, seed + count):
            yield renderer.render(random_photo_scene(pack, numbers, number, size), *_motion(number))[0].image
