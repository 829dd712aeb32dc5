"""A tracker that reads painted faces, and a model of random weights: everything but the quality is real."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from mien.alignment.crop import RIGID_LANDMARKS, RIGID_POINTS_CM
from mien.checkpoints import Bundle
from mien.face3d.motion import arkit_motion_space
from mien.face3d.params import ARKIT_NAMES, FaceParams
from mien.inversion.encoder import Encoder, EncoderConfig
from mien.media import VideoWriter
from mien.methods import MaskNetworks, StyleMaskConfig
from mien.methods.direction import DirectionConfig, DirectionMatrix
from mien.pipelines import Reenactor
from mien.stylegan2 import Generator, GeneratorConfig
from mien.tracking.protocol import Box

SIZE = 16


def paint(*faces: tuple[int, int], smile: float = 0.0, size: tuple[int, int] = (60, 120)) -> np.ndarray:
    """A grey picture with a square face per (left edge, side); its green says how much it smiles."""
    image = np.full((*size, 3), 60, np.uint8)
    for left, side in faces:
        image[10 : 10 + side, left : left + side] = (230, 30 + round(200 * smile), 20)
    return image


class PaintedTracker:
    """Finds the squares that `paint` draws; the picture count of each call is kept in `batches`."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def find(self, image: np.ndarray) -> list[Box]:
        columns = np.flatnonzero((image[..., 0] > 160).any(0))
        runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1) if len(columns) else []
        boxes = []
        for run in runs:
            rows = np.flatnonzero((image[:, run, 0] > 160).any(1))
            boxes.append(Box(float(run[0]), float(rows[0]), float(run[-1]), float(rows[-1])))
        return sorted(boxes, key=lambda box: -box.area)

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        self.batches.append(len(images))
        return FaceParams.cat([self._measure(image, box) for image, box in zip(images, boxes, strict=True)])

    def _measure(self, image: np.ndarray, box: Box) -> FaceParams:
        x, y = box.centre.astype(int)
        pixel = image[y, x].astype(float)
        expression = torch.zeros(1, len(ARKIT_NAMES))
        smile = float(np.clip((pixel[1] - 30) / 200, 0, 1))
        for name in ("mouthSmileLeft", "mouthSmileRight"):
            expression[0, ARKIT_NAMES.index(name)] = smile
        landmarks = np.repeat(box.centre[None], 68, 0)
        half = box.side / 2 / 5
        landmarks[list(RIGID_LANDMARKS)] += RIGID_POINTS_CM[:, :2] * (half, -half)
        landmarks[0], landmarks[8], landmarks[16] = (box.x0, y), (x, box.y1), (box.x1, y)
        landmarks[19] = (x, box.y0)
        return FaceParams(
            angles=torch.zeros(1, 3),
            expression=expression,
            landmarks=torch.from_numpy(landmarks[None]).float(),
            valid=torch.tensor([pixel[0] > 160]),
            score=torch.ones(1),
        )


def random_masks() -> MaskNetworks:
    """Mask networks for the first three layers of `random_bundle` that decide something."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        masks = MaskNetworks(StyleMaskConfig(widths=(8, 8, 8))).requires_grad_(False)
    for weight in masks.parameters():
        weight.mul_(100)
    return masks


def random_bundle(seed: int = 0) -> Bundle:
    """A complete bundle of tiny random networks, without a tracker."""
    torch.manual_seed(seed)
    generator = Generator(GeneratorConfig(resolution=SIZE, latent_dim=8, style_dim=8, channel_base=64, channel_max=8))
    config = EncoderConfig(resolution=SIZE, channel_base=64, channel_max=8, hidden=8, num_rows=6, style_dim=8)
    return Bundle(
        name="tiny",
        generator=generator.requires_grad_(False).eval(),
        encoder=Encoder(config).requires_grad_(False).eval(),
        directions=DirectionMatrix(DirectionConfig(rows=6, dim=8)).requires_grad_(False),
        motion=arkit_motion_space(),
        truncation=1.0,
        crop="head",
        tracker=None,
        card={"licence": "none", "provenance": "random numbers", "quality": {}},
    )


def random_model() -> Reenactor:
    """A model of random weights that tracks painted faces."""
    return Reenactor(random_bundle(), tracker=PaintedTracker())


def write_driver(path: Path, smiles: Sequence[float | None], rate: Fraction = Fraction(30000, 1001)) -> Path:
    """A clip of one painted face that smiles as told; None leaves the face out of a frame."""
    with VideoWriter(path, rate) as writer:
        for smile in smiles:
            writer.write(paint() if smile is None else paint((40, 32), smile=smile))
    return path
