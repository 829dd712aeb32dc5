"""Labelled faces of the data pack (see its README for licences) with the split every measurement uses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import torch

from mien.face3d.morphable import data_folder
from mien.face3d.params import FaceParams
from mien.geometry import angles_from_rotation
from mien.images import read_image
from mien.tracking.calibration import known_coefficients, to_ict_scale
from mien.tracking.mediapipe import landmarks_from_points, params_from_mediapipe
from mien.tracking.reshaping import load_head_table, random_change, reshape_face, turned_by
from mien.tracking.samples import LabelledFace

HELD_OUT_EVERY = 5
GENERATED = ("portraits_cc0",)
PHOTOGRAPHS = (*GENERATED, "london_ccby")
"""Folders of photographs: of nobody real, and of real people."""
CLIPS = ("head_pose_male", "head_pose_female_and_male")
Part = Literal["train", "held_out", "all"]
POINT_ANGLE_SCALE = (1.04, 0.99, 0.99)
POINT_ANGLE_SHIFT_DEG = (0.0, -2.3, 0.0)
"""True angle = scale · angle from MediaPipe's points + shift, measured on 1500 renders of held-out people."""
_SILENT_TRUST = 0.15
"""Of coefficients that MediaPipe hardly ever reports: enough that they do not rise and fall with the pose instead."""
_REAL_TRUST = np.array([0.5, 0.6, 0.7])


def held_out(count: int) -> np.ndarray:
    """(count,) bool: every fifth of the sorted identities is kept for measuring."""
    return np.arange(count) % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


class LabelledPictures:
    """Pictures with one or more labelled faces, kept in memory at one or more resolutions (a `Material`).

    Args:
        pictures: uint8 (H, W, 3), possibly shared by several faces.
        owner: for each face, the index of its picture.
        params: the faces; landmarks in pixels of their pictures.
        points: (faces, 478, 3) MediaPipe's points in the same pixels.
        scales: resolutions kept, as fractions of the original; one is drawn at every use.
        known: (faces, 51) how much each coefficient counts; None: as far as MediaPipe's scores can be believed.
        people: (faces,) who each face shows, by number; None: everyone is somebody else.
    """

    def __init__(
        self,
        pictures: Sequence[np.ndarray],
        owner: Sequence[int],
        params: FaceParams,
        points: np.ndarray,
        scales: Sequence[float] = (1.0,),
        known: np.ndarray | None = None,
        people: np.ndarray | None = None,
    ) -> None:
        self.params = params
        self.points = points
        self.pictures = list(pictures)
        self.owner = list(owner)
        self.people = np.arange(len(self.owner)) if people is None else people
        self._faces_of = [[i for i, o in enumerate(self.owner) if o == p] for p in range(len(self.pictures))]
        self._levels = [[_scaled(picture, scale) for picture in self.pictures] for scale in scales]
        self._scales = list(scales)
        self._landmarks = params.landmarks.numpy().astype(np.float64)
        self._angles = params.angles.numpy().astype(np.float64)
        self._expression = params.expression.numpy().astype(np.float64)
        self._known = np.tile(known_coefficients(_SILENT_TRUST), (len(self.owner), 1)) if known is None else known

    def __len__(self) -> int:
        return len(self.owner)

    def relabelled(self, params: FaceParams) -> LabelledPictures:
        """The same pictures with other parameters of the same faces."""
        return LabelledPictures(self.pictures, self.owner, params, self.points, self._scales, self._known, self.people)

    @property
    def first_scale(self) -> float:
        """The first kept resolution, as a fraction of the original."""
        return self._scales[0]

    def face(self, index: int, rng: np.random.Generator, level: int | None = None) -> LabelledFace:
        """One face at a given or at a random one of the kept resolutions."""
        level = int(rng.integers(len(self._levels))) if level is None else level
        points = (self._landmarks + 0.5) * self._scales[level] - 0.5
        same = [i for i in self._faces_of[self.owner[index]] if i != index]
        return LabelledFace(
            picture=self._levels[level][self.owner[index]],
            landmarks=points[index],
            angles=self._angles[index],
            expression=self._expression[index],
            trust=_REAL_TRUST,
            known=self._known[index],
            companions=tuple(points[i] for i in same),
        )

    def empty(self, rng: np.random.Generator) -> np.ndarray | None:
        """A patch away from every face of a random picture."""
        picture = int(rng.integers(len(self.pictures)))
        full = self._levels[0][picture]
        faces = self._landmarks[self._faces_of[picture]].reshape(-1, 2) * self._scales[0]
        for _ in range(6):
            side = int(np.exp(rng.uniform(np.log(0.05), np.log(0.6))) * min(full.shape[:2]))
            left, top = int(rng.integers(0, full.shape[1] - side)), int(rng.integers(0, full.shape[0] - side))
            inside = ((faces >= (left, top)) & (faces < (left + side, top + side))).all(1)
            if not inside.any():
                return full[top : top + side, left : left + side]
        return None


