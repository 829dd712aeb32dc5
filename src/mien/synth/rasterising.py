"""Which triangle lies under each pixel, and where in it: the step between meshes and pictures made of numpy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_VERTEX = """#version 330
in vec4 in_position;
in vec3 in_corner;
out vec3 corner;
flat out int number;
void main() { corner = in_corner; number = gl_VertexID / 3; gl_Position = in_position; }
"""
_FRAGMENT = """#version 330
in vec3 corner;
flat in int number;
out vec4 pixel;
void main() { pixel = vec4(corner.xy, float(number), 1.0); }
"""


@dataclass(frozen=True)
class Coverage:
    """What a mesh covers of a picture.

    Attributes:
        vertices: (S, S, 3) vertex numbers of the triangle under each pixel; 0 where there is none.
        shares: (S, S, 3) barycentric coordinates, 0 where there is none.
    """

    vertices: np.ndarray
    shares: np.ndarray

    @property
    def is_covered(self) -> np.ndarray:
        """(S, S) bool."""
        return self.shares.sum(-1) > 0.5

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(S, S, C) interpolation of (V, C) vertex values; 0 where nothing is."""
        return np.einsum("yxk,yxkc->yxc", self.shares, values[self.vertices])


def rasterise(context: Any, triangles: np.ndarray, positions: np.ndarray, size: int) -> Coverage:
    """Draw triangles with a depth test; perspective needs w.

    Args:
        context: OpenGL context, current.
        triangles: (T, 3) vertex numbers, T under 2²⁴.
        positions: (V, 2) pixels (x, y), or (V, 3) with the depth in front of a pinhole camera in any unit.
        size: side of the picture in pixels.
    """
    depth = positions[:, 2] if positions.shape[1] == 3 else np.ones(len(positions))
    plane = (2 * positions[:, :2] + 1) / size - 1
    near, far = 0.5 * depth.min(), 2 * depth.max()
    slope = ((far + near) * depth - 2 * far * near) / (far - near)
    clip = np.column_stack([plane * depth[:, None], slope if positions.shape[1] == 3 else 0 * depth, depth])
    corners = np.tile(np.eye(3), (len(triangles), 1))
    content = np.column_stack([clip[triangles.reshape(-1)], corners]).astype("f4")
    program = context.program(vertex_shader=_VERTEX, fragment_shader=_FRAGMENT)
    buffer = context.buffer(content.tobytes())
    array = context.vertex_array(program, [(buffer, "4f 3f", "in_position", "in_corner")])
    colour, depths = context.texture((size, size), 4, dtype="f4"), context.depth_texture((size, size))
    target = context.framebuffer([colour], depths)
    try:
        target.use()
        context.enable_only(context.DEPTH_TEST)
        target.clear()
        array.render()
        drawn = np.frombuffer(colour.read(), np.float32).reshape(size, size, 4)
    finally:
        for item in (target, depths, colour, array, buffer, program):
            item.release()
    covered = drawn[..., 3] > 0.5
    number = np.where(covered, drawn[..., 2], 0).astype(np.int64)
    shares = np.concatenate([drawn[..., :2], 1 - drawn[..., :2].sum(-1, keepdims=True)], -1)
    return Coverage(np.where(covered[..., None], triangles[number], 0), np.where(covered[..., None], shares, 0))
