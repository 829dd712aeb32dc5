"""Motion spaces: the one home of the map between face parameters and the coordinates q that directions read.

A coordinate's natural value is a linear reading of the parameters: degrees for angles, unit weights for ARKit
expressions, radians for FLAME's jaw, sigmas for FLAME's expressions. q scales its working range [min, max] to [-6, 6]
(METHODS section 1): q = (value − (max + min)/2) · 12 / (max − min).

`arkit` is the space of the default bundle, `deca15` that of the published weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from mien.errors import InputError
from mien.face3d.euler import deca_from_house, house_from_deca
from mien.face3d.mirroring import MIRRORED_COEFFICIENTS
from mien.face3d.params import ARKIT_NAMES, DECA_NAMES, FaceModel, FaceParams

Q_LIMIT = 6.0
ANGLE_NAMES = ("yaw", "pitch", "roll")

_BOTH = {
    "mouth_smile": "mouthSmile",
    "mouth_frown": "mouthFrown",
    "mouth_stretch": "mouthStretch",
    "mouth_upper_up": "mouthUpperUp",
    "mouth_lower_down": "mouthLowerDown",
    "mouth_press": "mouthPress",
    "brow_outer_up": "browOuterUp",
    "brow_down": "browDown",
    "eye_wide": "eyeWide",
    "eye_squint": "eyeSquint",
    "nose_sneer": "noseSneer",
}
_SINGLE = {
    "jaw_open": "jawOpen",
    "mouth_pucker": "mouthPucker",
    "mouth_funnel": "mouthFunnel",
    "brow_inner_up": "browInnerUp",
    "blink_left": "eyeBlinkLeft",
    "blink_right": "eyeBlinkRight",
    "cheek_puff": "cheekPuff",
}
_SIGNED = {
    "jaw_side": ({"jawLeft": 1.0}, {"jawRight": 1.0}),
    "mouth_side": ({"mouthLeft": 1.0}, {"mouthRight": 1.0}),
    "gaze_x": ({"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}, {"eyeLookInLeft": 0.5, "eyeLookOutRight": 0.5}),
    "gaze_y": ({"eyeLookUpLeft": 0.5, "eyeLookUpRight": 0.5}, {"eyeLookDownLeft": 0.5, "eyeLookDownRight": 0.5}),
    "mouth_roll": ({"mouthRollLower": 0.5, "mouthRollUpper": 0.5}, {}),
}
ARKIT_COORDINATES: tuple[str, ...] = (
    *ANGLE_NAMES,
    "jaw_open jaw_side mouth_smile mouth_side mouth_frown mouth_pucker mouth_funnel mouth_stretch",
    "mouth_upper_up mouth_lower_down mouth_press mouth_roll brow_inner_up brow_outer_up brow_down",
    "blink_left blink_right eye_wide eye_squint gaze_x gaze_y cheek_puff nose_sneer",
)
ARKIT_COORDINATES = tuple(" ".join(ARKIT_COORDINATES).split())
"""Names of the default motion space. Positive jaw_side, mouth_side and gaze_x point to the image's right, gaze_y up."""

GROUPS: Mapping[str, tuple[str, ...]] = {
    "pose": ANGLE_NAMES,
    "mouth": tuple(n for n in ARKIT_COORDINATES if n.startswith(("jaw", "mouth", "cheek", "nose"))),
    "brows": tuple(n for n in ARKIT_COORDINATES if n.startswith("brow")),
    "eyes": tuple(n for n in ARKIT_COORDINATES if n.startswith(("blink", "eye", "gaze"))),
}


