"""Painted faces in made-up videos of VoxCeleb, and tools that read them; importable in other processes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from mien.data.stages import Tools
from mien.errors import InputError
from mien.face3d.params import FaceParams
from mien.media import VideoWriter

SIZE = (90, 160)
VIDEO, OTHER = "1zcIwhmdeo4", "-A_gh8peBGY"

_across = np.linspace(0, 1, 17)
TEMPLATE = np.vstack(
    [
        np.stack([_across, 0.5 + 0.5 * np.sin(np.pi * _across)], 1),
        [(x, 0.15) for x in (0.1, 0.2, 0.25, 0.3, 0.4, 0.6, 0.7, 0.75, 0.8, 0.9)],
        [(0.5, y) for y in (0.3, 0.4, 0.45, 0.5)] + [(x, 0.55) for x in (0.4, 0.45, 0.5, 0.55, 0.6)],
        [(0.2, 0.3), (0.25, 0.25), (0.35, 0.25), (0.4, 0.3), (0.35, 0.35), (0.25, 0.35)],
        [(0.6, 0.3), (0.65, 0.25), (0.75, 0.25), (0.8, 0.3), (0.75, 0.35), (0.65, 0.35)],
        [(0.3 + 0.4 * t, 0.7 + 0.1 * side) for side in (-1, 1) for t in np.linspace(0, 1, 10)],
    ]
)
"""68 points in a face of side 1."""


def paint(*faces: tuple[int, int, int], number: int = 0) -> np.ndarray:
    """A grey picture with a red square per (left, top, side); stripes at its top show the number, one per bit."""
    image = np.full((*SIZE, 3), 60, np.uint8)
    image[:8, :64] = np.repeat((number >> np.arange(8)) & 1, 8)[None, :, None] * 140
    for left, top, side in faces:
        image[top : top + side, left : left + side] = (230, 20, 20)
    return image


def number_of(picture: np.ndarray) -> int:
    """The number that `paint` was given; the picture may be shrunk to half."""
    step = min(8, picture.shape[1] // 8)
    return int(((picture[step // 2, step // 2 : 8 * step : step, 0] > 70) << np.arange(8)).sum())


def write_video(path: Path, count: int, *faces: tuple[int, int, int], rate: int = 25) -> Path:
    """Faces that do not move, in pictures that count."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with VideoWriter(path, Fraction(rate)) as writer:
        for number in range(count):
            writer.write(paint(*faces, number=number))
    return path


def annotation(first: int, last: int, box: Sequence[float], is_share: bool = False) -> str:
    """Text of an utterance: the same box in every frame."""
    words = [f"{v:.3f}" if is_share else f"{v:.0f}" for v in box]
    rows = [f"{n:06d} \t" + "\t".join(words) + " " for n in range(first, last + 1)]
    head = ["Identity  : \tid10001", f"Reference : \t{VIDEO}", "Offset    : \t-3", "FV Conf   : \t17.379\t(1)"]
    return "\n".join([*head, "ASD Conf  : \t4.233", "", "FRAME \tX \tY \tW \tH ", *rows, ""])


def measure(pictures: Sequence[np.ndarray], hints: Sequence[np.ndarray | None]) -> FaceParams:
    """The red square in the annotated box, or all red; the first coefficient is the number."""
    return FaceParams.cat([_measure(picture, hint) for picture, hint in zip(pictures, hints, strict=True)])


def encode(crops: Sequence[np.ndarray], params: FaceParams) -> np.ndarray:
    """A code (B, 3, 2) of the mean colour and the roll."""
    roll = params.angles[:, 2].numpy()
    return np.stack([np.repeat(crop.mean((0, 1))[:, None], 2, 1) + r for crop, r in zip(crops, roll, strict=True)])


class PaintedTools:
    """Makes the tools; a picklable thing."""

    def __init__(self, with_codes: bool = False) -> None:
        self.with_codes = with_codes

    def __call__(self) -> Tools:
        torch.set_num_threads(1)
        return Tools(measure, encode if self.with_codes else None)


class NoTools:
    """Tools that cannot be made; in another process, nothing else can be told from a crash."""

    def __call__(self) -> Tools:
        raise InputError("no tools today")


def _measure(picture: np.ndarray, hint: np.ndarray | None) -> FaceParams:
    mask = picture[..., 0].astype(int) > 160
    if hint is not None:
        x0, y0, x1, y1 = (round(float(edge)) for edge in hint)
        inside = np.zeros_like(mask)
        inside[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1] = True
        mask &= inside
    if not mask.any():
        return FaceParams.invalid(1)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    low, high = np.array([columns[0], rows[0]]), np.array([columns[-1], rows[-1]])
    expression = torch.zeros(1, 51)
    expression[0, 0] = number_of(picture) / 100
    return FaceParams(
        angles=torch.tensor([[0.0, 0.0, 0.1]]),
        expression=expression,
        landmarks=torch.from_numpy(low + TEMPLATE * (high - low))[None].float(),
        valid=torch.tensor([True]),
        score=torch.ones(1),
    )
