"""Photographs of the data pack as training pictures: head crops with weights and parameters."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from mien.alignment import head_crop
from mien.face3d import FaceParams
from mien.images import to_tensor
from mien.tracking.material import PHOTOGRAPHS, load_photographs

_FEATURES = (range(36, 42), range(42, 48), range(48, 60), range(17, 22), range(22, 27))


class Photographs:
    """Head crops of the training part of the photographs, shuffled and varied in light and colour.

    Args:
        size: side of the crops.
        sets: which folders of photographs (`mien.tracking.material.PHOTOGRAPHS`).

    Raises:
        MissingDataError: the data pack is not there.
    """

    def __init__(self, size: int, sets: Sequence[str] = PHOTOGRAPHS) -> None:
        faces = load_photographs("train", sets=sets)
        crops, weights, points = [], [], []
        for row, owner in enumerate(faces.owner):
            landmarks = faces.params.landmarks[row].numpy()
            crop = head_crop(landmarks, faces.params.angles[row].numpy(), size)
            inside = crop.points(landmarks)
            crops.append(crop.apply(faces.pictures[owner]))
            weights.append(feature_weight(inside, size))
            points.append(inside)
        self.images, self.weights = np.stack(crops), torch.from_numpy(np.stack(weights))[:, None]
        self.params = faces.params.moved(torch.from_numpy(np.stack(points)).float())

    def __len__(self) -> int:
        return len(self.images)

    def draw(self, count: int, draws: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, FaceParams]:
        """Pictures (B, 3, S, S), weights (B, 1, S, S) and parameters of `count` random photographs."""
        index = torch.randint(len(self), (count,), generator=draws)
        images = to_tensor(self.images[index.numpy()])
        gain = torch.exp(torch.randn(count, 3, 1, 1, generator=draws) * 0.08)
        light = torch.exp(torch.randn(count, 1, 1, 1, generator=draws) * 0.15)
        images = ((images + 1) * gain * light - 1).clamp(-1, 1)
        return images, self.weights[index], self.params[index]


def feature_weight(landmarks: np.ndarray, size: int) -> np.ndarray:
    """(size, size) reconstruction weights of mean one: background low, face higher, eyes, brows and mouth highest."""
    canvas = np.full((size, size), 0.3, np.float32)
    hull = cv2.convexHull(landmarks.round().astype(np.int32))
    cv2.fillConvexPoly(canvas, hull, 1.5)
    for points in _FEATURES:
        region = cv2.convexHull(landmarks[list(points)].round().astype(np.int32))
        cv2.polylines(canvas, [region], True, 5.0, max(1, size // 40))
        cv2.fillConvexPoly(canvas, region, 5.0)
    canvas = cv2.GaussianBlur(canvas, (0, 0), size / 100)
    return canvas / canvas.mean()
