"""Visibility of the surroundings at each vertex of the mean head, baked once and used for every person.

Three states are baked (neutral, lids closed, jaw open) and mixed by the expression, so that a closed lid is not as dark
as the fold it unrolls from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse

from mien.synth import shaders
from mien.synth.assets import EYE_LEFT, EYE_RIGHT, EYE_SOCKET, FACE, GUMS, NECK, SOCKET, HeadMesh, load_head
from mien.synth.deformation import Deformer
from mien.synth.graphics import open_context

NUM_DIRECTIONS = 128
_MAP_SIZE = 224
_BIAS_CM = 0.22
_SOFTNESS = 26.0
_EXTENT_CM = 19.0


def sphere_directions(count: int) -> np.ndarray:
    """(count, 3) unit vectors spread evenly (Fibonacci spiral)."""
    index = np.arange(count) + 0.5
    height = 1 - 2 * index / count
    angle = np.pi * (1 + 5**0.5) * index
    ring = np.sqrt(1 - height**2)
    return np.stack([ring * np.cos(angle), height, ring * np.sin(angle)], -1).astype(np.float32)


def _basis(direction: np.ndarray) -> np.ndarray:
    """Rows right, up, direction."""
    up = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = np.cross(up, direction)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(direction, right), direction])


def _visible(context: Any, head: HeadMesh, positions: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """(D, V) float32: 1 where a vertex sees the sky in a direction."""
    program = context.program(vertex_shader=shaders.DEPTH_VERTEX, fragment_shader=shaders.DEPTH_FRAGMENT)
    drawn = np.concatenate(
        [head.triangles[k] for k in (FACE, NECK, SOCKET, EYE_SOCKET, GUMS, EYE_LEFT, EYE_RIGHT)]
    ).astype(np.int32)
    array = context.vertex_array(
        program, [(context.buffer(positions.astype("f4")), "3f", "in_position")], context.buffer(drawn)
    )
    depth = context.depth_texture((_MAP_SIZE, _MAP_SIZE))
    target = context.framebuffer(depth_attachment=depth)
    target.use()
    context.enable_only(context.DEPTH_TEST)
    centre = np.array([0.0, 0.0, 1.0])
    seen = np.empty((len(directions), len(positions)), np.float32)
    for row, direction in zip(seen, directions, strict=True):
        basis = _basis(direction.astype(np.float64)) / _EXTENT_CM
        local = (positions - centre) @ basis.T
        view = np.eye(4)
        view[:3, :3] = basis * np.array([[1], [1], [-1]])
        view[:3, 3] = -view[:3, :3] @ centre
        program["view"].write(view.T.astype("f4").tobytes())
        target.clear()
        array.render()
        buffer = np.frombuffer(depth.read(), np.float32).reshape(_MAP_SIZE, _MAP_SIZE)
        cells = np.clip(((local[:, :2] + 1) * 0.5 * _MAP_SIZE).astype(np.int32), 0, _MAP_SIZE - 1)
        nearest = 1 - 2 * buffer[cells[:, 1], cells[:, 0]]
        row[:] = local[:, 2] > nearest - _BIAS_CM / _EXTENT_CM
    for item in (array, target, depth, program):
        item.release()
    return seen


def _neighbour_mean(head: HeadMesh) -> scipy.sparse.csr_matrix:
    """(V, V) average over a vertex, its neighbours and its copies: softens shadow edges between vertices."""
    triangles = np.concatenate(list(head.triangles.values()))
    welded = np.unique(head.welded, return_inverse=True)[1]
    edges = welded[np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])]
    count = int(welded.max()) + 1
    rows = np.concatenate([edges[:, 0], edges[:, 1], np.arange(count)])
    columns = np.concatenate([edges[:, 1], edges[:, 0], np.arange(count)])
    linked = scipy.sparse.csr_matrix((np.ones(len(rows), np.float32), (rows, columns)), shape=(count, count))
    first = np.zeros(count, np.int64)
    first[welded] = np.arange(len(welded))
    mean = scipy.sparse.diags(1 / np.asarray(linked.sum(1)).ravel()) @ linked
    pick = scipy.sparse.csr_matrix((np.ones(count, np.float32), (np.arange(count), first)), shape=(count, len(welded)))
    return (mean @ pick).tocsr()[welded].astype(np.float32)


@dataclass(frozen=True)
class Occlusion:
    """Baked visibility; see `mean_occlusion`.

    Attributes:
        directions: (D, 3) head-space unit vectors.
        visible: (3, D, V) float32 for the states neutral, lids closed, jaw open.
        ambient: (3, V) share of the surroundings that reaches a vertex.
        left: (V,) 1 on the subject's left half.
    """

    directions: np.ndarray
    visible: np.ndarray
    ambient: np.ndarray
    left: np.ndarray

    def shade(self, light: np.ndarray, blinks: tuple[float, float], jaw: float) -> np.ndarray:
        """(V, 2) share of a soft light from head-space direction `light`, and of the surroundings.

        Args:
            light: (3,) unit vector towards the light in head axes.
            blinks: closure of the subject's left and right lids, 0..1.
            jaw: jaw opening 0..1.
        """
        weights = np.exp(_SOFTNESS * (self.directions @ light - 1))
        nearest = np.argsort(weights)[-12:]
        weights = weights[nearest] / weights[nearest].sum()
        lids = np.where(self.left > 0, blinks[0], blinks[1]).astype(np.float32)

        def mixed(states: list[np.ndarray]) -> np.ndarray:
            neutral, closed, open_ = states
            return np.clip(neutral + lids * (closed - neutral) + jaw * (open_ - neutral), 0, 1)

        key = mixed([weights @ state[nearest] for state in self.visible])
        return np.stack([key, mixed(list(self.ambient))], -1).astype(np.float32)


def _bake_states(deformer: Deformer) -> list[tuple[np.ndarray, np.ndarray]]:
    """Positions and normals of the mean head: neutral, lids closed, jaw open."""
    states = []
    for raised in ((), ("eyeBlinkLeft", "eyeBlinkRight"), ("jawOpen",)):
        expression = np.array([float(name in raised) for name in deformer.head.arkit_names])
        positions = deformer.express(deformer.head.rest, expression)
        states.append((positions, deformer.normals(positions)))
    return states


@lru_cache(maxsize=1)
def mean_occlusion() -> Occlusion:
    """Render the mean head from all directions and note what each vertex sees; a few seconds, once per process.

    Raises:
        MissingDataError, MissingExtraError, RenderError: rendering is not possible here.
    """
    head = load_head()
    directions = sphere_directions(NUM_DIRECTIONS)
    blur = _neighbour_mean(head)
    visible, ambient = [], []
    context = open_context()
    with context:
        for positions, normals in _bake_states(Deformer(head)):
            seen = _visible(context, head, positions, directions)
            for _ in range(2):
                seen = np.ascontiguousarray((blur @ seen.T).T)
            facing = np.maximum(directions @ normals.T, 0)
            visible.append(seen)
            ambient.append((seen * facing).sum(0) / np.maximum(facing.sum(0), 1e-6))
    context.release()
    return Occlusion(directions, np.stack(visible), np.stack(ambient), (head.rest[:, 0] > 0).astype(np.float32))
