"""What a tracker knows about a face in a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

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

DECA_NAMES: tuple[str, ...] = ("jaw_open", *(f"expression_{i}" for i in range(50)))
"""The 51 numbers of FLAME's motion: rotation of the jaw about x in radians (positive opens), expression 0 … 49."""

FaceModel = Literal["arkit", "deca"]
EXPRESSION_NAMES: dict[FaceModel, tuple[str, ...]] = {"arkit": ARKIT_NAMES, "deca": DECA_NAMES}
_TENSORS = ("angles", "expression", "landmarks", "valid", "score")


@dataclass(frozen=True)
class FaceParams:
    """Parameters of B faces, one per picture. Tensors share device and batch size; nothing here is ever mutated.

    Attributes:
        angles: (B, 3) yaw, pitch, roll in radians (house signs, see `mien.geometry`).
        expression: (B, 51) in the order of `EXPRESSION_NAMES[model]`: ARKit coefficients, 0 to 1, or for "deca" the
            jaw in radians and FLAME's expression coefficients in sigmas.
        landmarks: (B, 68, 2) Multi-PIE points (x, y) in pixels of the full picture.
        valid: (B,) bool; the other fields mean nothing where it is False.
        score: (B,) confidence 0 to 1.
        model: what `expression` means, "arkit" or "deca".
    """

    angles: torch.Tensor
    expression: torch.Tensor
    landmarks: torch.Tensor
    valid: torch.Tensor
    score: torch.Tensor
    model: FaceModel = field(default="arkit", kw_only=True)

    def __post_init__(self) -> None:
        if self.model not in EXPRESSION_NAMES:
            raise ValueError(f"FaceParams.model is {self.model!r}, expected one of {', '.join(EXPRESSION_NAMES)}")
        count = self.angles.shape[0]
        expected = {
            "angles": (count, 3),
            "expression": (count, len(EXPRESSION_NAMES[self.model])),
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
        return self._each(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> FaceParams:
        """The same faces on another device."""
        return self._each(lambda tensor: tensor.to(device))

    def moved(self, landmarks: torch.Tensor) -> FaceParams:
        """The same faces with other landmarks, (B, 68, 2)."""
        return replace(self, landmarks=landmarks)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> FaceParams:
        return replace(self, **{name: change(getattr(self, name)) for name in _TENSORS})

    @staticmethod
    def cat(parts: Sequence[FaceParams]) -> FaceParams:
        """Join along the batch dimension. Parts without a single valid face mean nothing and go with every model.

        Raises:
            ValueError: valid faces of different models.
        """
        models: set[FaceModel] = {part.model for part in parts}
        if len(models) > 1:
            models = {part.model for part in parts if bool(part.valid.any())} or {parts[0].model}
        if len(models) > 1:
            raise ValueError(f"parameters of different face models cannot be joined: {', '.join(sorted(models))}")
        joined = {name: torch.cat([getattr(part, name) for part in parts]) for name in _TENSORS}
        return FaceParams(**joined, model=models.pop())

    @staticmethod
    def invalid(count: int, model: FaceModel = "arkit") -> FaceParams:
        """`count` placeholders for pictures in which no face was found."""
        return FaceParams(
            angles=torch.zeros(count, 3),
            expression=torch.zeros(count, len(EXPRESSION_NAMES[model])),
            landmarks=torch.zeros(count, 68, 2),
            valid=torch.zeros(count, dtype=torch.bool),
            score=torch.zeros(count),
            model=model,
        )
