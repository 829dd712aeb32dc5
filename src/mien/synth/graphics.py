"""OpenGL objects: context, programs, and the buffers of the head that all people share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from mien.errors import MissingExtraError, RenderError
from mien.synth import shaders
from mien.synth.assets import (
    EYE_LEFT,
    EYE_RIGHT,
    EYE_SOCKET,
    FACE,
    GUMS,
    LASHES,
    NECK,
    SOCKET,
    TEETH,
    HeadMesh,
)
from mien.synth.hair import scalp_triangles, strand_tangents, vertex_normals

_PROGRAMS = {
    "face": (shaders.SURFACE_VERTEX, shaders.FACE_FRAGMENT),
    "neck": (shaders.SURFACE_VERTEX, shaders.NECK_FRAGMENT),
    "inside": (shaders.SURFACE_VERTEX, shaders.INSIDE_FRAGMENT),
    "eye": (shaders.SURFACE_VERTEX, shaders.EYE_FRAGMENT),
    "lash": (shaders.SURFACE_VERTEX, shaders.LASH_FRAGMENT),
    "fur": (shaders.FUR_VERTEX, shaders.FUR_FRAGMENT),
    "hair": (shaders.HAIR_VERTEX, shaders.HAIR_FRAGMENT),
    "cloth": (shaders.HAIR_VERTEX, shaders.CLOTH_FRAGMENT),
}
_CHEST_Y_CM = -14.0
_STRAND_LAYOUT = ("in_position", "in_normal", "in_tangent", "in_uv", "in_neck", "in_depth")


def open_context() -> Any:
    """An off-screen OpenGL context through EGL.

    Raises:
        MissingExtraError: moderngl is not installed.
        RenderError: there is no usable OpenGL driver.
    """
    try:
        import moderngl
    except ImportError as error:
        raise MissingExtraError("moderngl", "synth") from error
    try:
        settings: dict[str, Any] = {"backend": "egl"}
        return moderngl.create_context(standalone=True, **settings)
    except Exception as error:  # moderngl raises bare Exception
        raise RenderError("No OpenGL context could be made through EGL; install a driver or Mesa.") from error


class Stage:
    """A context with everything that does not depend on the person.

    Attributes:
        arrays: drawable parts of the head by name.
        programs: shader programs by name.
        moving: buffer of positions, normals and occlusion.
        target, colour, depth: framebuffer that is drawn to, and its two textures.
        paint, paint_regions: textures of the face.

    Args:
        context: from `open_context`.
        head: the head mesh.
        side: side of the target in samples.
        paint_side: side of the face texture.
    """

    def __init__(self, context: Any, head: HeadMesh, side: int, paint_side: int) -> None:
        self.context, self._head, self._side = context, head, side
        self.programs = {n: context.program(vertex_shader=v, fragment_shader=f) for n, (v, f) in _PROGRAMS.items()}
        self.moving = context.buffer(reserve=len(head.rest) * 8 * 4, dynamic=True)
        self._margin = context.buffer(reserve=len(head.rest) * 4, dynamic=True)
        self._make_arrays()
        self.paint = context.texture((paint_side, paint_side), 4)
        self.paint_regions = context.texture((paint_side, paint_side), 1)
        self.paint_regions.filter = (context.NEAREST, context.NEAREST)
        self.colour = context.texture((side, side), 4)
        self.depth = context.depth_texture((side, side))
        self.target = context.framebuffer([self.colour], self.depth)

    def _make_arrays(self) -> None:
        head, context = self._head, self.context
        neck = np.clip((head.rest[:, 1] + 15.0) / 7.0, 0, 1)
        share = (neck * neck * (3 - 2 * neck))[:, None]
        static = context.buffer(np.concatenate([head.rest, head.uv, share], 1).astype("f4").tobytes())
        self._layout = [
            (self.moving, "3f 3f 2f", "in_position", "in_normal", "in_occlusion"),
            (static, "3f 2f 1f", "in_rest", "in_uv", "in_neck"),
            (self._margin, "1f", "in_hair"),
        ]
        part = dict(head.triangles)
        # The chest below any neckline would only show through clothes.
        part[FACE] = part[FACE][(head.rest[part[FACE], 1] > _CHEST_Y_CM).all(1)]
        parts = {
            "face": ("face", part[FACE]), "neck": ("neck", np.concatenate([part[NECK], part[EYE_SOCKET]])),
            "socket": ("inside", part[SOCKET]), "gums": ("inside", part[GUMS]), "teeth": ("inside", part[TEETH]),
            "eye_left": ("eye", part[EYE_LEFT]), "eye_right": ("eye", part[EYE_RIGHT]),
            "lash": ("lash", part[LASHES]),
            "fur": ("fur", scalp_triangles(head.rest, np.concatenate([part[FACE], part[NECK]]))),
        }  # fmt: skip
        self.arrays: dict[str, Any] = {}
        for name, (program, triangles) in parts.items():
            self.add_array(name, program, triangles)

    def add_array(self, name: str, program: str, triangles: np.ndarray, extra: Sequence[tuple[Any, ...]] = ()) -> None:
        """Add a drawable part of the head.

        Args:
            name: what to call it in `arrays`.
            program: key of `programs`.
            triangles: (T, 3) vertex numbers.
            extra: buffers of further vertex attributes, as moderngl takes them.
        """
        index = self.context.buffer(triangles.astype("i4").tobytes())
        content = [*self._layout, *extra]
        self.arrays[name] = self.context.vertex_array(self.programs[program], content, index, skip_errors=True)

    def strand_array(
        self, program: str, vertices: np.ndarray, triangles: np.ndarray, uv: np.ndarray, shares: np.ndarray
    ) -> tuple[Any, ...]:
        """A drawable mesh of hair or cloth and its buffers; the caller releases them.

        Args:
            program: `hair` or `cloth`.
            vertices: (V, 3) cm.
            triangles: (T, 3).
            uv: (V, 2).
            shares: (V, 2) share of the head's motion, and nearness to the outside.
        """
        normals, tangents = vertex_normals(vertices, triangles), strand_tangents(vertices, uv, triangles)
        packed = np.concatenate([vertices, normals, tangents, uv, shares], 1).astype("f4")
        buffer = self.context.buffer(packed.tobytes())
        index = self.context.buffer(triangles.astype("i4").tobytes())
        layout = [(buffer, "3f 3f 3f 2f 1f 1f", *_STRAND_LAYOUT)]
        array = self.context.vertex_array(self.programs[program], layout, index, skip_errors=True)
        return array, buffer, index

    def unwrap(self) -> np.ndarray:
        """(P, P, 3) neutral position under each texel of the face texture; texels outside copy the nearest."""
        side, context, head = self.paint.size[0], self.context, self._head
        program = context.program(vertex_shader=shaders.UNWRAP_VERTEX, fragment_shader=shaders.UNWRAP_FRAGMENT)
        content = [(context.buffer(head.rest), "3f", "in_rest"), (context.buffer(head.uv), "2f", "in_uv")]
        array = context.vertex_array(program, content, context.buffer(head.triangles[FACE].astype("i4").tobytes()))
        texture = context.texture((side, side), 4, dtype="f4")
        target = context.framebuffer([texture])
        target.use()
        context.enable_only(context.NOTHING)
        target.clear()
        array.render()
        rest = np.frombuffer(texture.read(), np.float32).reshape(side, side, 4)
        empty = (rest[..., 3] < 0.5).astype(np.uint8)
        found = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
        labels = np.asarray(found[1], np.int64)
        lookup = np.zeros((int(labels.max()) + 1, 3), np.float32)
        lookup[labels[empty == 0]] = rest[empty == 0][:, :3]
        return lookup[labels]

    def set(self, values: dict[str, Any]) -> None:
        """Set uniforms in every program that has them; matrices are row-major here."""
        for name, value in values.items():
            array = np.asarray(value, np.float32)
            data = (array.T if array.shape == (3, 3) else array).tobytes()
            for program in self.programs.values():
                if name in program:
                    program[name].write(data)

    def wear(self, texture: np.ndarray, regions: np.ndarray, margin: np.ndarray) -> None:
        """Upload a person's face texture (P, P, 4), its regions (P, P), and the hairline margin (V,)."""
        self.paint.write(texture)
        self.paint_regions.write(np.ascontiguousarray(regions))
        self._margin.write(margin)
        self.paint.use(0)
        self.paint_regions.use(1)
        self.programs["face"]["paint"].value = 0
        self.programs["face"]["regions"].value = 1

    def begin(self, moving: np.ndarray) -> None:
        """Upload positions, normals and occlusion (V, 8) and clear the target."""
        self.moving.write(moving)
        self.target.use()
        self.context.enable_only(self.context.DEPTH_TEST)
        self.context.front_face = "cw"  # rows run downwards, which mirrors triangles
        self.target.clear()

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """What was drawn: (S, S, 4) uint8 colour and region code, (S, S) float32 depth."""
        colour = np.frombuffer(self.colour.read(), np.uint8).reshape(self._side, self._side, 4)
        return colour, np.frombuffer(self.depth.read(), np.float32).reshape(self._side, self._side)
