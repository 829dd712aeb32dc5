"""Contact sheets: many rendered people on one picture."""

from __future__ import annotations

import numpy as np

from mien.errors import InputError
from mien.synth.motion import random_angles, random_expression
from mien.synth.renderer import HeadRenderer
from mien.synth.scenery import random_scene


def render_contact_sheet(count: int = 32, seed: int = 0, size: int = 128, columns: int = 8) -> np.ndarray:
    """Render people of consecutive seeds side by side, each in a random pose and expression.

    Args:
        count: number of people, at least 1.
        seed: person i has seed `seed + i`, so larger sheets start with the same people.
        size: side of each picture in pixels.
        columns: pictures in a row.

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
    with HeadRenderer(size) as renderer:
        for i in range(count):
            rng = np.random.default_rng([seed + i, 0xC04])
            scene = random_scene(seed + i, seed + i, size)
            frame = renderer.render(scene, random_angles(rng)[None] * 0.7, random_expression(rng)[None])[0]
            sheet[i // columns, i % columns] = frame.image
    return sheet.transpose(0, 2, 1, 3, 4).reshape(rows * size, columns * size, 3)
