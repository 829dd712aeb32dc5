"""The tracker mien brings along: a detector and a regressor, pure PyTorch, trained by the `tracker` recipe."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from mien.alignment.crop import Crop
from mien.errors import BundleError
from mien.face3d.mirroring import MIRRORED_COEFFICIENTS, MIRRORED_LANDMARKS
from mien.face3d.params import FaceParams
from mien.geometry import apply_affine, turned_angles
from mien.images import to_tensor
from mien.tracking.detector import DetectorConfig, FaceDetector, boxes_from_maps
from mien.tracking.framing import box_from_landmarks, crop_matrix, upright_frame
from mien.tracking.layers import folded
from mien.tracking.protocol import Box, checked_picture, merge_boxes
from mien.tracking.regressor import FaceReading, FaceRegressor, RegressorConfig

FIND_SIDES_PX = (256, 128)
FIND_FINE_SIDE_PX = 448
FIND_THRESHOLD = 0.3
PRESENT_THRESHOLD = 0.5
CONFIRMED_THRESHOLD = 0.8
"""Score from which a newly found box counts as a face; following goes on down to PRESENT_THRESHOLD."""
HALF_SCORE_DOUBT = 0.10
"""Two looks at a face differ by 1 to 3 % of the box; at this difference the score is halved."""
TRACKER_VERSION = 1


class EmbeddedTracker:
    """Finds faces with a `FaceDetector` and measures them with a `FaceRegressor`.

    Every face is looked at twice: in the upright square of its box, and again in the square, tilt included, that the
    first look's landmarks define; so the answer hardly depends on how exactly the box was placed. The second look is
    the mean over the square and its mirror image, because heads in videos often move less than a net's preference for
    one side.

    Args:
        detector: trained detector; it is copied, not changed.
        regressor: trained regressor; it is copied, not changed.
        device: where both run.
    """

    def __init__(self, detector: FaceDetector, regressor: FaceRegressor, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.crop_px = regressor.config.crop_px
        self._detector = folded(detector).to(self.device)
        self._regressor = folded(regressor).to(self.device)

    def find(self, image: np.ndarray) -> list[Box]:
        """Faces from about 1/25 of the longer side upwards, largest first; a finer look when the first finds none.

        The regressor has the last word: it drops what is no face and puts the box where the landmarks are.
        """
        image = checked_picture(image)
        boxes = self._confirmed(image, [box for side in FIND_SIDES_PX for box in self._find_at(image, side)])
        if boxes or max(image.shape[:2]) <= FIND_SIDES_PX[0]:
            return boxes
        return self._confirmed(image, self._find_at(image, FIND_FINE_SIDE_PX))

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        """The face in boxes[i] of images[i]; see `Tracker.estimate`. Results are on the CPU."""
        if len(images) != len(boxes):
            raise ValueError(f"{len(images)} pictures but {len(boxes)} boxes")
        if not images:
            return FaceParams.invalid(0)
        pictures = [checked_picture(image) for image in images]
        first = self._read(pictures, [(box.centre, max(box.side, 1.0), 0.0) for box in boxes])
        frames = [upright_frame(points) for points in first.landmarks.double().numpy()]
        frames = [
            (c, float(np.clip(s, 0.5 * b.side, 2 * b.side)), t) for (c, s, t), b in zip(frames, boxes, strict=True)
        ]
        second = self._read(pictures, frames, with_mirror=True)
        sides = torch.tensor([side for _, side, _ in frames], dtype=torch.float32)
        doubt = (first.landmarks - second.landmarks).norm(dim=-1).mean(1) / sides
        score = torch.minimum(first.score, second.score) / (1 + (doubt / HALF_SCORE_DOUBT) ** 2)
        return FaceParams(
            angles=second.angles,
            expression=second.expression,
            landmarks=second.landmarks,
            valid=score >= PRESENT_THRESHOLD,
            score=score,
        )

    def _confirmed(self, image: np.ndarray, candidates: Sequence[Box]) -> list[Box]:
        params = self.estimate([image] * len(candidates), candidates)
        points = params.landmarks.numpy()
        faces = np.flatnonzero(params.score >= CONFIRMED_THRESHOLD)
        return merge_boxes([box_from_landmarks(points[i], float(params.score[i])) for i in faces])

    def _find_at(self, image: np.ndarray, side: int) -> list[Box]:
        height, width = image.shape[:2]
        scale = side / max(height, width)
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        padded = cv2.copyMakeBorder(small, 0, -size[1] % 32, 0, -size[0] % 32, cv2.BORDER_CONSTANT, value=(127,) * 3)
        with torch.inference_mode():
            batch = to_tensor(padded).to(self.device).contiguous(memory_format=torch.channels_last)
            boxes = boxes_from_maps(self._detector(batch), 0, FIND_THRESHOLD)
        return merge_boxes([Box.square((box.centre + 0.5) / scale - 0.5, box.side / scale, box.score) for box in boxes])

    def _read(
        self,
        pictures: Sequence[np.ndarray],
        frames: Sequence[tuple[np.ndarray, float, float]],
        with_mirror: bool = False,
    ) -> FaceParams:
        """One look at the squares (centre, side, tilt), converted to full-picture pixels and angles."""
        crops = [Crop(crop_matrix(centre, side, tilt, self.crop_px), self.crop_px) for centre, side, tilt in frames]
        cut = to_tensor([crop.apply(picture) for crop, picture in zip(crops, pictures, strict=True)])
        with torch.inference_mode():
            cut = torch.cat([cut, cut.flip(3)]) if with_mirror else cut
            batch = cut.to(self.device).contiguous(memory_format=torch.channels_last)
            reading: FaceReading = self._regressor(batch)
            reading = merged(reading) if with_mirror else reading
        points = (reading.landmarks.cpu().double().numpy() * self.crop_px + self.crop_px - 1) / 2
        landmarks = np.stack([apply_affine(crop.inverse, p) for crop, p in zip(crops, points, strict=True)])
        tilts = torch.tensor([tilt for _, _, tilt in frames], dtype=torch.float32)
        score = reading.presence.sigmoid().cpu().clone()
        return FaceParams(
            angles=turned_angles(reading.angles.cpu().clone(), tilts),
            expression=reading.expression.sigmoid().cpu().clone(),
            landmarks=torch.from_numpy(landmarks).float(),
            valid=score >= PRESENT_THRESHOLD,
            score=score,
        )


def merged(reading: FaceReading) -> FaceReading:
    """The mean of what was read in B crops and in the same B crops mirrored, which follow them."""
    straight, mirrored = (FaceReading(*part) for part in zip(*(value.chunk(2) for value in reading), strict=True))
    back = FaceReading(
        landmarks=mirrored.landmarks[:, MIRRORED_LANDMARKS] * mirrored.landmarks.new_tensor([-1.0, 1.0]),
        angles=mirrored.angles * mirrored.angles.new_tensor([-1.0, 1.0, -1.0]),
        expression=mirrored.expression[:, MIRRORED_COEFFICIENTS],
        presence=mirrored.presence,
    )
    return FaceReading(*((a + b) / 2 for a, b in zip(straight, back, strict=True)))


def tracker_to_state(
    detector: FaceDetector, regressor: FaceRegressor
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights (one flat mapping) and configuration (plain JSON values) of a trained pair, for a bundle."""
    weights = {f"detector.{name}": value.detach().cpu().contiguous() for name, value in detector.state_dict().items()}
    weights |= {
        f"regressor.{name}": value.detach().cpu().contiguous() for name, value in regressor.state_dict().items()
    }
    weights = {name: value for name, value in weights.items() if not name.endswith("num_batches_tracked")}
    config = {"version": TRACKER_VERSION, "detector": asdict(detector.config), "regressor": asdict(regressor.config)}
    return weights, config


