"""The identity network of the published losses: IR-SE50 trained with the ArcFace loss (Deng et al. 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from mien.images import resize, shrink_to
from mien.perception.irse import UNITS, WIDTHS, IrseTrunk

HEAD_PX = 256
"""Side of the pictures that the published losses look at."""
FACE_ROWS = slice(35, 223)
FACE_COLUMNS = slice(32, 220)
"""The part of a 256² head crop that stands for the aligned face (METHODS section 2)."""


@dataclass(frozen=True, kw_only=True)
class ArcFaceConfig:
    """Trunk, side of the aligned face, and width of the embedding."""

    widths: tuple[int, ...] = WIDTHS
    units: tuple[int, ...] = UNITS
    resolution: int = 112
    embedding: int = 512


class ArcFaceNet(nn.Module):
    """Head crops (B, 3, S, S) in [−1, 1] → unit embeddings (B, E); any S is brought to 256 first.

    `embed_aligned` takes faces that are aligned already, see `mien.alignment.five_points.align_faces`.
    """

    def __init__(self, config: ArcFaceConfig) -> None:
        super().__init__()
        self.config = config
        width = config.widths[-1]
        side = config.resolution // 2 ** len(config.widths)
        self.trunk = IrseTrunk(config.widths, config.units)
        self.norm0 = nn.BatchNorm2d(width)
        self.drop = nn.Dropout()
        self.embed = nn.Linear(width * side**2, config.embedding)
        self.norm1 = nn.BatchNorm1d(config.embedding)

    def face_window(self, image: torch.Tensor) -> torch.Tensor:
        """The face of head crops: rows 35…222 and columns 32…219 of 256², mean-pooled to (B, 3, 112, 112)."""
        head = shrink_to(image, HEAD_PX)
        return F.adaptive_avg_pool2d(head[:, :, FACE_ROWS, FACE_COLUMNS], self.config.resolution)

    def embed_aligned(self, faces: torch.Tensor) -> torch.Tensor:
        """Aligned faces (B, 3, 112, 112) in [−1, 1] → unit embeddings (B, E); other sides are resized."""
        x = self.norm0(self.trunk(resize(faces, self.config.resolution)))
        x = self.norm1(self.embed(self.drop(x).flatten(1)))
        return F.normalize(x.float())

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.embed_aligned(self.face_window(image))
