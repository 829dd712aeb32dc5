"""What the two networks of the embedded tracker are trained for."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from mien.face3d.params import ARKIT_NAMES
from mien.tracking.detector import Detections, detection_targets
from mien.tracking.protocol import Box
from mien.tracking.regressor import FaceReading
from mien.tracking.samples import CropBatch

_EMPHASIS = {
    **{"jawOpen": 8.0, "mouthSmile": 3.0, "eyeBlink": 3.0, "eyeLookIn": 8.0, "eyeLookOut": 8.0},
    **{"eyeLook": 4.0, "brow": 2.0, "mouth": 1.5},
}
_UPPER, _LOWER = (37, 38, 43, 44, 61, 62, 63), (41, 40, 47, 46, 67, 66, 65)
_EYE_POINTS = slice(36, 48)
_MOUTH_POINTS = slice(48, 68)


def _emphasis() -> torch.Tensor:
    weights = [next((w for start, w in _EMPHASIS.items() if name.startswith(start)), 1.0) for name in ARKIT_NAMES]
    return torch.tensor(weights) / (sum(weights) / len(weights))


def _openings(landmarks: torch.Tensor) -> torch.Tensor:
    """(B, 7, 2) vectors from upper to lower lids and inner lips."""
    return landmarks[:, _LOWER] - landmarks[:, _UPPER]


def regressor_losses(reading: FaceReading, batch: CropBatch) -> dict[str, torch.Tensor]:
    """Scalar losses, already weighted against each other; their sum is what to descend.

    Landmarks, the openings of lids and lips, and angles by absolute error, expression and presence by cross-entropy (an
    absolute error would settle on the median, and the median of most coefficients is zero); each face counts as far as
    its labels are trusted.

    Args:
        reading: of the batch's crops.
        batch: on the same device.
    """
    trust_points, trust_angles, trust_expression = batch.trust.unbind(1)
    importance = torch.ones(68, device=batch.landmarks.device)
    importance[_EYE_POINTS], importance[_MOUTH_POINTS], importance[:17] = 2.0, 1.5, 0.5
    distance = (reading.landmarks - batch.landmarks).abs().sum(-1) * importance
    turn = (reading.angles - batch.angles).abs().sum(1)
    gap = _openings(reading.landmarks) - _openings(batch.landmarks)
    surprise = F.binary_cross_entropy_with_logits(reading.expression, batch.expression, reduction="none")
    coefficient = batch.known * _emphasis().to(batch.known)
    faces = batch.presence.sum().clamp(min=1)
    return {
        "landmarks": 4.0 * (distance.mean(1) * trust_points).sum() / faces,
        "angles": 12.0 * (turn * trust_angles).sum() / faces,
        "openings": 4.0 * (gap.abs().mean((1, 2)) * trust_points).sum() / faces,
        "expression": 30.0 * ((surprise * coefficient).mean(1) * trust_expression).sum() / faces,
        "presence": 0.5 * F.binary_cross_entropy_with_logits(reading.presence, batch.presence),
    }


def twin_losses(reading: FaceReading, batch: CropBatch) -> dict[str, torch.Tensor]:
    """Scalar losses of the change between two frames that differ little, for crops from `draw_twins`.

    A net that is unsure of a face reads the same of both: no error of one frame says so, but what moves a little in the
    driver would then not move in the result.
    """

    def change(values: torch.Tensor) -> torch.Tensor:
        return values[1::2] - values[0::2]

    turn = (change(reading.angles) - change(batch.angles)).abs().sum(1)
    coefficient = _emphasis().to(batch.expression) * batch.known[0::2].minimum(batch.known[1::2])
    moved = (change(reading.expression.sigmoid()) - change(batch.expression)).abs() * coefficient
    return {"twin_angles": 24.0 * turn.mean(), "twin_expression": 10.0 * moved.mean()}


def detector_losses(maps: Detections, boxes: list[list[Box]], height: int, width: int) -> dict[str, torch.Tensor]:
    """Focal loss of the heat (CenterNet, equation 1) and absolute errors of size and offset at faces' middles.

    Args:
        maps: the detector's answer to a batch of pictures of this height and width.
        boxes: per picture, the faces in it, in pixels.
    """
    targets, counted = (t.to(maps.heat.device) for t in detection_targets(boxes, height, width))
    heat = targets[:, 0]
    is_peak = heat > 0.95
    log_hit, log_miss = F.logsigmoid(maps.heat), F.logsigmoid(-maps.heat)
    probability = maps.heat.sigmoid()
    focal = torch.where(is_peak, (1 - probability) ** 2 * log_hit, (1 - heat) ** 4 * probability**2 * log_miss)
    num_peaks = is_peak.sum().clamp(min=1)
    num_cells = counted.sum().clamp(min=1)
    offset_error = (maps.offset - targets[:, 2:]).abs().sum(1)
    return {
        "heat": -focal.sum() / num_peaks,
        "size": ((maps.size - targets[:, 1]).abs() * counted).sum() / num_cells,
        "offset": 0.3 * (offset_error * counted).sum() / num_cells,
    }