def tracker_from_state(
    weights: Mapping[str, torch.Tensor], config: Mapping[str, Any], device: torch.device | str = "cpu"
) -> EmbeddedTracker:
    """Inverse of `tracker_to_state`; half-precision weights are widened.

    Raises:
        BundleError: weights and configuration do not belong together, or come from another version.
    """
    return EmbeddedTracker(*_networks(weights, config), device)


def save_tracker(detector: FaceDetector, regressor: FaceRegressor, folder: str | os.PathLike[str]) -> None:
    """Write `tracker.safetensors` and `tracker.json` into an existing folder."""
    from safetensors.torch import save_file

    weights, config = tracker_to_state(detector, regressor)
    save_file(weights, Path(folder) / "tracker.safetensors")
    (Path(folder) / "tracker.json").write_text(json.dumps(config, indent=2) + "\n")


def read_tracker(folder: str | os.PathLike[str]) -> tuple[FaceDetector, FaceRegressor]:
    """Read what `save_tracker` wrote.

    Raises:
        BundleError: a file is missing or damaged, or the two do not belong together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        config = json.loads((Path(folder) / "tracker.json").read_text())
        weights = load_file(Path(folder) / "tracker.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise BundleError(f"{folder}: no readable tracker there ({error})") from error
    return _networks(weights, config)


def load_embedded(folder: str | os.PathLike[str], device: torch.device | str = "cpu") -> EmbeddedTracker:
    """The tracker in a folder that `save_tracker` wrote; see `read_tracker`."""
    return EmbeddedTracker(*read_tracker(folder), device)


def _networks(weights: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> tuple[FaceDetector, FaceRegressor]:
    try:
        if config["version"] != TRACKER_VERSION:
            raise BundleError(f"this tracker has version {config['version']}; version {TRACKER_VERSION} is understood")
        detector = FaceDetector(DetectorConfig(**_tuples(config["detector"])))
        regressor = FaceRegressor(RegressorConfig(**_tuples(config["regressor"])))
        for name, network in (("detector", detector), ("regressor", regressor)):
            prefix = name + "."
            state = {k[len(prefix) :]: v.float() for k, v in weights.items() if k.startswith(prefix)}
            counters = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
            network.load_state_dict({**counters, **state})
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BundleError(f"the tracker's weights do not fit its configuration: {error}") from error
    return detector, regressor


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
