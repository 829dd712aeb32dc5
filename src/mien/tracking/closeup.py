"""A second, enlarged look at mouth and eyes, which corrects what the face regressor read of their expression.

In the regressor's crop a mouth is a few dozen pixels wide and an eye a dozen. Close-ups are cut from the picture
itself, where the regressor's landmarks are, upright and as large as the face's square says; a small net adds
corrections to the logits of the coefficients that belong there. The mouth is read as it is and in a mirror, the left
eye mirrored onto the right one, so that a mirrored face has mirrored corrections.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from mien.alignment.crop import Crop
from mien.face3d.mirroring import MIRRORED_COEFFICIENTS
from mien.face3d.params import ARKIT_NAMES
from mien.images import to_tensor
from mien.tracking.framing import crop_matrix, upright_frame
from mien.tracking.layers import ConvNorm, ResidualBlock
from mien.tracking.regressor import FaceReading

MOUTH_SHARE, EYE_SHARE = 0.5, 0.28
"""Sides of the close-ups, as shares of the side of the face's square."""
MOUTH, RIGHT_EYE, LEFT_EYE = slice(48, 60), slice(36, 42), slice(42, 48)
"""Landmarks in whose middle they are cut."""
_CONTEXT = len(ARKIT_NAMES) + 3
_LOGIT_SCALE, _ANGLE_SCALE = 0.3, 2.0


def _indices(starts: tuple[str, ...], end: str = "") -> list[int]:
    return [i for i, name in enumerate(ARKIT_NAMES) if name.startswith(starts) and name.endswith(end)]


MOUTH_COEFFICIENTS = _indices(("jaw", "mouth"))
EYE_COEFFICIENTS = _indices(("eye",), "Right"), _indices(("eye",), "Left")
"""Of the right and of the left eye, in the same order."""


@dataclass(frozen=True, kw_only=True)
class CloseUpConfig:
    """Size of the net for close-ups.

    Attributes:
        mouth_px, eye_px: sides of the close-ups; multiples of 16.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of a close-up.
        squeeze: channels that reach the dense layers.
        hidden: width of the dense layers.
    """

    mouth_px: int = 96
    eye_px: int = 64
    widths: tuple[int, int, int, int] = (20, 32, 56, 96)
    squeeze: int = 24
    hidden: int = 96


class CloseUps(NamedTuple):
    """Enlarged cuts of B faces in [-1, 1].

    Attributes:
        mouth: (B, 3, mouth_px, mouth_px).
        eyes: (B, 2, 3, eye_px, eye_px) the right eye, and the left one in a mirror.
    """

    mouth: torch.Tensor
    eyes: torch.Tensor


class Closer(NamedTuple):
    """What close-ups of B faces say.

    Attributes:
        correction: (B, 51) to add to the logits that the regressor read; zero where close-ups say nothing.
        own: (B, 51) logits that the close-ups alone would give; the regressor's where they say nothing.
    """

    correction: torch.Tensor
    own: torch.Tensor


class CloseUpNet(nn.Module):
    """Two small residual networks, one for mouths and one for right eyes; corrections are zero before training.

    Each first reads its coefficients from pixels alone, which is what it learns most from, and then weighs that against
    what the regressor read. Each eye's answers also depend on what is seen of the other one, because eyes look the same
    way.

    Args:
        config: its size.
    """

    def __init__(self, config: CloseUpConfig) -> None:
        super().__init__()
        self.config = config
        width, mouths, eyes = config.hidden, len(MOUTH_COEFFICIENTS), len(EYE_COEFFICIENTS[0])
        self.mouth, self.eye = _tower(config, config.mouth_px), _tower(config, config.eye_px)
        self.mouth_own, self.eye_own = _own(width, mouths), _own(2 * width, eyes)
        self.mouth_answer = _answer(width + mouths + _CONTEXT, width, mouths)
        self.eye_answer = _answer(2 * width + eyes + _CONTEXT, width, eyes)

    def forward(self, seen: CloseUps, reading: FaceReading) -> Closer:
        """What the close-ups say about B faces.

        Args:
            seen: close-ups of B faces.
            reading: of the same faces, as they lie in an upright crop.
        """
        context = torch.stack([_context(reading), _context(reading, mirror=True)], 1)
        mouths = self.mouth(torch.stack([seen.mouth, seen.mouth.flip(3)], 1).flatten(0, 1)).unflatten(0, (-1, 2))
        eyes = self.eye(seen.eyes.flatten(0, 1)).unflatten(0, (-1, 2))
        eyes = torch.cat([eyes, eyes.flip(1)], 2)
        mouths_own, eyes_own = self.mouth_own(mouths), self.eye_own(eyes)
        correction = _placed(
            self.mouth_answer(torch.cat([mouths, mouths_own, context.to(mouths)], 2)),
            self.eye_answer(torch.cat([eyes, eyes_own, context.to(eyes)], 2)),
            torch.zeros_like(reading.expression),
        )
        return Closer(correction, _placed(mouths_own, eyes_own, reading.expression))


