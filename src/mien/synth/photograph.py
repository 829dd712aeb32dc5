"""A photograph taken apart into a person who can be rendered: shape, face texture, light, hair and body, eyes.

`mien.synth.photo_renderer` puts the parts together again in another pose, expression, light and place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np

from mien.errors import InputError
from mien.synth.assets import load_head
from mien.synth.cutout import cut_out, grid_pixels, make_sheet
from mien.synth.deformation import Deformer, rotation_matrix
from mien.synth.fitting import HeadFit, Lens, fit_head
from mien.synth.framing import PIVOT_CM
from mien.synth.graphics import open_context
from mien.synth.unwrapping import Unwrapper, see_head

TEXTURE_PX = 512
PHOTO_PX = 512
_IRIS = {"right": (468, (469, 470, 471, 472)), "left": (473, (474, 475, 476, 477))}
_MAX_YAW, _MAX_PITCH = np.radians(17.0), np.radians(18.0)
_MAX_ERROR = 0.0045
_MAX_JAW = 0.2
_MAX_CUT = 0.12
_MAX_SIDE_LIGHT = 0.75


@dataclass(frozen=True, kw_only=True)
class PhotoHead:
    """One photographed person, in parts.

    Attributes:
        name: of the photograph.
        identity: (100,) float32 weights of the shape modes.
        albedo: (P, P, 3) uint8 face texture.
        confidence: (P, P) uint8 how well each texel was seen.
        light: (9,) float32 light of the photograph.
        colour: (S, S, 3) uint8 the person, continued beyond the edge.
        matte: (S, S) uint8 opacity.
        background: (B, B, 3) uint8 what is behind the person.
            depth: (GRID²,) float32 cm, of the sheet of hair and body in front of the photograph's camera.
        lens: (3,) float32 focal length and principal point of that camera, pixels.
        angles, translation: (3,) float32 radians and cm, pose of the head before it.
        ring_colour, ring_scale: (RING, 3), (RING,) float32 colour and size of the hair's edge by direction.
        iris: (3,) float32 colour of the iris, display values 0..1.
        lid_rest: (1,) float32 closure of the lids at rest.
    """

    name: str
    identity: np.ndarray
    albedo: np.ndarray
    confidence: np.ndarray
    light: np.ndarray
    colour: np.ndarray
    matte: np.ndarray
    background: np.ndarray
    depth: np.ndarray
    lens: np.ndarray
    angles: np.ndarray
    translation: np.ndarray
    ring_colour: np.ndarray
    ring_scale: np.ndarray
    iris: np.ndarray
    lid_rest: np.ndarray

    def sheet(self) -> np.ndarray:
        """(GRID², 3) cm from the neck's pivot, axes of the photograph's camera: where hair and body are."""
        lens = Lens(float(self.lens[0]), self.lens[1:])
        pivot = rotation_matrix(self.angles) @ PIVOT_CM + self.translation
        return lens.rays(grid_pixels(PHOTO_PX)) * self.depth[:, None] - pivot

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Every part but the name."""
        for field in fields(self):
            if field.name != "name":
                yield field.name, getattr(self, field.name)


