"""Several looks at the same face, averaged: less noise for more time, with any tracker.

A face measured twice in slightly different squares is not measured equally. On heads that hardly move (half a degree)
that noise is as large as the movement: two single looks of MediaPipe at the same real frames agree on yaw at r .88
only, two halves of eighteen looks at r .99. The mean serves where noise matters more than time: for labels of training
pictures and for judging results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mien.face3d.mirroring import MIRRORED_COEFFICIENTS, MIRRORED_LANDMARKS
from mien.face3d.params import FaceParams
from mien.tracking.protocol import Box, Tracker

LOOKS = (
    *((scale, 0.0, 0.0) for scale in (0.85, 0.95, 1.05, 1.2)),
    *((1.0, x, y) for x, y in ((0.07, 0.0), (-0.07, 0.0), (0.0, 0.07), (0.0, -0.07))),
)
"""Squares of the looks: side and shift of the middle, both as a share of the box's side."""


class SteadyTracker:
    """A tracker whose measurements are means over several squares, each as it is and in a mirror.

    Args:
        tracker: what measures; a single look of it is lost where it sees no face.
        looks: (scale, x, y) of each square.
        with_mirror: also look at the mirrored picture, which cancels a preference for one side.
    """

    def __init__(
        self,
        tracker: Tracker,
        looks: Sequence[tuple[float, float, float]] = LOOKS,
        with_mirror: bool = True,
    ) -> None:
        self._tracker, self._looks = tracker, tuple(looks)
        self._mirrors = (False, True) if with_mirror else (False,)

    def find(self, image: np.ndarray) -> list[Box]:
        """See `Tracker.find`."""
        return self._tracker.find(image)

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        """See `Tracker.estimate`; `valid` where at least half of the looks see a face."""
        looks = [self._look(images, boxes, look, mirror) for look in self._looks for mirror in self._mirrors]
        seen = torch.stack([look.valid for look in looks]).float()
        weight = seen / seen.sum(0).clamp(min=1)

        def mean(name: str) -> torch.Tensor:
            values = torch.stack([getattr(look, name) for look in looks])
            return (values * weight.reshape(*weight.shape, *[1] * (values.ndim - 2))).sum(0)

        return replace(
            looks[0],
            angles=mean("angles"),
            expression=mean("expression"),
            landmarks=mean("landmarks"),
            score=mean("score"),
            valid=seen.mean(0) >= 0.5,
        )

    def _look(
        self, images: Sequence[np.ndarray], boxes: Sequence[Box], look: tuple[float, float, float], mirror: bool
    ) -> FaceParams:
        scale, x, y = look
        moved = [Box.square(b.centre + b.side * np.array([x, y]), b.side * scale, b.score) for b in boxes]
        if not mirror:
            return self._tracker.estimate(images, moved)
        edges = [image.shape[1] - 1 for image in images]
        flipped = [np.ascontiguousarray(image[:, ::-1]) for image in images]
        moved = [Box(edge - b.x1, b.y0, edge - b.x0, b.y1, b.score) for b, edge in zip(moved, edges, strict=True)]
        return unmirrored(self._tracker.estimate(flipped, moved), edges)


def unmirrored(params: FaceParams, edges: Sequence[int]) -> FaceParams:
    """What was measured in mirrored pictures, as it is in the pictures themselves.

    Args:
        edges: width − 1 of each picture.
    """
    landmarks = params.landmarks[:, MIRRORED_LANDMARKS].clone()
    landmarks[..., 0] = torch.tensor(edges, dtype=landmarks.dtype)[:, None] - landmarks[..., 0]
    return replace(
        params,
        angles=params.angles * torch.tensor([-1.0, 1.0, -1.0]),
        expression=params.expression[:, MIRRORED_COEFFICIENTS],
        landmarks=landmarks,
    )