def weakened(net: CloseUpNet, share: float) -> CloseUpNet:
    """A copy whose corrections are `share` of those of `net`: 0 changes nothing, 1 goes all the way."""
    net = copy.deepcopy(net)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name in ("mouth_answer.2.weight", "mouth_answer.2.bias", "eye_answer.2.weight", "eye_answer.2.bias"):
                parameter.mul_(share)
    return net


def _placed(mouths: torch.Tensor, eyes: torch.Tensor, rest: torch.Tensor) -> torch.Tensor:
    """(B, 51) mean of the answers to a mouth and its mirror image (B, 2, 27), answers to both eyes (B, 2, 7), rest."""
    sides = rest.new_zeros(len(rest), 2, len(ARKIT_NAMES))
    sides[:, :, MOUTH_COEFFICIENTS] = mouths.to(rest)
    both = (sides[:, 0] + sides[:, 1][:, MIRRORED_COEFFICIENTS]) / 2
    placed = rest.clone()
    placed[:, MOUTH_COEFFICIENTS] = both[:, MOUTH_COEFFICIENTS]
    for side, coefficients in enumerate(EYE_COEFFICIENTS):
        placed[:, coefficients] = eyes[:, side].to(rest)
    return placed


def _tower(config: CloseUpConfig, size: int) -> nn.Sequential:
    a, b, c, d = config.widths
    return nn.Sequential(
        ConvNorm(3, a, stride=2),
        ResidualBlock(a, b, 2),
        ResidualBlock(b, c, 2),
        ResidualBlock(c, d, 2),
        ConvNorm(d, config.squeeze, kernel=1),
        nn.Flatten(),
        nn.Linear((size // 16) ** 2 * config.squeeze, config.hidden),
        nn.ReLU(),
    )


def _own(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.constant_(layer.bias, -2.0)
    return layer


def _answer(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), last)


def _context(reading: FaceReading, *, mirror: bool = False) -> torch.Tensor:
    """(B, 54) what the regressor read, of about unit size."""
    logits, angles = reading.expression, reading.angles
    if mirror:
        logits, angles = logits[:, MIRRORED_COEFFICIENTS], angles * angles.new_tensor([-1.0, 1.0, -1.0])
    return torch.cat([_LOGIT_SCALE * logits, _ANGLE_SCALE * angles], 1)


def cut_closeups(pictures: Sequence[np.ndarray], landmarks: np.ndarray, config: CloseUpConfig) -> CloseUps:
    """Close-ups of one face in each picture, on the CPU.

    Args:
        pictures: uint8 (H, W, 3), any sizes.
        landmarks: (B, 68, 2) in pixels of the pictures.
        config: sizes of the close-ups.
    """
    mouths, eyes = [], []
    for picture, points in zip(pictures, np.asarray(landmarks, np.float64), strict=True):
        mouths.append(_cut(picture, points, MOUTH, MOUTH_SHARE, config.mouth_px))
        right, left = (_cut(picture, points, eye, EYE_SHARE, config.eye_px) for eye in (RIGHT_EYE, LEFT_EYE))
        eyes += [right, left[:, ::-1]]
    return CloseUps(to_tensor(mouths), to_tensor(eyes).unflatten(0, (-1, 2)))


def _cut(picture: np.ndarray, points: np.ndarray, part: slice, share: float, size: int) -> np.ndarray:
    """The square around the middle of a part, upright as the face, of a share of its square's side."""
    _, side, tilt = upright_frame(points)
    matrix = crop_matrix(points[part].mean(0), share * max(side, 1.0), tilt, size)
    return Crop(matrix, size).apply(picture)
