"""From a photograph to the texture of a head: what the camera saw, freed of its light, and the rest filled in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from scipy.spatial import KDTree

from mien.synth.assets import EYE_LEFT, EYE_RIGHT, FACE, GUMS, NECK, SOCKET, TEETH, HeadMesh
from mien.synth.deformation import rotation_matrix
from mien.synth.fitting import FACE_OVAL, HeadFit, load_correspondence
from mien.synth.lighting import fit_light, shade_of, to_display, to_linear
from mien.synth.rasterising import Coverage, rasterise

_NOSTRILS = (
    2, 19, 20, 60, 75, 79, 94, 97, 98, 99, 125, 141, 166, 218, 238, 239, 241, 242, 250,
    289, 290, 305, 309, 326, 327, 328, 354, 370, 392, 438, 458, 459, 461, 462,
)  # fmt: skip
_WARP_NEIGHBOURS, _WARP_REACH = 24, 0.12
_FACING = (0.14, 0.38)
_TRUSTED = 0.5
_HIDDEN_CM = 0.35
_LID_TRAVEL_CM = (0.10, 0.40)
ALBEDO_RANGE = 1.6
"""Linear albedo of a texel of 255: highlights divided by a weak light exceed one."""


@dataclass(frozen=True)
class SeenHead:
    """A fitted head in its photograph.

    Attributes:
        positions: (V, 3) head axes, cm, with identity and expression.
        normals: (V, 3) head axes.
        pixels: (V, 2) where each vertex is seen, warped so that the face points lie exactly where they were found.
        depth: (V,) cm in front of the camera.
    """

    positions: np.ndarray
    normals: np.ndarray
    pixels: np.ndarray
    depth: np.ndarray


@dataclass(frozen=True)
class FaceTexture:
    """The texture of one face; rows run with the texture coordinate v.

    Attributes:
        albedo: (P, P, 3) uint8 display values of the face under a light of 1 / `ALBEDO_RANGE`.
        confidence: (P, P) float32 0..1, how well the photograph shows each texel.
        light: (9,) the photograph's own light.
    """

    albedo: np.ndarray
    confidence: np.ndarray
    light: np.ndarray


def see_head(fit: HeadFit, head: HeadMesh, positions: np.ndarray, normals: np.ndarray, points: np.ndarray) -> SeenHead:
    """Project a fitted head and pull the projection onto the face points that were found.

    Args:
        fit: the fit.
        head: the mesh.
        positions, normals: (V, 3) of the fitted shape, head axes.
        points: (468 or more, 2) MediaPipe's points in pixels.
    """
    marks = load_correspondence()
    camera = fit.to_camera(positions)
    pixels = fit.lens.project(camera)
    # Points of the outline slide over the head as it turns: they do not say where its skin is.
    kept = np.setdiff1d(np.flatnonzero(marks.weights > _TRUSTED), [*_NOSTRILS, *FACE_OVAL])
    anchors, moves = pixels[marks.vertices[kept]], points[kept, :2] - pixels[marks.vertices[kept]]
    distance, near = KDTree(anchors).query(pixels, _WARP_NEIGHBOURS)
    reach = _WARP_REACH * fit.side / 2
    nearest = np.maximum(distance[:, :1], 0.02 * fit.side)
    pull = marks.weights[kept][near] * np.exp(-((distance / (0.6 * nearest + 0.15 * reach)) ** 2))
    share = pull / np.maximum(pull.sum(1, keepdims=True), 1e-9)
    fade = np.exp(-((np.maximum(distance[:, :1] - 0.02 * fit.side, 0) / reach) ** 2))
    return SeenHead(positions, normals, pixels + fade * np.einsum("vk,vkc->vc", share, moves[near]), -camera[:, 2])


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def pull_push(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fill places of little weight from their surroundings, coarse to fine (Gortler et al., 1996).

    Args:
        values: (H, W, C) float32.
        weights: (H, W) 0..1.
    """
    weight = weights[..., None].astype(np.float32)
    levels: list[tuple[np.ndarray, np.ndarray]] = [(values.astype(np.float32) * weight, weight)]
    while min(levels[-1][0].shape[:2]) > 1:
        colour, weight = levels[-1]
        size = (max(1, colour.shape[1] // 2), max(1, colour.shape[0] // 2))
        small = cv2.resize(np.concatenate([colour, weight], 2), size, interpolation=cv2.INTER_AREA)
        levels.append((small[..., :-1], small[..., -1:]))
    filled = levels[-1][0] / np.maximum(levels[-1][1], 1e-6)
    for colour, weight in reversed(levels[:-1]):
        size = (colour.shape[1], colour.shape[0])
        coarse = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR).reshape(colour.shape)
        share = np.clip(weight, 0, 1)
        filled = share * (colour / np.maximum(weight, 1e-6)) + (1 - share) * coarse
    return filled


class Unwrapper:
    """Reads textures off photographs.

    Args:
        context: OpenGL context.
        head: the mesh.
        size: side of the textures.
    """

    def __init__(self, context: Any, head: HeadMesh, size: int) -> None:
        self._context, self._head, self.size = context, head, size
        with context:
            self.texels: Coverage = rasterise(context, head.triangles[FACE], head.uv * size - 0.5, size)
        solid = (FACE, NECK, EYE_LEFT, EYE_RIGHT, SOCKET, GUMS, TEETH)
        self._opaque = np.concatenate([head.triangles[kind] for kind in solid])
        blinks = [head.expression[int(head.arkit_to_expression[head.arkit_names.index(n)].argmax())]
                  for n in ("eyeBlinkLeft", "eyeBlinkRight")]  # fmt: skip
        self._lid_travel = np.linalg.norm(np.sum(blinks, 0).reshape(-1, 3), axis=1)

    def view(self, seen: SeenHead, size: int) -> Coverage:
        """What the head covers of a picture of side `size`."""
        with self._context:
            return rasterise(self._context, self._opaque, np.column_stack([seen.pixels, seen.depth]), size)

    def confidence(self, seen: SeenHead, fit: HeadFit, view: Coverage, closed: float) -> np.ndarray:
        """(P, P) how well each texel was seen.

        Args:
            seen: the head in the photograph.
            fit: the fit.
            view: what it covers of the photograph.
            closed: 0..1 closure of the eyes: open lids hide the skin above them.
        """
        at = self.texels.spread(seen.pixels).astype(np.float32)
        front = view.spread(seen.depth[:, None])[..., 0].astype(np.float32)
        front[~view.is_covered] = 1e3
        nearest = cv2.erode(front, np.ones((3, 3), np.uint8))
        nearest = cv2.remap(nearest, at[..., 0], at[..., 1], cv2.INTER_NEAREST, borderValue=1e3)
        is_visible = self.texels.spread(seen.depth[:, None])[..., 0] < nearest + _HIDDEN_CM
        camera = fit.to_camera(seen.positions)
        facing = -np.einsum("vc,vc->v", seen.normals @ rotation_matrix(fit.angles).T, camera)
        facing /= np.linalg.norm(camera, axis=1)
        facing_texels = self.texels.spread(facing[:, None])[..., 0]
        lids = smoothstep(*_LID_TRAVEL_CM, self.texels.spread(self._lid_travel[:, None])[..., 0] * (1 - closed))
        size = len(view.shares)
        inside = ((at > 1) & (at < size - 2)).all(-1)
        seen_well = smoothstep(*_FACING, facing_texels) * is_visible * inside * (1 - lids)
        return cv2.GaussianBlur(cv2.erode(seen_well.astype(np.float32), np.ones((3, 3))), (0, 0), self.size / 400)

    def unwrap(self, photo: np.ndarray, seen: SeenHead, fit: HeadFit, closed: float) -> FaceTexture:
        """The texture of a face.

        Args:
            photo: (S, S, 3) uint8.
            seen, fit, closed: as in `confidence`.
        """
        view = self.view(seen, len(photo))
        confidence = self.confidence(seen, fit, view, closed) * self.texels.is_covered
        at = self.texels.spread(seen.pixels).astype(np.float32)
        colour = cv2.remap(photo, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        linear = to_linear(colour.astype(np.float32) / 255)
        normals = self.texels.spread(seen.normals @ rotation_matrix(fit.angles).T)
        normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
        luminance = linear @ np.array([0.3, 0.6, 0.1])
        rows = confidence > 0.6
        light = fit_light(luminance[rows][::7], normals[rows][::7], confidence[rows][::7])
        albedo = linear / shade_of(light, normals)[..., None]
        albedo = fill_texture(albedo, confidence)
        display = np.clip(to_display(albedo / ALBEDO_RANGE) * 255 + 0.5, 0, 255).astype(np.uint8)
        return FaceTexture(display, confidence.astype(np.float32), light)


def fill_texture(albedo: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Fill what was not seen: from the other side of the face in matching colour, then from the surroundings.

    Args:
        albedo: (P, P, 3) linear.
        confidence: (P, P) 0..1.
    """
    mirrored, mirrored_confidence = albedo[:, ::-1], confidence[:, ::-1]
    both = (confidence * mirrored_confidence)[..., None]
    blur = albedo.shape[0] / 24
    ratio = cv2.GaussianBlur(both * albedo, (0, 0), blur) + 1e-4
    ratio /= cv2.GaussianBlur(both * mirrored, (0, 0), blur) + 1e-4
    weight = np.maximum(confidence, 1e-4)[..., None]
    borrowed = 0.7 * mirrored_confidence[..., None] * (1 - confidence[..., None])
    total = weight + borrowed
    values = (albedo * weight + mirrored * np.clip(ratio, 0.6, 1.6) * borrowed) / total
    known = np.clip(total[..., 0], 0, 1)
    return pull_push(values, known**2)
