"""Where faces are in a picture: a heat map of face middles with sizes (after CenterNet, Zhou et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from mien.tracking.layers import ConvNorm, ResidualBlock
from mien.tracking.protocol import Box, merge_boxes

STRIDE_PX = 8
UNIT_PX = 32.0
"""Sizes are learnt as log(side / UNIT_PX)."""


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """Size of the detector.

    Attributes:
        widths: channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the picture.
        merged: channels of the map that heat and sizes are read from.
    """

    widths: tuple[int, int, int, int, int] = (12, 24, 40, 56, 64)
    merged: int = 32


class Detections(NamedTuple):
    """Maps over the picture at a stride of 8 pixels.

    Attributes:
        heat: (B, H, W) logit of a face's middle lying in this cell.
        size: (B, H, W) log(side / 32 px) of the face whose middle lies here.
        offset: (B, 2, H, W) x, y from the cell's middle to the face's, in cells.
    """

    heat: torch.Tensor
    size: torch.Tensor
    offset: torch.Tensor


class FaceDetector(nn.Module):
    """A strided pyramid with two additions on the way back up to a stride of 8."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c, d, e = config.widths
        self.fine = nn.Sequential(ConvNorm(3, a, stride=2), ConvNorm(a, b, stride=2), ResidualBlock(b, c, 2))
        self.middle = ResidualBlock(c, d, 2)
        self.coarse = nn.Sequential(ResidualBlock(d, e, 2), ResidualBlock(e, e))
        self.from_coarse = ConvNorm(e, d, kernel=1, rectify=False)
        self.join_middle = ConvNorm(d, d)
        self.from_middle = ConvNorm(d, config.merged, kernel=1, rectify=False)
        self.from_fine = ConvNorm(c, config.merged, kernel=1, rectify=False)
        self.join_fine = ConvNorm(config.merged, config.merged)
        self.output = nn.Conv2d(config.merged, 4, 1)
        with torch.no_grad():
            self.output.bias[0] = -4.0  # pyright: ignore[reportOptionalSubscript]

    def forward(self, pictures: torch.Tensor) -> Detections:
        """Read (B, 3, H, W) pictures in [-1, 1]; H and W are multiples of 32."""
        fine = self.fine(pictures)
        middle = self.middle(fine)
        raised = F.interpolate(self.from_coarse(self.coarse(middle)), scale_factor=2.0, mode="nearest")
        middle = self.join_middle(torch.relu(middle + raised))
        raised = F.interpolate(self.from_middle(middle), scale_factor=2.0, mode="nearest")
        maps = self.output(self.join_fine(torch.relu(self.from_fine(fine) + raised))).float()
        return Detections(maps[:, 0], maps[:, 1], maps[:, 2:])


def boxes_from_maps(maps: Detections, index: int, threshold: float, most: int = 16) -> list[Box]:
    """Peaks of one picture's heat as boxes in that picture's pixels, overlapping ones merged, largest first."""
    heat = maps.heat[index].sigmoid()
    peak = F.max_pool2d(heat[None, None], 3, 1, 1)[0, 0]
    candidates = torch.where((heat == peak) & (heat >= threshold), heat, torch.zeros_like(heat)).flatten()
    scores, cells = candidates.topk(min(most, candidates.numel()))
    width = heat.shape[1]
    boxes = []
    for score, cell in zip(scores.tolist(), cells.tolist(), strict=True):
        if score <= 0:
            break
        row, column = divmod(cell, width)
        shift = maps.offset[index, :, row, column].cpu().numpy()
        centre = (shift + (column + 0.5, row + 0.5)) * STRIDE_PX - 0.5
        side = UNIT_PX * float(maps.size[index, row, column].clamp(-3, 4).exp())
        boxes.append(Box.square(centre, side, score))
    return merge_boxes(boxes)


def detection_targets(boxes: list[list[Box]], height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """What the detector should say about a batch of pictures.

    Args:
        boxes: per picture, the faces in it, in pixels.
        height, width: of the pictures; multiples of 8.

    Returns:
        (B, 4, h, w): heat target in 0..1 (a Gaussian bump per face), log size, offset x, y; and (B, h, w) bool: cells
        whose size and offset count (the middle of a face and its close neighbours).
    """
    rows, columns = height // STRIDE_PX, width // STRIDE_PX
    targets, counted = (
        torch.zeros(len(boxes), 4, rows, columns),
        torch.zeros(len(boxes), rows, columns, dtype=torch.bool),
    )
    y = (torch.arange(rows) + 0.5)[:, None]
    x = (torch.arange(columns) + 0.5)[None]
    for b, faces in enumerate(boxes):
        for box in sorted(faces, key=lambda face: -face.area):
            cx, cy = ((box.centre + 0.5) / STRIDE_PX).tolist()
            row, column = int(cy), int(cx)
            if not (0 <= row < rows and 0 <= column < columns):
                continue
            sigma = max(0.08 * box.side / STRIDE_PX, 0.4)
            distance = (x - column - 0.5) ** 2 + (y - row - 0.5) ** 2
            targets[b, 0] = torch.maximum(targets[b, 0], torch.exp(-distance / (2 * sigma**2)))
            near = distance <= max(sigma, 1.0) ** 2
            counted[b] |= near
            values = torch.stack([torch.full_like(distance, box.side / UNIT_PX).log(), cx - x + 0 * y, cy - y + 0 * x])
            targets[b, 1:] = torch.where(near, values, targets[b, 1:])
    return targets, counted
