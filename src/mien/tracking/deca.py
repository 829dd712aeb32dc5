"""DECA as a tracker: the parameters that the published directions were trained with (METHODS section 1)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mien.alignment.crop import deca_crop
from mien.face3d.params import FaceParams
from mien.geometry import angles_from_rotation, rotation_from_axis_angle
from mien.images import to_tensor
from mien.tracking.deca_net import DecaCode, DecaNet
from mien.tracking.protocol import Box, Tracker, checked_picture


class DecaTracker:
    """Measures faces with DECA; another tracker finds them and their 68 landmarks, which frame what DECA sees.

    Args:
        net: trained network; moved to `device` and put in eval mode, in place.
        landmarker: any tracker; its boxes, landmarks, validity and score are passed on, its expression is not used.
        device: where the network runs.
    """

    def __init__(self, net: DecaNet, landmarker: Tracker, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.landmarker = landmarker
        self._net = net.to(self.device).eval()

    def find(self, image: np.ndarray) -> list[Box]:
        """The faces that the landmarker finds, largest first."""
        return self.landmarker.find(image)

    def estimate(self, images: Sequence[np.ndarray], boxes: Sequence[Box]) -> FaceParams:
        """The face in boxes[i] of images[i] as "deca" parameters on the CPU; see `Tracker.estimate`.

        All valid faces go through the network in one batch; the others never reach it.
        """
        if len(images) != len(boxes):
            raise ValueError(f"{len(images)} pictures but {len(boxes)} boxes")
        if not images:
            return FaceParams.invalid(0, "deca")
        seen = self.landmarker.estimate(images, boxes).to("cpu")
        blank = FaceParams.invalid(len(images), "deca")
        angles, expression = blank.angles, blank.expression
        faces = np.flatnonzero(seen.valid.numpy()).tolist()
        if faces:
            code = self.code([images[i] for i in faces], seen.landmarks[faces])
            angles[faces] = angles_from_rotation(rotation_from_axis_angle(code.pose[:, :3]))
            expression[faces] = torch.cat([code.pose[:, 3:4], code.expression], 1)
        return FaceParams(
            angles=angles,
            expression=expression,
            landmarks=seen.landmarks,
            valid=seen.valid,
            score=seen.score,
            model="deca",
        )

    def code(self, images: Sequence[np.ndarray], landmarks: torch.Tensor) -> DecaCode:
        """All coefficients of one face per picture, in one batch, on the CPU.

        Args:
            images: uint8 (H, W, 3) RGB pictures of any sizes.
            landmarks: (B, 68, 2) pixels of these pictures.
        """
        points, size = landmarks.double().numpy(), self._net.config.resolution
        crops = [deca_crop(p, size).apply(checked_picture(i)) for i, p in zip(images, points, strict=True)]
        with torch.inference_mode():
            batch = to_tensor(crops).to(self.device).add_(1).div_(2)
            code = self._net(batch)
        return DecaCode._make(part.float().cpu().clone() for part in code)
