"""What a tracker knows about a face in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch

_PAIRED = "{0}Left {0}Right"
ARKIT_NAMES: tuple[str, ...] = tuple(
    " ".join(
        [
            _PAIRED.format("browDown"),
            "browInnerUp",
            _PAIRED.format("browOuterUp"),
            "cheekPuff",
            _PAIRED.format("cheekSquint"),
            _PAIRED.format("eyeBlink"),
            _PAIRED.format("eyeLookDown"),
            _PAIRED.format("eyeLookIn"),
            _PAIRED.format("eyeLookOut"),
            _PAIRED.format("eyeLookUp"),
            _PAIRED.format("eyeSquint"),
            _PAIRED.format("eyeWide"),
            "jawForward jawLeft jawOpen jawRight mouthClose",
            _PAIRED.format("mouthDimple"),
            _PAIRED.format("mouthFrown"),
            "mouthFunnel mouthLeft",
            _PAIRED.format("mouthLowerDown"),
            _PAIRED.format("mouthPress"),
            "mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper",
            _PAIRED.format("mouthSmile"),
            _PAIRED.format("mouthStretch"),
            _PAIRED.format("mouthUpperUp"),
            _PAIRED.format("noseSneer"),
        ]
    ).split()
)
"""The 51 ARKit coefficients in MediaPipe's order (without `_neutral`); Left and Right are the subject's."""


@dataclass(frozen=True)
class FaceParams:
    """Parameters of B faces, one per picture. Tensors share device and batch size; nothing here is ever mutated.

    Attributes:
        angles: (B, 3) yaw, pitch, roll in radians (house signs, see `mien.geometry`).
        expression: (B, 51) ARKit coefficients, 0 to 1, in the order of `ARKIT_NAMES`.
        landmarks: (B, 68, 2) Multi-PIE points (x, y) in pixels of the full picture.
        valid: (B,) bool; the other fields mean nothing where it is False.
        score: (B,) confidence 0 to 1.
    """

    angles: torch.Tensor
    expression: torch.Tensor
    landmarks: torch.Tensor
    valid: torch.Tensor
    score: torch.Tensor

    def __post_init__(self) -> None:
        count = self.angles.shape[0]
        expected = {
            "angles": (count, 3),
            "expression": (count, len(ARKIT_NAMES)),
            "landmarks": (count, 68, 2),
            "valid": (count,),
            "score": (count,),
        }
        for name, shape in expected.items():
            actual = tuple(getattr(self, name).shape)
            if actual != shape:
                raise ValueError(f"FaceParams.{name} has shape {actual}, expected {shape}")

    def __len__(self) -> int:
        return self.angles.shape[0]

    def __getitem__(self, index: int | slice | torch.Tensor) -> FaceParams:
        """Select faces; the batch dimension is kept, also for a single index."""
        if isinstance(index, int):
            index = torch.tensor([index])
        return FaceParams(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    def to(self, device: torch.device | str) -> FaceParams:
        """The same faces on another device."""
        return FaceParams(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def moved(self, landmarks: torch.Tensor) -> FaceParams:
        """The same faces with other landmarks, (B, 68, 2)."""
        return replace(self, landmarks=landmarks)

    @staticmethod
    def cat(parts: Sequence[FaceParams]) -> FaceParams:
        """Join along the batch dimension."""
        return FaceParams(**{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(FaceParams)})

    @staticmethod
    def invalid(count: int) -> FaceParams:
        """`count` placeholders for pictures in which no face was found."""
        return FaceParams(
            angles=torch.zeros(count, 3),
            expression=torch.zeros(count, len(ARKIT_NAMES)),
            landmarks=torch.zeros(count, 68, 2),
            valid=torch.zeros(count, dtype=torch.bool),
            score=torch.zeros(count),
        )
