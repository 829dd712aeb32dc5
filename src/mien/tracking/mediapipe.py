"""MediaPipe's Face Landmarker as a tracker (optional: `mien[mediapipe]` and the model file `face_landmarker.task`)."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from mien.alignment.crop import square_crop
from mien.errors import InputError, MissingDataError, MissingExtraError
from mien.face3d.params import FaceParams
from mien.geometry import apply_affine
from mien.tracking.calibration import to_ict_scale
from mien.tracking.framing import box_from_landmarks
from mien.tracking.protocol import Box, checked_picture, merge_boxes

MODEL_VARIABLE = "MIEN_FACE_LANDMARKER"

_JAW = ((162, 127), (127, 93), (93, 93), (132, 58), (172, 58), (136, 150), (149, 149), (148, 176), (152, 152))
_JAW_LEFT = ((377, 400), (378, 378), (365, 379), (397, 288), (361, 288), (323, 323), (356, 323), (389, 356))
_BROWS = (
    (70, 70),
    (63, 105),
    (105, 66),
    (66, 107),
    (107, 55),
    (336, 285),
    (296, 336),
    (334, 296),
    (293, 334),
    (300, 300),
)
_NOSE = ((168, 168), (6, 197), (195, 195), (4, 4), (240, 98), (97, 99), (2, 164), (326, 328), (460, 327))
_RIGHT_EYE = ((33, 33), (160, 160), (158, 158), (133, 133), (153, 153), (144, 163))
_LEFT_EYE = ((362, 362), (385, 385), (387, 387), (263, 263), (373, 390), (380, 380))
_OUTER_LIPS_UP = ((61, 61), (39, 40), (37, 37), (0, 0), (267, 267), (269, 270), (291, 291))
_OUTER_LIPS_DOWN = ((321, 405), (314, 405), (17, 17), (84, 181), (91, 181))
_INNER_LIPS = ((78, 78), (81, 81), (13, 13), (311, 311), (308, 308), (402, 402), (14, 14), (178, 178))
LANDMARKS_68 = np.array(
    [*_JAW, *_JAW_LEFT, *_BROWS, *_NOSE, *_RIGHT_EYE, *_LEFT_EYE, *_OUTER_LIPS_UP, *_OUTER_LIPS_DOWN, *_INNER_LIPS]
)
"""(68, 2): Multi-PIE point i is the middle of these two of MediaPipe's 478 points; chosen on renders of the ICT head,
where the largest systematic distance is about 2 % of the box."""

_FOCUS = (2.2, 1.5, 3.2)
_FOCUS_SIZE_PX = 384
_TILE = 0.6
_MAX_FACES = 8
_MATCH_OVERLAP = 0.2


def params_from_mediapipe(points: np.ndarray, scores: np.ndarray, transforms: np.ndarray) -> FaceParams:
    """MediaPipe's output in house order and signs; the expression stays on MediaPipe's own scale.

    Args:
        points: (B, 478, 2 or more) in pixels of the full picture.
        scores: (B, 52) blendshape scores, the first one `_neutral`.
        transforms: (B, 4, 4) facial transformation matrices.
    """
    rotation = transforms[:, :3, :3]
    yaw = np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2])
    pitch = np.arcsin(np.clip(rotation[:, 1, 2], -1, 1))
    roll = -np.arctan2(rotation[:, 1, 0], rotation[:, 1, 1])
    count = len(points)
    return FaceParams(
        angles=torch.from_numpy(np.stack([yaw, pitch, roll], 1)).float(),
        expression=torch.from_numpy(np.ascontiguousarray(scores[:, 1:])).float(),
        landmarks=landmarks_from_points(points),
        valid=torch.ones(count, dtype=torch.bool),
        score=torch.ones(count),
    )


def landmarks_from_points(points: np.ndarray) -> torch.Tensor:
    """(B, 478, 2 or more) points of MediaPipe → (B, 68, 2) Multi-PIE landmarks."""
    return torch.from_numpy(points[:, LANDMARKS_68, :2].mean(2)).float()


@dataclass(frozen=True)
class FacePoints:
    """One face as MediaPipe reports it.

    Attributes:
        points: (478, 2) pixels of the picture.
        scores: (52,) blendshape scores, the first one `_neutral`.
        transform: (4, 4) facial transformation matrix.
    """

    points: np.ndarray
    scores: np.ndarray
    transform: np.ndarray


class MediaPipeTracker:
    """Face Landmarker behind the tracker protocol. Angles are those seen from straight in front of the face's place.

    Args:
        model_path: `face_landmarker.task`; None takes the path in the environment variable MIEN_FACE_LANDMARKER.
        mode: "image" measures every picture for itself; "video" lets MediaPipe smooth over successive calls.
        scale: "ict" converts scores and angles to the scale of the ICT head (what bundles are trained with); "raw"
            leaves MediaPipe's.

    Raises:
        MissingExtraError: mediapipe is not installed.
        MissingDataError: the model file is not there.
        InputError: unknown mode or scale.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str] | None = None,
        mode: Literal["image", "video"] = "image",
        scale: Literal["ict", "raw"] = "ict",
    ) -> None:
        if mode not in ("image", "video") or scale not in ("ict", "raw"):
            raise InputError(f"mode is 'image' or 'video' and scale 'ict' or 'raw', not {mode!r} and {scale!r}")
        self._scale = scale
        self._path = _model_file(model_path)
        self._clock_ms = 0
        self._finder = _open_landmarker(self._path, "IMAGE", _MAX_FACES)
        self._meter = self._finder if mode == "image" else _open_landmarker(self._path, "VIDEO", 1)
        self._is_video = mode == "video"
        self._close = weakref.finalize(self, _close_all, [self._finder, self._meter])

    def close(self) -> None:
        """Free the native graphs; the tracker cannot be used afterwards."""
        self._close()

    def find(self, image: np.ndarray) -> list[Box]:
        """Faces in the whole picture and in four overlapping tiles, because the detector misses small faces."""
        image = checked_picture(image)
        height, width = image.shape[:2]
        tile_height, tile_width = max(int(height * _TILE), 1), max(int(width * _TILE), 1)
        corners = [(0, 0, height, width, 1.0)]
        for top in (0, height - tile_height):
            corners += [(top, left, tile_height, tile_width, 0.9) for left in (0, width - tile_width)]
        boxes = []
        for top, left, rows, columns, score in corners:
            tile = np.ascontiguousarray(image[top : top + rows, left : left + columns])
            for face in self._detect(self._finder, tile, np.array([left, top])):
                boxes.append(box_from_landmarks(face.landmarks[0].numpy(), score))
        return merge_boxes(boxes)

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        """The face in boxes[i] of images[i]; small ones are enlarged first. See `Tracker.estimate`."""
        found = [self._measure(checked_picture(image), box) for image, box in zip(images, boxes, strict=True)]
        params = FaceParams.cat(found) if found else FaceParams.invalid(0)
        return to_ict_scale(params) if self._scale == "ict" else params

    def _measure(self, image: np.ndarray, box: Box) -> FaceParams:
        for focus in _FOCUS:
            crop = square_crop(box.centre, box.side * focus / 2, _FOCUS_SIZE_PX)
            faces = self._detect(self._meter, crop.apply(image), np.zeros(2))
            faces = [f.moved(torch.from_numpy(apply_affine(crop.inverse, f.landmarks.numpy())).float()) for f in faces]
            overlaps = [box_from_landmarks(face.landmarks[0].numpy()).overlap(box) for face in faces]
            if overlaps and max(overlaps) > _MATCH_OVERLAP:
                return faces[int(np.argmax(overlaps))]
        return FaceParams.invalid(1)

    def points(self, image: np.ndarray) -> list[FacePoints]:
        """Everything MediaPipe says of the faces in a picture (H, W, 3) uint8, looked at once."""
        return self._look(self._finder, checked_picture(image))

    def _detect(self, landmarker: Any, picture: np.ndarray, offset: np.ndarray) -> list[FaceParams]:
        """Every face of one picture; `offset` (x, y) is added to the points."""
        return [
            params_from_mediapipe((face.points + offset)[None], face.scores[None], face.transform[None])
            for face in self._look(landmarker, picture)
        ]

    def _look(self, landmarker: Any, picture: np.ndarray) -> list[FacePoints]:
        import mediapipe

        wrapped = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
        if self._is_video and landmarker is self._meter:
            self._clock_ms += 40
            result = landmarker.detect_for_video(wrapped, self._clock_ms)
        else:
            result = landmarker.detect(wrapped)
        size = np.array([picture.shape[1], picture.shape[0]])
        faces = zip(result.face_landmarks, result.face_blendshapes, result.facial_transformation_matrixes, strict=True)
        return [
            FacePoints(
                points=np.array([[p.x, p.y] for p in points]) * size - 0.5,
                scores=np.array([s.score for s in scores]),
                transform=np.asarray(transform),
            )
            for points, scores, transform in faces
        ]


def _model_file(path: str | os.PathLike[str] | None) -> Path:
    chosen = path if path is not None else os.environ.get(MODEL_VARIABLE)
    if chosen is None:
        raise MissingDataError(f"MediaPipe's face_landmarker.task is needed: give its path or set {MODEL_VARIABLE}")
    if not Path(chosen).is_file():
        raise MissingDataError(f"{chosen}: no such MediaPipe model file")
    return Path(chosen)


def _open_landmarker(path: Path, mode: str, num_faces: int) -> Any:
    try:
        from mediapipe.tasks.python import BaseOptions, vision
    except ImportError as error:
        raise MissingExtraError("mediapipe", "mediapipe") from error
    options = vision.FaceLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(path)),
        running_mode=vision.RunningMode[mode],
        num_faces=num_faces,
        output_face_blendshapes=True,
        output_facial_transformation_matrixes=True,
    )
    return vision.FaceLandmarker.create_from_options(options)


def _close_all(landmarkers: list[Any]) -> None:
    for landmarker in {id(one): one for one in landmarkers}.values():
        landmarker.close()
