"""Draws people: OpenGL through EGL, in software where there is no graphics card."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mien.synth.assets import load_hair, load_head
from mien.synth.deformation import Deformer, Eyeball, Lids
from mien.synth.framing import View, crop_framing, view_head, visible_landmarks
from mien.synth.graphics import Stage, open_context
from mien.synth.hair import hair_margin, torso_mesh
from mien.synth.occlusion import mean_occlusion
from mien.synth.paint import Canvas
from mien.synth.scenery import Scene


@dataclass(frozen=True)
class Frame:
    """One picture with everything that is true about it.

    Attributes:
        image: (S, S, 3) uint8.
        regions: (S, S) uint8; 0 background, 1 skin, 2 hair, 3 eye, 4 mouth, 5 brow, 6 clothes and neck.
        angles: (3,) yaw, pitch, roll in radians.
        expression: (51,) ARKit coefficients.
        landmarks: (68, 2) pixels of the image.
        visibility: (68,) bool, in view and not hidden behind anything.
    """

    image: np.ndarray
    regions: np.ndarray
    angles: np.ndarray
    expression: np.ndarray
    landmarks: np.ndarray
    visibility: np.ndarray


@dataclass(frozen=True)
class _Prepared:
    """What a scene keeps while its frames are drawn."""

    scene: Scene
    base: np.ndarray
    eyes: tuple[Eyeball, Eyeball]
    lids: Lids
    hair: tuple[Any, ...]
    torso: tuple[Any, ...]

    def release(self) -> None:
        for item in self.hair + self.torso:
            item.release()


class HeadRenderer:
    """Renders scenes at one size. Owns an OpenGL context: use it in the thread and process that made it.

    Args:
        size: side of the pictures in pixels.
        supersample: samples per pixel and axis.
        paint_size: side of the face texture; by default it follows the picture size.

    Raises:
        MissingExtraError: moderngl is not installed.
        RenderError: no OpenGL context can be made.
        MissingDataError: the data pack is not there.
    """

    def __init__(self, size: int, supersample: int = 2, paint_size: int | None = None) -> None:
        self.size, self.supersample = size, supersample
        self.head = load_head()
        self._deformer = Deformer(self.head)
        texels = paint_size or int(min(1024, max(384, 2 ** np.ceil(np.log2(size * 1.5)))))
        self._occlusion = mean_occlusion()
        self._context = open_context()
        with self._context:
            self._stage = Stage(self._context, self.head, size * supersample, texels)
            self._canvas = Canvas(self.head, self._stage.unwrap())

    def __enter__(self) -> HeadRenderer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the OpenGL context back; the renderer is of no use afterwards."""
        self._context.release()

    def render(
        self, scene: Scene, angles: np.ndarray, expressions: np.ndarray, jitter: np.ndarray | None = None
    ) -> list[Frame]:
        """Render the frames of a scene, framed by the `head` crop of their own landmarks.

        Args:
            scene: person, light, camera, background.
            angles: (F, 3) yaw, pitch, roll in radians.
            expressions: (F, 51) ARKit coefficients in 0..1.
            jitter: optional (F, 3) shift x, y (share of the side) and relative scale of the framing.
        """
        return list(self.stream(scene, angles, expressions, jitter))

    def stream(
        self,
        scene: Scene,
        angles: np.ndarray,
        expressions: np.ndarray,
        jitter: np.ndarray | None = None,
        *,
        steady: bool = False,
    ) -> Iterator[Frame]:
        """As `render`, one frame at a time; one stream may be under way per renderer.

        Args:
            scene, angles, expressions, jitter: as in `render`.
            steady: keep the framing of the neutral head, as a camera on a tripod, instead of following the head.
        """
        # The context is current only inside `with`: other renderers may draw while this generator waits.
        with self._context:
            prepared = self._prepare(scene)
        moves = np.zeros((len(angles), 3)) if jitter is None else jitter
        try:
            for pose, expression, move in zip(angles, expressions, moves, strict=True):
                with self._context:
                    frame = self._render_one(prepared, pose, expression, move, steady=steady)
                yield frame
        finally:
            with self._context:
                prepared.release()

    # --- once per scene ----------------------------------------------------------------------------------------

    def _prepare(self, scene: Scene) -> _Prepared:
        look = scene.person.appearance
        base = self._deformer.identify(scene.person.identity)
        self._stage.wear(*self._canvas.paint(look), hair_margin(self.head.rest, look.hair))
        eyes = self._deformer.eyeballs(base)
        vertices, triangles, grid = torso_mesh(look.neckline)
        # Big heads sit on somewhat broader shoulders.
        broad = 1 + 0.35 * (np.ptp(base[:, 0]) / np.ptp(self.head.rest[:, 0]) - 1)
        shares = np.column_stack([np.zeros(len(grid)), np.clip(0.35 + 2.2 * grid[:, 1], 0, 1)])
        torso = self._stage.strand_array("cloth", vertices * np.array([broad, 1.0, 1.0]), triangles, grid, shares)
        hair = self._hair(look.hair.mesh, base - self.head.rest) if look.hair.mesh else ()
        return _Prepared(scene, base, eyes, self._deformer.fit_lids(base, look.lid_rest), hair, torso)

    def _hair(self, name: str, moved: np.ndarray) -> tuple[Any, ...]:
        """A hair mesh that follows the identity's displacement (V, 3) of the skin under it."""
        mesh = load_hair(name)
        row = np.zeros(int(max(self.head.welded.max(), mesh.bind.max())) + 1, np.int64)
        row[self.head.welded] = np.arange(len(self.head.welded))
        vertices = mesh.vertices + moved[row[mesh.bind]]
        radius = np.linalg.norm((vertices - [0.0, 4.0, 0.0]) * [1, 0.85, 0.9], axis=1)
        shares = np.column_stack([np.clip((vertices[:, 1] + 22.0) / 16.0, 0, 1), np.clip((radius - 7.5) / 3.5, 0, 1)])
        return self._stage.strand_array("hair", vertices, mesh.triangles, mesh.uv, shares)

    # --- once per frame ----------------------------------------------------------------------------------------

    def _render_one(
        self, prepared: _Prepared, angles: np.ndarray, expression: np.ndarray, jitter: np.ndarray, *, steady: bool
    ) -> Frame:
        scene, light, lookup = prepared.scene, prepared.scene.light, self.head.landmarks
        positions = self._deformer.express(prepared.base, expression, prepared.lids)
        self._deformer.seat_eyes(positions, prepared.eyes)
        framed = (prepared.base[lookup], np.zeros(3)) if steady else (positions[lookup], angles)
        framing = crop_framing(scene, *framed, self.size).jittered(jitter, self.size)
        view = view_head(scene, positions[lookup], angles, framing, self.size)
        blinks = [self._deformer.coefficient(expression, f"eyeBlink{side}") for side in ("Left", "Right")]
        jaw = self._deformer.coefficient(expression, "jawOpen")
        shade = self._occlusion.shade(view.rotation.T @ light.key_direction, (blinks[0], blinks[1]), jaw)
        self._stage.begin(np.concatenate([positions, self._deformer.normals(positions), shade], 1, dtype=np.float32))
        self._stage.set(view.uniforms | vars(light))
        self._draw_head(prepared, expression, jaw, max(blinks))
        self._draw_garments(prepared)
        return self._finish(prepared, view, angles, expression)

    def _draw_head(self, prepared: _Prepared, expression: np.ndarray, jaw: float, blink: float) -> None:
        look, stage = prepared.scene.person.appearance, self._stage
        roots = min(1.0, 0.25 + look.hair.length) * look.hair.density * (look.hair.length > 0)
        stage.set({"skin": look.skin, "hair_colour": look.hair.colour * 0.8, "gloss": look.gloss, "roots": roots})
        stage.set({"collar": look.neckline})
        stage.context.enable(stage.context.CULL_FACE)
        stage.arrays["face"].render()
        stage.arrays["neck"].render()
        if look.hair.length > 0:
            self._draw_fur(prepared)
        stage.context.disable(stage.context.CULL_FACE)
        gum = look.skin * np.array([0.55, 0.30, 0.30]) + np.array([0.16, 0.07, 0.07])
        stage.set({"open_mouth": np.clip(2.5 * jaw + 0.35, 0, 1)})
        for name, tint, wet in (("teeth", look.teeth, 1.0), ("gums", gum, 0.8), ("socket", gum * 0.6, 0.3)):
            stage.set({"tint": tint, "wet": wet})
            stage.arrays[name].render()
        stage.set({"iris_colour": look.iris, "iris_size": look.iris_size, "lid_drop": 0.35 * blink})
        stage.set({"pupil_size": 0.17})
        turns = self._deformer.gaze(expression)
        for name, eye, gaze in zip(("eye_left", "eye_right"), prepared.eyes, turns, strict=True):
            stage.set({"centre": eye.centre, "gaze": gaze})
            stage.arrays[name].render()
        lash = 0.35 * look.brows.colour + 0.25 * look.skin
        stage.set({"tint": lash, "thickness": (0.20 + 0.25 * look.makeup) * (1 - 0.5 * blink)})
        stage.arrays["lash"].render()

    def _draw_fur(self, prepared: _Prepared) -> None:
        hair = prepared.scene.person.appearance.hair
        layers = int(np.clip(3 + 4 * hair.length, 3, 12 if self.size <= 192 else 24))
        values = {
            "tint": hair.colour, "comb": hair.comb, "length_cm": hair.length, "layers": layers,
            "lay": 0.9 * (1 - 0.7 * hair.curl), "taper_cm": 2.2, "density": hair.density, "curl": hair.curl,
            "cells": 7.0 * self.size / 128 if self.size < 256 else 12.0,
        }  # fmt: skip
        self._stage.set(values)
        self._stage.arrays["fur"].render(instances=layers)

    def _draw_garments(self, prepared: _Prepared) -> None:
        """Clothes, and the mesh of longer hair."""
        look = prepared.scene.person.appearance
        self._stage.set({"tint": look.clothes, "accent": look.clothes_accent, "stripes": look.stripes})
        prepared.torso[0].render()
        if prepared.hair:
            self._stage.set({"tint": look.hair.colour, "strands": 240.0, "sparse": 0.15, "fringe": look.fringe})
            prepared.hair[0].render()

    def _finish(self, prepared: _Prepared, view: View, angles: np.ndarray, expression: np.ndarray) -> Frame:
        drawn, depth = self._stage.read()
        codes, step = drawn[..., 3], self.supersample
        shape = (self.size, self.size)
        cover = cv2.resize((codes > 0).astype(np.float32), shape, interpolation=cv2.INTER_AREA)
        colour = cv2.resize(drawn[..., :3], shape, interpolation=cv2.INTER_AREA).astype(np.float32)
        image = colour + (1 - cover[..., None]) * self._backdrop(prepared.scene, view)
        return Frame(
            image=np.clip(image + 0.5, 0, 255).astype(np.uint8),
            regions=codes[step // 2 :: step, step // 2 :: step].copy(),
            angles=np.asarray(angles, np.float32),
            expression=np.asarray(expression, np.float32),
            landmarks=view.landmarks[:, :2].astype(np.float32),
            visibility=visible_landmarks(view, depth, prepared.scene.camera.distance, step),
        )

    def _backdrop(self, scene: Scene, view: View) -> np.ndarray:
        """The part of the backdrop behind the crop: it stays where it is while the crop follows the head."""
        spare = len(scene.backdrop) - self.size
        centre = np.clip(0.5 - 0.5 * view.uniforms["frame"][2:], 0.0, 1.0) * spare
        column, row = np.rint(centre).astype(int)
        return scene.backdrop[row : row + self.size, column : column + self.size].astype(np.float32)
