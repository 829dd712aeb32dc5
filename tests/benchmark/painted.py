"""People painted as flat squares whose colour says everything: red the yaw, green the smile, blue who it is.

The tracker reads the colours, so every answer of the benchmark can be worked out by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import torch

from mien.benchmark import Instruments, Judge
from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.tracking.protocol import Box

SMILE = [ARKIT_NAMES.index(name) for name in ("mouthSmileLeft", "mouthSmileRight")]
SIZE = 32


def paint(yaw_deg: float, smile: float = 0.0, person: int = 50, size: int = SIZE) -> np.ndarray:
    """One person; blue 0 is nobody."""
    return np.full((size, size, 3), (round(128 + yaw_deg), round(smile * 200), person), np.uint8)


def points(size: int) -> np.ndarray:
    """68 places that lie still."""
    grid = np.linspace(0.2, 0.8, 68) * size
    return np.stack([grid, grid[::-1]], 1)


class Tracker:
    """Reads `paint`."""

    def find(self, image: np.ndarray) -> list[Box]:
        return [Box(0, 0, image.shape[1] - 1, image.shape[0] - 1)] if image[0, 0, 2] else []

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        del boxes
        count = len(images)
        colour = np.stack([image[0, 0] for image in images]).astype(float)
        angles, expression = torch.zeros(count, 3), torch.zeros(count, len(ARKIT_NAMES))
        angles[:, 0] = torch.deg2rad(torch.from_numpy(colour[:, 0] - 128))
        expression[:, SMILE] = torch.from_numpy(colour[:, 1:2] / 200).float()
        landmarks = torch.from_numpy(np.stack([points(image.shape[0]) for image in images])).float()
        return FaceParams(angles, expression, landmarks, torch.ones(count, dtype=torch.bool), torch.ones(count))


def embed(picture: np.ndarray, face: FaceParams) -> torch.Tensor:
    """A direction in the plane for each blue: 100 apart are at a right angle."""
    del face
    angle = torch.tensor(float(picture[0, 0, 2]) / 100 * torch.pi / 2)
    return torch.stack([angle.cos(), angle.sin()])


class Studio:
    """Renders with `paint`: even people blue 50, odd ones 150, whole degrees and multiples of .005."""

    reach = 1.0

    def __init__(self, size: int) -> None:
        self.size, self.closed = size, False

    def render(self, person: int, angles: np.ndarray, expression: np.ndarray) -> list[SimpleNamespace]:
        frames = []
        for a, e in zip(angles, expression, strict=True):
            yaw, smile = round(np.degrees(a[0])), round(e[SMILE].mean() * 200) / 200
            shown = np.zeros(len(ARKIT_NAMES), np.float32)
            shown[SMILE] = smile
            picture = paint(yaw, smile, 150 if person % 2 else 50, self.size)
            truth = {"angles": np.radians([yaw, 0, 0]).astype(np.float32), "expression": shown}
            frames.append(SimpleNamespace(image=picture, landmarks=points(self.size).astype(np.float32), **truth))
        return frames

    def close(self) -> None:
        self.closed = True


class Mover:
    """A driver that keeps the person and turns him as far as told: half the way, for instance."""

    framing = "source"

    def __init__(self, name: str, share: float = 1.0) -> None:
        self.name, self.share = name, share

    def reenact(self, source: np.ndarray, drivers: Sequence[np.ndarray]) -> list[np.ndarray | None]:
        own = source[0, 0].astype(float)
        results: list[np.ndarray | None] = []
        for driver in drivers:
            moved = own + self.share * (driver[0, 0].astype(float) - own)
            results.append(paint(moved[0] - 128, moved[1] / 200, int(own[2]), len(source)))
        return results

    def ranges(self) -> dict[str, tuple[float, float]]:
        return {"yaw": (-40.0, 40.0), "mouth_smile": (0.0, 1.0)}

    def edit(self, source: np.ndarray, coordinate: str, values: Sequence[float]) -> list[np.ndarray] | None:
        own = source[0, 0].astype(float)
        if coordinate == "yaw":  # a turn of 40 degrees brings a smile of .2 with it
            return [paint(self.share * v, 0.4 + v / 200, int(own[2]), len(source)) for v in values]
        return [paint(own[0] - 128, self.share * v, int(own[2]), len(source)) for v in values]


def instruments() -> Instruments:
    """One judge that errs by nothing, one identity network."""
    return Instruments(judges=(Judge(name="painted", tracker=Tracker()),), identities={"blue": embed}, distances={})
