"""Pairs of frames that show the same scene in two poses: the true answer to a reenactment question."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np
import torch
from torch.nn import functional as F

from mien.face3d import FaceParams, MotionSpace
from mien.geometry import turned_angles
from mien.images import places_turned, shrink_to, to_tensor

REGION_WEIGHTS = (0.5, 1.5, 0.7, 8.0, 5.0, 3.0, 0.5)
"""Reconstruction weight of background, skin, hair, eye, mouth, brow, clothes; maps are scaled to mean one."""

BUMPS = ((slice(36, 42), 14.0, 0.035), (slice(42, 48), 14.0, 0.035), (slice(48, 68), 5.0, 0.06))
"""Extra weight around the mean of landmarks: which, height, standard deviation as a share of the side. A closed eye has
no eyeball region, yet its lid is what must be drawn."""


class RegionMaps(Protocol):
    """What gives (B, R, R) numbers of regions for B picture numbers: an array, or something that draws them."""

    def __getitem__(self, index: np.ndarray, /) -> np.ndarray: ...


class LabelledHeads(Protocol):
    """Pictures with parameters, grouped into scenes: `mien.synth.dataset.RenderedHeads`, where they are exact, or
    `mien.data.heads.VideoHeads`, where they are measured."""

    scene: np.ndarray

    @property
    def regions(self) -> RegionMaps: ...
    def __len__(self) -> int: ...
    def images(self, index: np.ndarray) -> np.ndarray: ...
    def params(self, index: np.ndarray) -> FaceParams: ...


@dataclass(frozen=True)
class PairBatch:
    """B pairs: source, target (B, 3, S, S) in [−1, 1]; their weights (B, 1, S, S); q (B, k); index (B,).

    `weight` is that of the target.
    """

    source: torch.Tensor
    target: torch.Tensor
    weight: torch.Tensor
    q_source: torch.Tensor
    q_target: torch.Tensor
    target_index: torch.Tensor
    source_weight: torch.Tensor

    def to(self, device: torch.device) -> PairBatch:
        """The same pairs on another device."""
        return PairBatch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


class FramePairs:
    """Draws pairs from labelled heads at a given resolution.

    Args:
        heads: the pictures.
        motion: the space whose coordinates are returned.
        resolution: side of the pictures; the stored side divided by a power of two.
    """

    def __init__(self, heads: LabelledHeads, motion: MotionSpace, resolution: int) -> None:
        self.heads, self.resolution = heads, resolution
        everything = np.arange(len(heads))
        self._motion, self._params = motion, heads.params(everything)
        self.q, self._landmarks = motion.encode(self._params), self._params.landmarks
        order = np.argsort(heads.scene, kind="stable")
        counts = np.bincount(heads.scene.astype(int))
        self._first = np.concatenate([[0], np.cumsum(counts[counts > 0])])
        self._order = order
        self._region_weights = torch.tensor(REGION_WEIGHTS)

    def __len__(self) -> int:
        return len(self._first) - 1

    def pictures(self, index: torch.Tensor) -> torch.Tensor:
        """(B,) picture indices → (B, 3, S, S)."""
        return shrink_to(to_tensor(self.heads.images(index.numpy())), self.resolution)

    def weights(self, index: torch.Tensor) -> torch.Tensor:
        """(B,) picture indices → (B, 1, S, S) reconstruction weights of mean one."""
        regions = torch.from_numpy(np.asarray(self.heads.regions[index.numpy()], np.int64))
        maps = shrink_to(self._region_weights[regions][:, None], self.resolution)
        maps = maps + self._bumps(self._landmarks[index], regions.shape[-1])
        return maps / maps.mean((1, 2, 3), keepdim=True)

    def tilt(self, batch: PairBatch, spread: float, generator: torch.Generator, *, straight: int = 0) -> PairBatch:
        """Turn targets in their plane by normal angles of `spread` radians; pictures, weights and q follow.

        The first `straight` stay as they are.

        The `head` crop is centred on the head, so the turned picture is the crop of the rolled head, corners excepted.
        """
        angle = torch.randn(len(batch.target), generator=generator) * spread
        angle[:straight] = 0
        params = self._params[batch.target_index]
        turned = turned_angles(params.angles, angle)
        field = places_turned(batch.target, angle)
        both = torch.cat([batch.target, batch.weight], 1)
        both = F.grid_sample(both, field, padding_mode="reflection", align_corners=False)
        weight = both[:, 3:] / both[:, 3:].mean((1, 2, 3), keepdim=True)
        q_target = self._motion.encode(replace(params, angles=turned))
        return replace(batch, target=both[:, :3], weight=weight, q_target=q_target)

    def mirror(self, batch: PairBatch, chosen: torch.Tensor) -> PairBatch:
        """Show the chosen pairs (B,) in a mirror, which makes other people of them; pictures, weights and q follow."""
        pictures = {name: getattr(batch, name) for name in ("source", "target", "weight", "source_weight")}
        turned = {k: torch.where(chosen[:, None, None, None], v.flip(3), v) for k, v in pictures.items()}
        coordinates = {name: getattr(batch, name) for name in ("q_source", "q_target")}
        turned |= {k: torch.where(chosen[:, None], self._motion.mirror(v), v) for k, v in coordinates.items()}
        return replace(batch, **turned)

    def _bumps(self, landmarks: torch.Tensor, side: int) -> torch.Tensor:
        """(B, 1, R, R) weights around eyes and mouth of landmarks (B, 68, 2) in pixels of a picture of `side`."""
        axis = (torch.arange(self.resolution) + 0.5) / self.resolution
        total = torch.zeros(len(landmarks), 1, self.resolution, self.resolution)
        for points, height, spread in BUMPS:
            centre = (landmarks[:, points].mean(1) + 0.5) / side
            along_x, along_y = (
                torch.exp(-((axis - centre[:, i : i + 1]) ** 2) / (2 * spread**2)) for i in (0, 1)
            )  # fmt: skip
            total += height * (along_y[:, :, None] * along_x[:, None, :])[:, None]
        return total

    def draw(self, scenes: torch.Tensor, generator: torch.Generator) -> PairBatch:
        """Two different frames of each scene; a scene of one frame shows it twice."""
        count = len(scenes)
        first = torch.from_numpy(self._first)[scenes]
        size = torch.from_numpy(self._first)[scenes + 1] - first
        a = (torch.rand(count, generator=generator) * size).long()
        step = 1 + (torch.rand(count, generator=generator) * (size - 1)).long()
        b = (a + step) % size
        order = torch.from_numpy(self._order)
        source, target = order[first + a], order[first + b]
        return PairBatch(
            self.pictures(source),
            self.pictures(target),
            self.weights(target),
            self.q[source],
            self.q[target],
            target,
            self.weights(source),
        )
