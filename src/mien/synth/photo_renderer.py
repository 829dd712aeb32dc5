"""Draws photographed people in new poses: skull, then the photograph as a sheet, then face, eyes and mouth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from mien.face3d.mirroring import MIRRORED_COEFFICIENTS, MIRRORED_LANDMARKS
from mien.synth import photo_shaders as shaders
from mien.synth.assets import FACE, NECK, load_head
from mien.synth.cutout import grid_triangles
from mien.synth.deformation import Deformer, Eyeball, Lids, rotation_matrix
from mien.synth.framing import BODY_SHARE, View, crop_framing, view_head, visible_landmarks
from mien.synth.graphics import Stage, open_context
from mien.synth.paint import Canvas
from mien.synth.people import random_person
from mien.synth.photo_geometry import HungSheet, hang_sheet, ring_values, skull_colour
from mien.synth.photo_scene import PhotoScene
from mien.synth.photograph import PHOTO_PX, TEXTURE_PX, sheet_uv
from mien.synth.renderer import Frame
from mien.synth.unwrapping import ALBEDO_RANGE, smoothstep

_CORE_CM, _CORE_CENTRE_Y = np.array([6.3, 8.2]), -0.4
_SKULL_BOTTOM_Y = -10.0
_TEETH = np.array([0.94, 0.91, 0.86])
_GUMS = np.array([0.52, 0.26, 0.25])
_PROGRAMS = {
    "photo_face": (shaders.FACE_VERTEX, shaders.FACE_FRAGMENT),
    "sheet": (shaders.SHEET_VERTEX, shaders.SHEET_FRAGMENT),
    "skull": (shaders.SKULL_VERTEX, shaders.SKULL_FRAGMENT),
}


@dataclass(frozen=True)
class _Prepared:
    """What a scene keeps while its frames are drawn."""

    scene: PhotoScene
    base: np.ndarray
    eyes: tuple[Eyeball, Eyeball]
    lids: Lids


def mirrored(frame: Frame) -> Frame:
    """A frame in a mirror, with the parameters that are true of it."""
    return Frame(
        image=np.ascontiguousarray(frame.image[:, ::-1]),
        regions=np.ascontiguousarray(frame.regions[:, ::-1]),
        angles=frame.angles * np.array([-1, 1, -1], np.float32),
        expression=frame.expression[MIRRORED_COEFFICIENTS],
        landmarks=frame.landmarks[MIRRORED_LANDMARKS] * np.array([-1, 1], np.float32)
        + np.array([frame.image.shape[1] - 1, 0], np.float32),
        visibility=frame.visibility[MIRRORED_LANDMARKS],
    )


@lru_cache(maxsize=1)
def _regions(size: int) -> np.ndarray:
    """(P, P) uint8 region of each texel of a face: skin, lips or brow, where they are on the mean head."""
    context = open_context()
    with context:
        stage = Stage(context, load_head(), 16, size)
        regions = Canvas(load_head(), stage.unwrap()).paint(random_person(0).appearance)[1]
    context.release()
    return regions


class PhotoRenderer:
    """Renders photographed scenes at one size; a drop-in for `HeadRenderer`.

    Args:
        size: side of the pictures in pixels.
        supersample: samples per pixel and axis.

    Raises:
        MissingExtraError, RenderError, MissingDataError: rendering is not possible here.
    """

    def __init__(self, size: int, supersample: int = 2) -> None:
        self.size, self.supersample = size, supersample
        self.head = load_head()
        self._deformer = Deformer(self.head)
        self._sheets: dict[str, HungSheet] = {}
        regions = _regions(TEXTURE_PX)
        self._context = open_context()
        with self._context:
            self._stage = Stage(self._context, self.head, size * supersample, TEXTURE_PX)
            self._stage.paint_regions.write(np.ascontiguousarray(regions))
            self._photo = self._context.texture((PHOTO_PX, PHOTO_PX), 4)
            self._photo.repeat_x = self._photo.repeat_y = False
            self._photo.build_mipmaps()
            self._add_arrays()

    def __enter__(self) -> PhotoRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back; the renderer is of no use afterwards."""
        self._context.release()

    def _add_arrays(self) -> None:
        stage, context, head = self._stage, self._context, self.head
        for name, (vertex, fragment) in _PROGRAMS.items():
            stage.programs[name] = context.program(vertex_shader=vertex, fragment_shader=fragment)
        radius = np.linalg.norm((head.rest[:, :2] - [0, _CORE_CENTRE_Y]) / _CORE_CM, axis=1)
        core = 1 - smoothstep(0.82, 1.0, radius)
        edge = (1 - smoothstep(1.10, 1.42, radius)) * smoothstep(-10.2, -8.3, head.rest[:, 1])
        weights = context.buffer(np.column_stack([edge, core]).astype("f4").tobytes())
        extra = [(weights, "1f 1f", "in_edge", "in_core")]
        stage.add_array("photo_face", "photo_face", head.triangles[FACE], extra)
        self._skull = context.buffer(reserve=len(head.rest) * 16, dynamic=True)
        part = np.concatenate([head.triangles[NECK], head.triangles[FACE]])
        skull = part[(head.rest[part, 1] > _SKULL_BOTTOM_Y).all(1)]
        stage.add_array("skull", "skull", skull, [(self._skull, "3f 1f", "in_colour", "in_scale")])
        uv = sheet_uv()
        triangles = grid_triangles()
        self._sheet = context.buffer(reserve=len(uv) * 9 * 4, dynamic=True)
        fixed = context.buffer(np.ascontiguousarray(uv).tobytes())
        self._sheet_share = context.buffer(reserve=len(uv) * 4, dynamic=True)
        stage.arrays["sheet"] = context.vertex_array(
            stage.programs["sheet"],
            [(self._sheet, "3f 3f 3f", "in_head", "in_body", "in_normal"), (fixed, "2f", "in_uv"),
             (self._sheet_share, "1f", "in_share")],
            context.buffer(triangles.astype("i4").tobytes()),
        )  # fmt: skip

    def render(
        self, scene: PhotoScene, angles: np.ndarray, expressions: np.ndarray, jitter: np.ndarray | None = None
    ) -> list[Frame]:
        """As `HeadRenderer.render`."""
        return list(self.stream(scene, angles, expressions, jitter))

    def stream(
        self,
        scene: PhotoScene,
        angles: np.ndarray,
        expressions: np.ndarray,
        jitter: np.ndarray | None = None,
        *,
        steady: bool = False,
    ) -> Iterator[Frame]:
        """As `HeadRenderer.stream`."""
        with self._context:
            prepared = self._prepare(scene)
        moves = np.zeros((len(angles), 3)) if jitter is None else jitter
        for pose, expression, move in zip(angles, expressions, moves, strict=True):
            if scene.is_mirrored:
                pose, expression, move = pose * (-1, 1, -1), expression[MIRRORED_COEFFICIENTS], move * (-1, 1, 1)
            with self._context:
                frame = self._render_one(prepared, pose, expression, move, steady=steady)
            yield mirrored(frame) if scene.is_mirrored else frame

    # --- once per scene ----------------------------------------------------------------------------------------

    def _prepare(self, scene: PhotoScene) -> _Prepared:
        photo, stage = scene.head, self._stage
        own = self._deformer.identify(photo.identity)
        base = self._deformer.identify(scene.identity)
        eyes = self._deformer.eyeballs(base)
        rows = np.isin(self.head.kind, (FACE, NECK))
        skull = np.zeros((len(base), 4), np.float32)
        skull[rows, :3] = skull_colour(base[rows], photo.ring_colour) / 255
        skull[rows, 3] = ring_values(base[rows], photo.ring_scale[:, None])[:, 0]
        self._skull.write(skull.tobytes())
        self._place_sheet(scene, own, base - own)
        stage.paint.write(np.concatenate([scene.albedo, scene.confidence[..., None]], 2).tobytes())
        self._photo.write(np.concatenate([photo.colour, photo.matte[..., None]], 2).tobytes())
        self._photo.build_mipmaps()
        self._bind_textures()
        stage.set({"light": scene.light, "old_light": photo.light, "tint": scene.tint, "hair_tint": scene.hair_tint})
        stage.set({"photo_rotation": rotation_matrix(photo.angles), "albedo_range": ALBEDO_RANGE})
        return _Prepared(scene, base, eyes, self._deformer.fit_lids(base, float(photo.lid_rest[0])))

    def _bind_textures(self) -> None:
        stage = self._stage
        for slot, texture in enumerate((stage.paint, stage.paint_regions, self._photo)):
            texture.use(slot)
        stage.programs["photo_face"]["paint"].value = 0
        stage.programs["photo_face"]["regions"].value = 1
        stage.programs["sheet"]["photo"].value = 2

    def _place_sheet(self, scene: PhotoScene, own: np.ndarray, moved: np.ndarray) -> None:
        """Upload the sheet of a scene; it follows the skin's displacement (V, 3) from the photographed shape."""
        name = scene.head.name
        if name not in self._sheets:
            self._sheets[name] = hang_sheet(scene.head, own, float(own[self.head.landmarks[8], 1]))
        sheet = self._sheets[name]
        follow = np.einsum("vk,vkc->vc", sheet.weights, moved[sheet.near])
        head = sheet.body @ sheet.turn + follow
        packed = np.concatenate([head, sheet.body + follow @ sheet.turn.T, sheet.normals], 1)
        self._sheet.write(packed.astype("f4").tobytes())
        self._sheet_share.write(sheet.share.astype("f4").tobytes())

    # --- once per frame ----------------------------------------------------------------------------------------

    def _render_one(
        self, prepared: _Prepared, angles: np.ndarray, expression: np.ndarray, jitter: np.ndarray, *, steady: bool
    ) -> Frame:
        scene, lookup = prepared.scene, self.head.landmarks
        positions = self._deformer.express(prepared.base, expression, prepared.lids)
        self._deformer.seat_eyes(positions, prepared.eyes)
        framed = (prepared.base[lookup], np.zeros(3)) if steady else (positions[lookup], angles)
        framing = crop_framing(scene, *framed, self.size).jittered(jitter, self.size)
        view = view_head(scene, positions[lookup], angles, framing, self.size)
        body = BODY_SHARE * (np.asarray(angles) - scene.head.angles) + np.array([scene.body_yaw, 0.0, 0.0])
        shade = np.ones((len(positions), 2), np.float32)
        self._stage.begin(np.concatenate([positions, self._deformer.normals(positions), shade], 1, dtype=np.float32))
        self._backdrop(scene, view)
        self._stage.set(view.uniforms | {"body_rotation": rotation_matrix(body)} | scene.eye_light())
        self._draw_behind()
        self._draw_face(prepared, expression)
        return self._finish(scene, view, angles, expression)

    def _backdrop(self, scene: PhotoScene, view: View) -> None:
        """Fill the target with the part of the backdrop behind the crop."""
        spare = len(scene.backdrop) - self.size
        centre = np.clip(0.5 - 0.5 * view.uniforms["frame"][2:], 0.0, 1.0) * spare
        column, row = np.rint(centre).astype(int)
        part = scene.backdrop[row : row + self.size, column : column + self.size]
        full = np.zeros((self.size * self.supersample,) * 2 + (4,), np.uint8)
        full[..., :3] = cv2.resize(part, full.shape[:2], interpolation=cv2.INTER_LINEAR)
        self._stage.colour.write(full.tobytes())

    def _layer(self, name: str) -> None:
        """Draw blended colours of a layer, then the region codes of what is more opaque than not."""
        stage, context = self._stage, self._context
        context.enable(context.BLEND)
        context.blend_func = (context.SRC_ALPHA, context.ONE_MINUS_SRC_ALPHA, context.ZERO, context.ONE)
        stage.set({"code": 0.0})
        stage.arrays[name].render()
        context.disable(context.BLEND)
        self._write_only(alpha=True)
        stage.set({"code": 1.0})
        stage.arrays[name].render()
        self._write_only(colour=True, alpha=True)

    def _write_only(self, *, colour: bool = False, alpha: bool = False) -> None:
        target = self._stage.target
        target.color_mask = (colour, colour, colour, alpha)
        target.use()  # a mask counts from here on

    def _clear_depth(self) -> None:
        self._write_only()
        self._stage.target.clear(depth=1.0)
        self._write_only(colour=True, alpha=True)

    def _draw_behind(self) -> None:
        context = self._context
        context.depth_func = "<="
        context.enable(context.DEPTH_TEST | context.CULL_FACE)
        self._layer("skull")
        self._clear_depth()
        self._layer("sheet")
        self._clear_depth()

    def _draw_face(self, prepared: _Prepared, expression: np.ndarray) -> None:
        scene, stage, context = prepared.scene, self._stage, self._context
        jaw = self._deformer.coefficient(expression, "jawOpen")
        blink = max(self._deformer.coefficient(expression, f"eyeBlink{side}") for side in ("Left", "Right"))
        self._write_only()
        stage.set({"code": -1.0})
        stage.arrays["photo_face"].render()
        self._write_only(colour=True, alpha=True)
        context.disable(context.CULL_FACE)
        smile = max(self._deformer.coefficient(expression, f"mouthSmile{side}") for side in ("Left", "Right"))
        stage.set({"open_mouth": np.clip(2.0 * jaw + 0.5 * smile + 0.45, 0, 1)})
        for name, colour, wet in (("teeth", _TEETH, 1.0), ("gums", _GUMS, 0.8), ("socket", _GUMS * 0.5, 0.3)):
            self._tint(name, colour, wet)
        stage.set({"iris_colour": scene.head.iris, "iris_size": 0.405, "lid_drop": 0.35 * blink, "pupil_size": 0.17})
        turns = self._deformer.gaze(expression)
        for name, eye, gaze in zip(("eye_left", "eye_right"), prepared.eyes, turns, strict=True):
            stage.set({"centre": eye.centre, "gaze": gaze})
            stage.arrays[name].render()
        context.enable(context.CULL_FACE)
        stage.set({"tint": scene.tint})
        self._layer("photo_face")
        context.disable(context.CULL_FACE)
        self._stage.set({"thickness": 0.18 * (1 - 0.5 * blink)})
        self._tint("lash", scene.lash_colour(), 0.0)
        stage.set({"tint": scene.tint})

    def _tint(self, name: str, colour: np.ndarray, wet: float) -> None:
        self._stage.set({"tint": colour, "wet": wet})
        self._stage.arrays[name].render()

    def _finish(self, scene: PhotoScene, view: View, angles: np.ndarray, expression: np.ndarray) -> Frame:
        drawn, depth = self._stage.read()
        step = self.supersample
        colour = cv2.resize(drawn[..., :3], (self.size, self.size), interpolation=cv2.INTER_AREA)
        return Frame(
            image=colour,
            regions=drawn[step // 2 :: step, step // 2 :: step, 3].copy(),
            angles=np.asarray(angles, np.float32),
            expression=np.asarray(expression, np.float32),
            landmarks=view.landmarks[:, :2].astype(np.float32),
            visibility=visible_landmarks(view, depth, scene.camera.distance, step),
        )