def labelled_params(
    points: np.ndarray, scores: np.ndarray, transforms: np.ndarray, folder: str | os.PathLike[str] | None = None
) -> FaceParams:
    """Stored MediaPipe labels on the ICT scale, angles as seen from straight in front of the face's place.

    MediaPipe's matrix belongs to the camera of the whole picture, so it turns with the face's place in it, by 10
    degrees and more at the edge; a crop does not show that. The angles are therefore taken from the points' depth.

    Args:
        points: (B, 478, 3) in pixels; scores: (B, 52); transforms: (B, 4, 4).
        folder: the data pack, see `data_folder`.
    """
    params = to_ict_scale(params_from_mediapipe(points, scores, transforms))
    angles = torch.from_numpy(angles_from_points(points, data_folder(folder) / "head")).float()
    return replace(params, angles=angles)


def angles_from_points(points: np.ndarray, head: Path) -> np.ndarray:
    """(B, 3) head angles in radians that best turn the mean ICT head onto MediaPipe's points (Kabsch).

    Args:
        points: (B, 478, 3) with x right, y down, z away from the viewer, all in pixels.
        head: folder with ict_facekit.npz and mediapipe_to_ict.json.
    """
    table = load_head_table(head)
    shape, spread = table.shape, table.spread
    weight = ((shape[:, 1] > -1.5) & (spread < 0.35)) / (1 + (spread / 0.25) ** 2)  # brows, eyes, nose: what is rigid
    weight /= weight.sum()
    seen = points[:, table.index] * (1.0, -1.0, -1.0)
    seen = seen - np.einsum("v,bvc->bc", weight, seen)[:, None]
    covariance = np.einsum("v,vi,bvj->bij", weight, shape - weight @ shape, seen)
    left, _, right = np.linalg.svd(covariance)
    handed = np.sign(np.linalg.det(left @ right))
    left[:, :, 2] *= handed[:, None]
    rotation = np.swapaxes(left @ right, 1, 2)
    angles = angles_from_rotation(torch.from_numpy(rotation)).numpy()
    return angles * POINT_ANGLE_SCALE + np.radians(POINT_ANGLE_SHIFT_DEG)


def load_photographs(
    part: Part, folder: str | os.PathLike[str] | None = None, sets: Sequence[str] = PHOTOGRAPHS
) -> LabelledPictures:
    """Portraits and the London set, with MediaPipe's labels on the ICT scale.

    Args:
        part: "train", "held_out" (every fifth portrait, every fifth person of London) or "all".
        folder: the data pack, see `data_folder`.
        sets: which of `PHOTOGRAPHS`; the portraits alone show nobody real.
    """
    root = data_folder(folder) / "faces"
    pictures, params, points = [], [], []
    for name in sets:
        labels = np.load(root / name / "labels.npz")
        files = labels["files"].astype(str)
        person = labels["identity"].astype(str) if "identity" in labels else files
        people = np.unique(person)
        is_held_out = held_out(len(people))[np.searchsorted(people, person)]
        wanted = labels["found"] & {"train": ~is_held_out, "held_out": is_held_out, "all": is_held_out | True}[part]
        pictures += [read_image(root / name / file) for file in files[wanted]]
        points.append(labels["landmarks"][wanted] - (0.5, 0.5, 0))
        params.append(labelled_params(points[-1], labels["blendshapes"][wanted], labels["transforms"][wanted], folder))
    together = FaceParams.cat(params)
    return LabelledPictures(pictures, range(len(pictures)), together, np.concatenate(points), scales=(0.5, 0.25))


