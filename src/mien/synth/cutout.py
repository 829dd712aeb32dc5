"""Cuts a person out of a photograph: matte, clean colours at the edges, what is behind, and a sheet of depths."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mien.synth.assets import HeadMesh
from mien.synth.fitting import FACE_OVAL, HeadFit
from mien.synth.rasterising import Coverage
from mien.synth.unwrapping import SeenHead, pull_push, smoothstep

GRID = 113
"""Vertices of the sheet along a side."""
GRID_MARGIN = 0.15
"""By how much the sheet reaches beyond the photograph, as a share of its side."""
RING = 72
"""Directions in which the skull takes colour and size from the hair."""
_WORK = 256
_HAIR_BEHIND_CM = 1.5
_RING_SCALE = (0.97, 1.35)


@dataclass(frozen=True)
class Cutout:
    """A person cut out of a photograph of side S.

    Attributes:
        colour: (S, S, 3) uint8, continued beyond the matte's edge.
        matte: (S, S) uint8 opacity.
        background: (S, S, 3) uint8, without the person.
    """

    colour: np.ndarray
    matte: np.ndarray
    background: np.ndarray


@dataclass(frozen=True)
class Sheet:
    """The photograph as a surface that turns with the head: hair, neck, shoulders.

    Attributes:
        depth: (GRID²,) cm in front of the camera.
        ring_colour: (RING, 3) display values of the hair's edge by direction, 0 = towards +x, counter-clockwise.
        ring_scale: (RING,) size of the skull that meets the hair's outline.
    """

    depth: np.ndarray
    ring_colour: np.ndarray
    ring_scale: np.ndarray


def grid_pixels(side: int) -> np.ndarray:
    """(GRID², 2) pixels (x, y) under the vertices of the sheet."""
    line = (np.linspace(-GRID_MARGIN, 1 + GRID_MARGIN, GRID) * side) - 0.5
    x, y = np.meshgrid(line, line)
    return np.column_stack([x.ravel(), y.ravel()])


def grid_triangles() -> np.ndarray:
    """(T, 3) triangles of the sheet."""
    first = (np.arange(GRID - 1)[:, None] * GRID + np.arange(GRID - 1)).ravel()
    a, b, c, d = first, first + 1, first + GRID, first + GRID + 1
    return np.concatenate([np.column_stack([a, c, b]), np.column_stack([b, c, d])])


def guided_filter(guide: np.ndarray, values: np.ndarray, radius: int, epsilon: float) -> np.ndarray:
    """Smooth `values` (H, W) along the edges of `guide` (H, W), both float32 (He, Sun, Tang 2010)."""
    window = (2 * radius + 1, 2 * radius + 1)

    def mean(picture: np.ndarray) -> np.ndarray:
        return cv2.blur(picture, window)

    mean_guide, mean_values = mean(guide), mean(values)
    slope = (mean(guide * values) - mean_guide * mean_values) / (mean(guide * guide) - mean_guide**2 + epsilon)
    return mean(slope) * guide + mean(mean_values - slope * mean_guide)


def _grabcut_start(size: int, points: np.ndarray, head: np.ndarray) -> np.ndarray:
    """Sure and probable person and background before GrabCut, from face points in pixels of `size`."""
    labels = np.full((size, size), cv2.GC_BGD, np.uint8)
    top, chin = points[10], points[152]
    up = top - chin
    height = float(np.linalg.norm(up))
    middle = (top + chin) / 2 + 0.12 * up
    tilt = float(np.degrees(np.arctan2(up[0], -up[1])))
    cv2.ellipse(labels, (tuple(middle.tolist()), (1.9 * height, 2.25 * height), tilt), int(cv2.GC_PR_BGD), -1)
    body = [[chin[0] - 0.45 * height, chin[1]], [chin[0] + 0.45 * height, chin[1]], [size + 5, chin[1] + 0.2 * height],
            [size + 5, size + 5], [-5, size + 5], [-5, chin[1] + 0.2 * height]]  # fmt: skip
    cv2.fillPoly(labels, [np.rint(body).astype(np.int32)], int(cv2.GC_PR_BGD))
    cv2.ellipse(labels, (tuple(middle.tolist()), (1.35 * height, 1.7 * height), tilt), int(cv2.GC_PR_FGD), -1)
    torso = [[chin[0] - 0.4 * height, chin[1] + 0.1 * height], [chin[0] + 0.4 * height, chin[1] + 0.1 * height],
             [chin[0] + 1.2 * height, chin[1] + 0.55 * height], [chin[0] + 1.5 * height, size + 5],
             [chin[0] - 1.5 * height, size + 5], [chin[0] - 1.2 * height, chin[1] + 0.55 * height]]  # fmt: skip
    cv2.fillPoly(labels, [np.rint(torso).astype(np.int32)], int(cv2.GC_PR_FGD))
    labels[head] = cv2.GC_FGD
    oval = np.rint(points[list(FACE_OVAL)]).astype(np.int32)
    cv2.fillConvexPoly(labels, cv2.convexHull(oval), int(cv2.GC_FGD))
    neck = [[chin[0] - 0.22 * height, chin[1]], [chin[0] + 0.22 * height, chin[1]],
            [chin[0] + 0.3 * height, size + 5], [chin[0] - 0.3 * height, size + 5]]  # fmt: skip
    cv2.fillPoly(labels, [np.rint(neck).astype(np.int32)], int(cv2.GC_FGD))
    return labels


def cut_out(photo: np.ndarray, points: np.ndarray, view: Coverage) -> Cutout:
    """Separate a person from the background.

    Args:
        photo: (S, S, 3) uint8.
        points: (468 or more, 2) MediaPipe's points in pixels.
        view: what the fitted head covers of the photograph.
    """
    side = len(photo)
    small = cv2.resize(photo, (_WORK, _WORK), interpolation=cv2.INTER_AREA)
    head = cv2.resize(view.is_covered.astype(np.uint8), (_WORK, _WORK), interpolation=cv2.INTER_NEAREST)
    head = cv2.erode(head, np.ones((9, 9), np.uint8)) > 0
    head[int(points[152, 1] * _WORK / side) :] = False
    labels = _grabcut_start(_WORK, points[:, :2] * _WORK / side, head)
    cv2.setRNGSeed(1)
    cv2.grabCut(small, labels, (0, 0, 1, 1), np.zeros((1, 65)), np.zeros((1, 65)), 6, cv2.GC_INIT_WITH_MASK)
    person = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11)))
    person = _largest(cv2.morphologyEx(person, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)))
    guide = cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    rough = cv2.resize(person.astype(np.float32), (side, side), interpolation=cv2.INTER_LINEAR)
    matte = smoothstep(0.3, 0.85, guided_filter(guide, rough, max(2, side // 90), 2e-4)).astype(np.float32)
    colour = pull_push(photo.astype(np.float32), cv2.erode((matte > 0.95).astype(np.float32), np.ones((3, 3))))
    colour = np.where(matte[..., None] > 0.95, photo, colour)
    around = cv2.dilate((matte > 0.02).astype(np.float32), np.ones((side // 40, side // 40)))
    behind = pull_push(photo.astype(np.float32), 1 - around)
    behind = cv2.GaussianBlur(behind, (0, 0), side / 128) * around[..., None] + photo * (1 - around[..., None])
    behind = cv2.GaussianBlur(behind, (0, 0), side / 200)
    return Cutout(_bytes(colour), _bytes(matte * 255), _bytes(behind))


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _largest(mask: np.ndarray) -> np.ndarray:
    """The largest connected part, without holes."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask)
    if count > 1:
        mask = (labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())).astype(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros_like(mask), outlines, -1, 1, -1)


