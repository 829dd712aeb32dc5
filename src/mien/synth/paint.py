"""The face texture: skin, lips, brows, beard and blemishes painted in texture space.

`Canvas` knows for every texel which point of the neutral mean head it lies on, so that paint is placed in centimetres.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mien.synth.assets import FACE, HeadMesh
from mien.synth.people import Appearance, Brows

_BROW_DROP_CM = -0.5
"""The mesh's brow landmarks lie on the upper edge of the brow ridge; hair grows lower."""
REGION_SKIN, REGION_LIPS, REGION_BROW = 1, 4, 5


def _closed_curve(points: np.ndarray, steps: int = 8) -> np.ndarray:
    """Catmull-Rom spline through a closed polygon."""
    before, after, beyond = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (before, points, after, beyond))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return curve.reshape(-1, 2)


def _blob(rest: np.ndarray, centre: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    """Gaussian spot mirrored to both sides of the face, sizes in cm."""
    x = (np.abs(rest[..., 0]) - centre[0]) / size[0]
    y = (rest[..., 1] - centre[1]) / size[1]
    return np.exp(-0.5 * (x * x + y * y))


def _smooth(low: float, high: float, value: np.ndarray) -> np.ndarray:
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _noise_bank(size: int) -> list[np.ndarray]:
    """Fields of unit deviation: fine, medium and coarse."""
    rng = np.random.default_rng(7)
    bank = []
    for sigma in (0.6, size / 128, size / 24):
        field = cv2.GaussianBlur(rng.standard_normal((size, size)).astype(np.float32), (0, 0), sigma)
        bank.append((field - field.mean()) / field.std())
    return bank


@dataclass(frozen=True)
class Masks:
    """Where things are painted, (S, S) float32 in 0..1 each."""

    lips: np.ndarray
    lip_shade: np.ndarray
    blush: np.ndarray
    nose: np.ndarray
    bags: np.ndarray
    lids: np.ndarray
    liner: np.ndarray
    beard: np.ndarray
    folds: np.ndarray
    tame: np.ndarray


class Canvas:
    """Paints face textures of one size.

    Args:
        head: the head mesh.
        rest: (S, S, 3) float32 neutral position in cm under each texel.
    """

    def __init__(self, head: HeadMesh, rest: np.ndarray) -> None:
        self.size = rest.shape[0]
        self._uv = head.uv
        self._landmarks = head.uv[head.landmarks] * self.size - 0.5
        self._rest_landmarks = head.rest[head.landmarks]
        self._masks = self._make_masks(rest)
        self._noise = _noise_bank(self.size)
        self._to_uv = [self._fit_map(head, side) for side in (-1.0, 1.0)]

    def _polygon(self, points: np.ndarray, blur: float) -> np.ndarray:
        mask = np.zeros((self.size, self.size), np.uint8)
        cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        return cv2.GaussianBlur(mask, (0, 0), blur).astype(np.float32) / 255

    def _make_masks(self, rest: np.ndarray) -> Masks:
        x, y, z = np.abs(rest[..., 0]), rest[..., 1], rest[..., 2]
        unit = self.size / 384
        outer = _closed_curve(self._landmarks[48:60])
        centre = outer.mean(0)
        lips = self._polygon(centre + (outer - centre) * 1.03, 1.1 * unit)
        inner = self._polygon(_closed_curve(self._landmarks[60:68]), 1.0 * unit)
        liner = np.zeros_like(lips)
        for start in (36, 42):
            curve = _closed_curve(self._landmarks[start : start + 6])
            canvas = np.zeros((self.size, self.size), np.uint8)
            width = max(1, round(2 * unit))
            cv2.polylines(canvas, [np.rint(curve * 16).astype(np.int32)], True, 255, width, cv2.LINE_AA, 4)
            liner = np.maximum(liner, cv2.GaussianBlur(canvas, (0, 0), 1.2 * unit).astype(np.float32) / 255)
        top = np.interp(x, [0, 2.2, 2.9, 3.6, 4.6, 5.6, 6.4, 7.2], [-1.3, -1.5, -2.3, -2.3, -1.6, -0.2, 1.6, 3.4])
        beard = _smooth(0.45, -0.75, y - top) * _smooth(-11.5, -8.6, y) * _smooth(-2.0, 1.5, z) * (1 - lips)
        fold_x = 1.75 + 0.32 * np.clip(0.2 - y, 0, 4)
        folds = np.exp(-0.5 * ((x - fold_x) / 0.22) ** 2) * _smooth(-3.6, -2.2, y) * _smooth(0.3, -0.6, y)
        return Masks(
            lips=lips, lip_shade=inner * lips, blush=_blob(rest, (4.6, 0.4), (1.7, 1.3)),
            nose=_blob(rest, (0.0, 0.3), (1.1, 1.0)) + 0.4 * _blob(rest, (0.0, -6.6), (1.6, 0.8)),
            bags=_blob(rest, (2.8, 2.2), (1.3, 0.45)) + 0.5 * _blob(rest, (1.6, 2.9), (0.35, 0.6)),
            lids=_blob(rest, (3.1, 4.25), (1.5, 0.42)), liner=liner, beard=beard, folds=folds,
            tame=_smooth(-1.5, 1.0, z) * _smooth(-8.5, -7.0, y),
        )  # fmt: skip

    def _fit_map(self, head: HeadMesh, side: float) -> np.ndarray:
        """Cubic fit of texture coordinates on (x, y) over one brow, so that hairs can be placed in cm."""
        rest = head.rest
        near = (head.kind == FACE) & (rest[:, 2] > 5) & (rest[:, 1] > 4.5) & (rest[:, 1] < 8.0)
        near &= (rest[:, 0] * side > -0.6) & (rest[:, 0] * side < 6.8)
        basis = self._basis(rest[near, :2])
        return np.linalg.lstsq(basis, head.uv[near].astype(np.float64) * self.size - 0.5, rcond=None)[0]

    @staticmethod
    def _basis(xy: np.ndarray) -> np.ndarray:
        x, y = xy[..., 0] / 6, (xy[..., 1] - 6) / 2
        return np.stack([x**i * y**j for i in range(5) for j in range(4) if i + j <= 4], -1)

    def _brow_mask(self, brows: Brows, rng: np.random.Generator) -> np.ndarray:
        canvas = np.zeros((self.size, self.size), np.uint8)
        unit = self.size / 384
        count = int(90 + 110 * brows.density)
        for side, coefficients in ((-1.0, self._to_uv[0]), (1.0, self._to_uv[1])):
            points = self._rest_landmarks[17:22] if side < 0 else self._rest_landmarks[22:27][::-1]
            along = rng.beta(1.0, 1.15, count) * brows.tail
            knots = np.linspace(0, 1, 5)
            x = np.interp(along, knots, np.abs(points[::-1, 0])) + brows.gap
            y = np.interp(along, knots, points[::-1, 1]) + _BROW_DROP_CM + brows.raise_
            y = y + brows.arch * np.sin(np.pi * np.clip(along, 0, 1) ** 1.4)
            half = 0.5 * brows.thickness * (1 - 0.75 * along**2.2) * np.clip(0.5 + 2.0 * along, 0, 1)
            y = y + half * rng.uniform(-1, 1, count)
            lean = np.interp(along, [0, 0.2, 1], [0.95, 0.5, -0.3]) + rng.normal(0, 0.18, count)
            length = rng.uniform(0.25, 0.5, count) * np.clip(0.6 + 2 * along, 0, 1)
            roots = np.stack([side * x, y], -1)
            tips = roots + length[:, None] * np.stack([side * np.cos(lean), np.sin(lean)], -1)
            start, end = (self._basis(p) @ coefficients for p in (roots, tips))
            segments = np.rint(np.stack([start, end], 1) * 16).astype(np.int32)
            cv2.polylines(canvas, list(segments), False, 150, max(1, round(unit)), cv2.LINE_AA, 4)
        fine = canvas.astype(np.float32) / 255
        soft = cv2.GaussianBlur(fine, (0, 0), 2.2 * unit)
        return np.clip(0.55 * fine + (0.35 + 0.65 * brows.density) * soft, 0, 0.9)

    def _varied_noise(self, rng: np.random.Generator) -> list[np.ndarray]:
        shifted = []
        for field in self._noise:
            rows, columns = rng.integers(0, self.size, 2)
            rolled = np.roll(field, (int(rows), int(columns)), (0, 1))
            shifted.append(rolled[::-1] if rng.random() < 0.5 else rolled)
        return shifted

    def paint(self, look: Appearance) -> tuple[np.ndarray, np.ndarray]:
        """Texture of one appearance.

        Returns:
            (S, S, 4) uint8: sRGB colour and gloss; (S, S) uint8 region of each texel (skin, lips or brow).
        """
        rng = np.random.default_rng(look.paint_seed)
        masks, (fine, medium, coarse) = self._masks, self._varied_noise(rng)
        skin = look.skin.astype(np.float32)
        red = skin * np.array([1.0, 0.74, 0.72], np.float32)
        light = (0.010 * fine + 0.013 * medium + 0.016 * coarse) * look.mottle * masks.tame
        blush = np.clip((0.55 * masks.blush + 0.5 * masks.nose) * look.blush + 0.05 * coarse * masks.tame, 0, 1)
        shadow = look.eye_bags * 0.30 * masks.bags + 0.10 * masks.lids + look.age**2 * 0.34 * masks.folds
        colour = skin + blush[..., None] * (red - skin)
        tint = np.array([0.80, 1.0, 0.95], np.float32)
        colour = colour * (1 + light[..., None] - shadow[..., None] * tint)
        if look.freckles:
            spots = np.clip(medium - 1.2, 0, 1) * np.exp(-0.5 * ((self._masks.blush - 1) / 0.6) ** 2) * look.freckles
            colour = colour * (1 - spots[..., None] * np.array([0.18, 0.34, 0.42], np.float32))
        if look.stubble:
            dark = look.hair.colour * 0.6
            amount = masks.beard * np.clip(look.stubble * (0.66 + 0.10 * fine + 0.05 * medium), 0, 0.92)
            colour = colour + amount[..., None] * (dark.astype(np.float32) - colour)
        if look.makeup:
            shade = np.clip(look.lips * 0.5, 0, 1).astype(np.float32)
            colour = colour + (0.45 * look.makeup * masks.lids)[..., None] * (shade - colour)
        liner = np.clip(masks.liner * (0.45 + 0.5 * look.makeup), 0, 0.9)
        colour = colour * (1 - liner[..., None] * np.array([0.75, 0.85, 0.85], np.float32))
        lips = look.lips.astype(np.float32) * (1 + 0.04 * fine - 0.30 * masks.lip_shade)[..., None]
        colour = colour + (masks.lips * 0.92)[..., None] * (lips - colour)
        brow = self._brow_mask(look.brows, rng)
        colour = colour + (brow * 0.9)[..., None] * (look.brows.colour.astype(np.float32) - colour)
        gloss = np.clip(0.42 + 0.25 * masks.nose + 0.35 * masks.lips - 0.3 * brow - 0.25 * masks.beard, 0, 1)
        texture = np.concatenate([colour, gloss[..., None]], -1)
        regions = np.full((self.size, self.size), REGION_SKIN, np.uint8)
        regions[brow > 0.42] = REGION_BROW
        regions[masks.lips > 0.5] = REGION_LIPS
        return np.clip(texture * 255 + 0.5, 0, 255).astype(np.uint8), regions
