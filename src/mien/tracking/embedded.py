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
from mien.tracking.closeup import Closer, CloseUpConfig, CloseUpNet, CloseUps, cut_closeups
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
    one side. Where there is a net for close-ups, it looks at mouth and eyes once more and corrects the expression;
    angles, landmarks and score stay.

    Args:
        detector: trained detector; it is copied, not changed.
        regressor: trained regressor; it is copied, not changed.
        closeup: trained net for close-ups, which is copied as well; None does without.
        device: where they run.
    """

    def __init__(
        self,
        detector: FaceDetector,
        regressor: FaceRegressor,
        closeup: CloseUpNet | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.crop_px = regressor.config.crop_px
        self._detector = folded(detector).to(self.device)
        self._regressor = folded(regressor).to(self.device)
        self._closeup = None if closeup is None else folded(closeup).to(self.device)
        self._closeup_config = None if closeup is None else closeup.config

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
        return self._estimated(images, boxes, closely=True)

    def _estimated(self, images: Sequence[np.ndarray], boxes: Sequence[Box], *, closely: bool) -> FaceParams:
        """`estimate`, with or without a look at close-ups."""
        if len(images) != len(boxes):
            raise ValueError(f"{len(images)} pictures but {len(boxes)} boxes")
        if not images:
            return FaceParams.invalid(0)
        pictures = [checked_picture(image) for image in images]
        first, _ = self._read(pictures, [(box.centre, max(box.side, 1.0), 0.0) for box in boxes])
        frames = [upright_frame(points) for points in first.landmarks.double().numpy()]
        frames = [
            (c, float(np.clip(s, 0.5 * b.side, 2 * b.side)), t) for (c, s, t), b in zip(frames, boxes, strict=True)
        ]
        second, reading = self._read(pictures, frames, with_mirror=True)
        sides = torch.tensor([side for _, side, _ in frames], dtype=torch.float32)
        doubt = (first.landmarks - second.landmarks).norm(dim=-1).mean(1) / sides
        score = torch.minimum(first.score, second.score) / (1 + (doubt / HALF_SCORE_DOUBT) ** 2)
        return FaceParams(
            angles=second.angles,
            expression=self._corrected(pictures, second, reading) if closely else second.expression,
            landmarks=second.landmarks,
            valid=score >= PRESENT_THRESHOLD,
            score=score,
        )

    def _corrected(self, pictures: Sequence[np.ndarray], seen: FaceParams, reading: FaceReading) -> torch.Tensor:
        """(B, 51) expression after a look at close-ups, where there is a net for them."""
        if self._closeup is None or self._closeup_config is None:
            return seen.expression
        cuts = cut_closeups(pictures, seen.landmarks.numpy(), self._closeup_config)
        with torch.inference_mode():
            closer: Closer = self._closeup(CloseUps(*(cut.to(self.device) for cut in cuts)), reading)
            return (reading.expression + closer.correction).sigmoid().cpu().clone()

    def _confirmed(self, image: np.ndarray, candidates: Sequence[Box]) -> list[Box]:
        params = self._estimated([image] * len(candidates), candidates, closely=False)
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
    ) -> tuple[FaceParams, FaceReading]:
        """One look at the squares (centre, side, tilt): in full-picture pixels and angles, and as it was read."""
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
        params = FaceParams(
            angles=turned_angles(reading.angles.cpu().clone(), tilts),
            expression=reading.expression.sigmoid().cpu().clone(),
            landmarks=torch.from_numpy(landmarks).float(),
            valid=score >= PRESENT_THRESHOLD,
            score=score,
        )
        return params, reading


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
    detector: FaceDetector, regressor: FaceRegressor, closeup: CloseUpNet | None = None
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights (one flat mapping) and configuration (plain JSON values) of trained networks, for a bundle."""
    networks = {"detector": detector, "regressor": regressor}
    networks |= {} if closeup is None else {"closeup": closeup}
    weights = {
        f"{name}.{key}": value.detach().cpu().contiguous()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    configs: dict[str, Any] = {name: asdict(network.config) for name, network in networks.items()}
    return weights, {"version": TRACKER_VERSION, **configs}


def tracker_from_state(
    weights: Mapping[str, torch.Tensor], config: Mapping[str, Any], device: torch.device | str = "cpu"
) -> EmbeddedTracker:
    """Inverse of `tracker_to_state`; half-precision weights are widened.

    Raises:
        BundleError: weights and configuration do not belong together, or come from another version.
    """
    return EmbeddedTracker(*_networks(weights, config), device=device)


def save_tracker(
    detector: FaceDetector,
    regressor: FaceRegressor,
    folder: str | os.PathLike[str],
    closeup: CloseUpNet | None = None,
) -> None:
    """Write `tracker.safetensors` and `tracker.json` into an existing folder."""
    from safetensors.torch import save_file

    weights, config = tracker_to_state(detector, regressor, closeup)
    save_file(weights, Path(folder) / "tracker.safetensors")
    (Path(folder) / "tracker.json").write_text(json.dumps(config, indent=2) + "\n")


def read_tracker(folder: str | os.PathLike[str]) -> tuple[FaceDetector, FaceRegressor, CloseUpNet | None]:
    """Read what `save_tracker` wrote; None stands for a net for close-ups that is not there.

    Raises:
        BundleError: a file is missing or damaged, or they do not belong together.
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
    return EmbeddedTracker(*read_tracker(folder), device=device)


def _networks(
    weights: Mapping[str, torch.Tensor], config: Mapping[str, Any]
) -> tuple[FaceDetector, FaceRegressor, CloseUpNet | None]:
    try:
        if config["version"] != TRACKER_VERSION:
            raise BundleError(f"this tracker has version {config['version']}; version {TRACKER_VERSION} is understood")
        detector = FaceDetector(DetectorConfig(**_tuples(config["detector"])))
        regressor = FaceRegressor(RegressorConfig(**_tuples(config["regressor"])))
        closeup = CloseUpNet(CloseUpConfig(**_tuples(config["closeup"]))) if "closeup" in config else None
        for name, network in (("detector", detector), ("regressor", regressor), ("closeup", closeup)):
            if network is None:
                continue
            prefix = name + "."
            state = {k[len(prefix) :]: v.float() for k, v in weights.items() if k.startswith(prefix)}
            counters = {k: v for k, v in network.state_dict().items() if k.endswith("num_batches_tracked")}
            network.load_state_dict({**counters, **state})
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BundleError(f"the tracker's weights do not fit its configuration: {error}") from error
    return detector, regressor, closeup


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