def iris_colour(photo: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(3,) display colour 0..1 of the irises: the median of their lower half, which lids shade least.

    Args:
        photo: (S, S, 3) uint8.
        points: (478, 2) MediaPipe's points in pixels.
    """
    samples = []
    y, x = np.mgrid[: len(photo), : photo.shape[1]]
    for middle, rim in _IRIS.values():
        centre = points[middle]
        radius = float(np.linalg.norm(points[list(rim)] - centre, axis=1).mean())
        distance = np.hypot(x - centre[0], y - centre[1]) / max(radius, 1.0)
        rows = (distance > 0.45) & (distance < 0.85) & (y > centre[1])
        samples.append(photo[rows].reshape(-1, 3))
    pixels = np.concatenate(samples).astype(np.float32)
    if len(pixels) < 4:
        return np.array([0.16, 0.10, 0.07], np.float32)
    dark = pixels[pixels.sum(1) <= np.quantile(pixels.sum(1), 0.8)]
    return np.clip(np.median(dark, 0) / 255, 0.04, 0.6)


class PhotoTaker:
    """Takes photographs apart. Owns an OpenGL context: use it in the thread and process that made it.

    Raises:
        MissingExtraError, RenderError, MissingDataError: rendering is not possible here.
    """

    def __init__(self) -> None:
        self._head = load_head()
        self._deformer = Deformer(self._head)
        self._context: Any = open_context()
        self._unwrapper = Unwrapper(self._context, self._head, TEXTURE_PX)

    def __enter__(self) -> PhotoTaker:
        return self

    def __exit__(self, *error: object) -> None:
        self._context.release()

    def take(self, name: str, photo: np.ndarray, points: np.ndarray, scores: np.ndarray) -> PhotoHead:
        """The parts of one photograph.

        Args:
            name: what to call it.
            photo: (512, 512, 3) uint8 with one whole head.
            points: (478, 2 or 3) MediaPipe's points in pixels.
            scores: (51,) its blendshape scores, `_neutral` left out.

        Raises:
            InputError: the photograph will not do; says why.
        """
        if photo.shape != (PHOTO_PX, PHOTO_PX, 3):
            raise InputError(f"{name}: {photo.shape} where a picture of {PHOTO_PX} x {PHOTO_PX} pixels is needed")
        points = np.asarray(points, np.float64)[:, :2]
        fit = fit_head(points, scores)
        check_fit(name, fit)
        base = self._deformer.identify(fit.identity.astype(np.float32))
        moved = (fit.expression.astype(np.float32) @ self._head.expression).reshape(-1, 3)
        positions = base + moved
        seen = see_head(fit, self._head, positions, self._deformer.normals(positions), points)
        blink = float(np.mean(scores[[self._head.arkit_names.index(f"eyeBlink{s}") for s in ("Left", "Right")]]))
        texture = self._unwrapper.unwrap(photo, seen, fit, blink)
        if np.linalg.norm(texture.light[1:4]) > _MAX_SIDE_LIGHT * 1.6:
            raise InputError(f"{name}: the light is too hard")
        view = self._unwrapper.view(seen, PHOTO_PX)
        cutout = cut_out(photo, points, view)
        check_matte(name, cutout.matte, points)
        sheet = make_sheet(seen, view, cutout, fit, self._head)
        return PhotoHead(
            name=name, identity=fit.identity.astype(np.float32), albedo=texture.albedo,
            confidence=np.rint(255 * texture.confidence).astype(np.uint8), light=texture.light.astype(np.float32),
            colour=cutout.colour, matte=cutout.matte,
            background=cv2.resize(cutout.background, (256, 256), interpolation=cv2.INTER_AREA),
            depth=sheet.depth, lens=np.array([fit.lens.focal, *fit.lens.centre], np.float32),
            angles=fit.angles.astype(np.float32), translation=fit.translation.astype(np.float32),
            ring_colour=sheet.ring_colour, ring_scale=sheet.ring_scale, iris=iris_colour(photo, points),
            lid_rest=np.array([np.clip(0.55 * blink, 0.0, 0.25)], np.float32),
        )  # fmt: skip


def check_fit(name: str, fit: HeadFit) -> None:
    """Refuse poses and expressions that leave too much of the face unseen or wrong.

    Raises:
        InputError: the photograph will not do; says why.
    """
    names = load_head().arkit_names
    jaw = float(fit.expression @ load_head().arkit_to_expression[names.index("jawOpen")])
    if abs(fit.angles[0]) > _MAX_YAW or abs(fit.angles[1]) > _MAX_PITCH:
        raise InputError(f"{name}: the head is turned too far")
    if fit.error > _MAX_ERROR:
        raise InputError(f"{name}: the head fits badly (mean error {100 * fit.error:.2f} % of the face's square)")
    if jaw > _MAX_JAW:
        raise InputError(f"{name}: the mouth is open")


def check_matte(name: str, matte: np.ndarray, points: np.ndarray) -> None:
    """Refuse photographs that cut the head, and mattes that cannot be right.

    Raises:
        InputError: the photograph will not do; says why.
    """
    top = matte[:2] > 128
    if top.mean() > _MAX_CUT:
        raise InputError(f"{name}: the photograph ends at the hair")
    height = np.linalg.norm(points[10] - points[152])
    area = (matte > 128)[: int(points[152, 1])].sum() / height**2
    if not 0.75 < area < 4.5:
        raise InputError(f"{name}: no clear outline of the head")


def sheet_uv() -> np.ndarray:
    """(GRID², 2) texture coordinates of the sheet in the photograph."""
    return ((grid_pixels(PHOTO_PX) + 0.5) / PHOTO_PX).astype(np.float32)