def load_clip(name: str, part: Part, folder: str | os.PathLike[str] | None = None) -> LabelledPictures:
    """Frames of one driving clip; of each clip the last fifth of the frames is held out.

    Args:
        name: one of `CLIPS`.
        part: "train", "held_out" or "all".
        folder: the data pack, see `data_folder`.
    """
    root = data_folder(folder) / "clips"
    labels = np.load(root / f"{name}_labels.npz")
    frames = read_frames(root / f"{name}.mp4")
    count, faces = labels["found"].shape
    first_held_out = count - count // HELD_OUT_EVERY
    wanted = {"train": range(first_held_out), "held_out": range(first_held_out, count), "all": range(count)}[part]
    rows = [(frame, face) for frame in wanted for face in range(faces) if labels["found"][frame, face]]
    index = tuple(np.array(rows).T)
    points, scores, transforms = (labels[key][index] for key in ("landmarks", "blendshapes", "transforms"))
    points = points - (0.5, 0.5, 0)
    owner = [frame - wanted[0] for frame, _ in rows]
    params = labelled_params(points, scores, transforms, folder)
    return LabelledPictures([frames[i] for i in wanted], owner, params, points, people=index[1])


def reshaped(
    faces: LabelledPictures,
    copies: int,
    seed: int,
    every: int = 1,
    folder: str | os.PathLike[str] | None = None,
    turn_deg: float = 0.0,
    strength: float = 1.0,
) -> LabelledPictures:
    """The same faces with other expressions, each alone in a picture of its own; MediaPipe reads the turns, whose hair
    and ears stay behind, at .7 (`mien.tracking.reshaping`).

    Args:
        faces: photographs or a clip; photographs are reduced to their first kept resolution.
        copies: random changes of each face.
        seed: of the changes.
        every: take every so many faces.
        folder: the data pack, see `data_folder`.
        turn_deg: standard deviation of a turn about each axis in degrees; 0 turns nothing.
        strength: of the random changes, 0 to 1.
    """
    table = load_head_table(data_folder(folder) / "head", with_expression=True)
    rng = np.random.default_rng(seed)
    chosen = np.repeat(np.arange(0, len(faces), every), copies)
    pictures, points, angles, expressions, known = [], [], [], [], []
    for i in chosen:
        scale = faces.first_scale
        before = (faces.points[i] + (0.5, 0.5, 0)) * scale - (0.5, 0.5, 0)
        expression = faces.params.expression[i].double().numpy()
        change = strength * random_change(expression, rng)
        turn = np.radians(turn_deg * rng.standard_normal(3)) if turn_deg else np.zeros(3)
        head = faces.params.angles[i].double().numpy()
        picture = faces.face(int(i), np.random.default_rng(0), level=0).picture
        warped, moved = reshape_face(picture, before, head, expression, change, table, turn)
        pictures.append(warped)
        points.append(moved)
        angles.append(turned_by(head, turn))
        expressions.append(expression + change)
        known.append(np.maximum(known_coefficients(_SILENT_TRUST), 0.7 * (change > 0.05)))
    params = replace(
        faces.params[torch.from_numpy(chosen)],
        angles=torch.from_numpy(np.stack(angles)).float(),
        expression=torch.from_numpy(np.stack(expressions)).float(),
        landmarks=landmarks_from_points(np.stack(points)),
    )
    return LabelledPictures(
        pictures, range(len(pictures)), params, np.stack(points), known=np.stack(known), people=faces.people[chosen]
    )


def read_frames(path: Path) -> list[np.ndarray]:
    """All frames of a short video as uint8 (H, W, 3) RGB."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while (read := capture.read())[0]:
        frames.append(np.ascontiguousarray(read[1][:, :, ::-1]))
    capture.release()
    return frames


def _scaled(picture: np.ndarray, scale: float) -> np.ndarray:
    if scale == 1.0:
        return picture
    size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