def _sheet_depth(seen: SeenHead, view: Coverage, matte: np.ndarray, fit: HeadFit, head: HeadMesh) -> np.ndarray:
    """(S, S) depth in cm under every pixel: the head's own, and behind its edges that of hair."""
    side = len(matte)
    depth = view.spread(seen.depth[:, None])[..., 0].astype(np.float32)
    core = cv2.erode(view.is_covered.astype(np.uint8), np.ones((side // 50, side // 50), np.uint8))
    middle = -float(fit.to_camera(np.array([[0.0, 3.0, 1.0]]))[0, 2])
    chin_y = float(seen.pixels[head.landmarks[8], 1])
    reach = cv2.distanceTransform(1 - view.is_covered.astype(np.uint8), cv2.DIST_L2, 3)
    rows = np.arange(side)[:, None] - chin_y
    beside = (reach > side / 28) & (rows < 0.05 * side)
    known = core.astype(np.float32)
    depth = np.where(beside, middle + _HAIR_BEHIND_CM, depth)
    known = np.maximum(known, beside.astype(np.float32))
    below = (reach > side / 16) & (rows > 0.12 * side)
    depth = np.where(below, middle + 0.5, depth)
    known = np.maximum(known, below.astype(np.float32))
    filled = pull_push(depth[..., None], known)[..., 0]
    return cv2.GaussianBlur(filled, (0, 0), side / 150)


def make_sheet(seen: SeenHead, view: Coverage, cutout: Cutout, fit: HeadFit, head: HeadMesh) -> Sheet:
    """The photograph as a surface in space.

    Args:
        seen: the head in the photograph.
        view: what it covers.
        cutout: the person.
        fit: the fit.
        head: the mesh.
    """
    side = len(cutout.matte)
    depth = _sheet_depth(seen, view, cutout.matte, fit, head)
    pixels = grid_pixels(side)
    at = np.clip(pixels, 0, side - 1).astype(np.float32).reshape(GRID, GRID, 2)
    depths = cv2.remap(depth, at[..., 0], at[..., 1], cv2.INTER_LINEAR).ravel()
    colours, scales = _ring(seen, view, cutout, fit, head)
    return Sheet(depths.astype(np.float32), colours, scales)


def _ring(
    seen: SeenHead, view: Coverage, cutout: Cutout, fit: HeadFit, head: HeadMesh
) -> tuple[np.ndarray, np.ndarray]:
    """Colour of the hair's edge, and how far it lies outside the bare skull, by direction from the head's middle."""
    side = len(cutout.matte)
    middle = fit.lens.project(fit.to_camera(np.array([[0.0, 4.0, 0.0]])))[0]
    up = fit.lens.project(fit.to_camera(np.array([[0.0, 9.0, 0.0]])))[0] - middle
    turn = np.arctan2(-up[1], up[0]) - np.pi / 2
    angle = 2 * np.pi * np.arange(RING) / RING + turn
    steps = np.arange(0, int(0.6 * side))
    x = middle[0] + np.cos(angle)[:, None] * steps
    y = middle[1] - np.sin(angle)[:, None] * steps
    at = (x.astype(np.float32), y.astype(np.float32))
    inside = cv2.remap(cutout.matte, *at, cv2.INTER_LINEAR, borderValue=0) > 128
    skull = cv2.remap(view.is_covered.astype(np.uint8), *at, cv2.INTER_NEAREST, borderValue=0) > 0
    colour = cv2.remap(cutout.colour, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    colours, scales = np.zeros((RING, 3), np.float32), np.ones(RING, np.float32)
    for i in range(RING):
        first_out = int(np.argmin(inside[i])) if not inside[i].all() else len(steps)
        edge = max(8, first_out)
        bare = max(8, len(steps) - int(np.argmax(skull[i][::-1])) if skull[i].any() else 8)
        scales[i] = edge / bare
        start = max(int(0.85 * edge), min(bare, edge - 3))
        colours[i] = np.median(colour[i, min(start, edge - 3) : edge - 1], 0)
    height = np.sin(2 * np.pi * np.arange(RING) / RING)
    upper = height > -0.35
    # Straight down there is no edge but clothes: the nape has the colour of the cheeks.
    colours[~upper] = np.median(colours[(height > -0.35) & (height < -0.1)], 0)
    scales = np.where(upper, np.clip(scales, *_RING_SCALE), 1.0)
    blurred = cv2.GaussianBlur(np.tile(np.column_stack([colours, scales]), (3, 1)), (1, 9), 2.0)[RING : 2 * RING]
    return blurred[:, :3], blurred[:, 3]