@dataclass(frozen=True)
class MotionSpace:
    """A linear reading of face parameters with a working range per coordinate.

    Attributes:
        names: k coordinate names.
        encoding: (k, 3 + 51) weights on [yaw, pitch, roll in degrees | expression].
        decoding: (3 + 51, k) weights back; ARKit coefficients are clipped to 0…1 after it.
        ranges: (k, 2) natural values that map to −6 and +6; the first is the larger one where q runs the other way.
        trained: (k, 2) least and greatest natural values that results are taken to, where training pictures hardly went
            beyond; None: the ranges.
        lean_deg: lean in the picture plane up to which directions draw it; heads that lean farther are drawn upright,
            and the picture is turned (`mien.face3d.leaning`). None: nothing is turned.
        model: which `FaceParams` it reads and decodes to. For "deca" the angles here are DECA's with the house's signs,
            that is negated; they are converted exactly, and differ from the house's own in the second order.
    """

    names: tuple[str, ...]
    encoding: torch.Tensor
    decoding: torch.Tensor
    ranges: torch.Tensor
    trained: torch.Tensor | None = field(default=None, kw_only=True)
    lean_deg: float | None = field(default=None, kw_only=True)
    model: FaceModel = field(default="arkit", kw_only=True)

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Position of a coordinate; ValueError lists the known names."""
        if name not in self.names:
            raise ValueError(f"unknown coordinate {name!r}; known: {', '.join(self.names)}")
        return self.names.index(name)

    @property
    def is_angle(self) -> torch.Tensor:
        """(k,) which coordinates are angles of the head; the others are expressions."""
        return torch.tensor([name in ANGLE_NAMES for name in self.names])

    def read(self, params: FaceParams) -> torch.Tensor:
        """Natural values (B, k): degrees for angles, with the house's signs, and weights for expressions.

        Raises:
            InputError: parameters of another face model.
        """
        if params.model != self.model:
            raise InputError(f"these coordinates read {self.model} parameters; the tracker gave {params.model} ones")
        angles = -deca_from_house(params.angles) if self.model == "deca" else params.angles
        stacked = torch.cat([torch.rad2deg(angles), params.expression], 1)
        return stacked @ self.encoding.to(stacked).T

    def normalise(self, values: torch.Tensor) -> torch.Tensor:
        """Natural values (..., k) → coordinates q (..., k)."""
        low, high = self.ranges.to(values).unbind(1)
        return (values - (high + low) / 2) * (2 * Q_LIMIT / (high - low))

    def denormalise(self, q: torch.Tensor) -> torch.Tensor:
        """Coordinates q (..., k) → natural values (..., k)."""
        low, high = self.ranges.to(q).unbind(1)
        return q * ((high - low) / (2 * Q_LIMIT)) + (high + low) / 2

    def encode(self, params: FaceParams) -> torch.Tensor:
        """Face parameters → q (B, k); the working range is [−6, 6], values outside are not clipped here."""
        return self.normalise(self.read(params))

    def decode(self, q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """q (B, k) → angles (B, 3) in radians and expression (B, 51); coordinates the space lacks are zero.

        ARKit coefficients are clipped to 0…1, FLAME's are not clipped.
        """
        stacked = self.denormalise(q) @ self.decoding.to(q).T
        angles, expression = torch.deg2rad(stacked[:, :3]), stacked[:, 3:]
        if self.model == "deca":
            return house_from_deca(-angles), expression
        return angles, expression.clamp(0, 1)

    def limits(self) -> torch.Tensor:
        """(2, k) least and greatest q that results are taken to: those of `trained`, or ±6."""
        if self.trained is None:
            return torch.tensor([[-Q_LIMIT], [Q_LIMIT]]).expand(2, len(self))
        return self.normalise(self.trained.T).sort(0).values

    def mirror(self, q: torch.Tensor) -> torch.Tensor:
        """Coordinates q (..., k) of the same face in a mirror.

        Raises:
            ValueError: a space whose coefficients have no sides.
        """
        if self.model != "arkit":
            raise ValueError(f"coefficients of {self.model} have no left and right")
        stacked = self.denormalise(q) @ torch.linalg.pinv(self.encoding).to(q).T  # not clipped, unlike `decode`
        angles = stacked[..., :3] * stacked.new_tensor([-1.0, 1.0, -1.0])
        mirrored = torch.cat([angles, stacked[..., 3:][..., MIRRORED_COEFFICIENTS]], -1)
        return self.normalise(mirrored @ self.encoding.to(q).T)

    def with_ranges(self, ranges: torch.Tensor) -> MotionSpace:
        """The same space with another (k, 2) range table."""
        return replace(self, ranges=ranges)


def _weights(name: str) -> tuple[dict[str, float], dict[str, float]]:
    if name in _SINGLE:
        return {_SINGLE[name]: 1.0}, {}
    if name in _BOTH:
        return {f"{_BOTH[name]}Left": 0.5, f"{_BOTH[name]}Right": 0.5}, {}
    return _SIGNED[name]


def arkit_motion_space(ranges: torch.Tensor | None = None) -> MotionSpace:
    """The `arkit` space of METHODS section 1: head angles, jaw, mouth, brows, eyelids, gaze.

    Args:
        ranges: (k, 2) measured working ranges; by default ±45/±25/±20 degrees, −1…1 for signed and 0…1 for others.
    """
    width = 3 + len(ARKIT_NAMES)
    encoding = torch.zeros(len(ARKIT_COORDINATES), width)
    decoding = torch.zeros(width, len(ARKIT_COORDINATES))
    default = torch.tensor([[0.0, 1.0]]).repeat(len(ARKIT_COORDINATES), 1)
    default[:3] = torch.tensor([[-45.0, 45.0], [-25.0, 25.0], [-20.0, 20.0]])
    encoding[:3, :3] = decoding[:3, :3] = torch.eye(3)
    for row, name in enumerate(ARKIT_COORDINATES[3:], start=3):
        positive, negative = _weights(name)
        if negative:
            default[row, 0] = -1.0
        for sign, group in ((1.0, positive), (-1.0, negative)):
            for coefficient, weight in group.items():
                column = 3 + ARKIT_NAMES.index(coefficient)
                encoding[row, column] = sign * weight
                decoding[column, row] = sign
    return MotionSpace(ARKIT_COORDINATES, encoding, decoding, default if ranges is None else ranges)


DECA_ANGLE_RANGES_DEG = ((40.0, -40.0), (20.0, -20.0), (20.0, -20.0))
"""Yaw, pitch, roll (house's signs) that published weights map to −6 and +6; DECA's signs are the opposite ones."""


def deca_motion_space(ranges: torch.Tensor, *, roll: bool = True, num_expressions: int = 11) -> MotionSpace:
    """The `deca15` space of the published weights (METHODS section 1): angles, jaw, the first expressions.

    q of yaw, pitch and roll is DECA's angle · 6/40, 6/20, 6/20 per degree.

    Args:
        ranges: (54, 2) published table, rows yaw, pitch, roll, jaw, expression 0 … 49 (`mien.face3d.ranges`); the first
            three rows are not used.
        roll: False for weights of FFHQ, which leave it out and read one expression more instead (`num_expressions` 12).
        num_expressions: so that k = 3 + roll + num_expressions is the width of A.
    """
    kept = [0, 1, *([2] if roll else []), *range(3, 4 + num_expressions)]
    columns = (*ANGLE_NAMES, *DECA_NAMES)
    table = torch.cat([torch.tensor(DECA_ANGLE_RANGES_DEG, dtype=ranges.dtype), ranges[3:]])
    encoding = torch.eye(len(columns))[kept]
    names = tuple(columns[column] for column in kept)
    return MotionSpace(names, encoding, encoding.T.contiguous(), table[kept].float(), model="deca")
