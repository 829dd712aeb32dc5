"""The frozen networks that look at results during training: Net3D and the identity net."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from mien.face3d import FaceParams, MotionSpace, PosedHead, ShapeModel, load_ict
from mien.losses.adversarial import prefer
from mien.losses.face import geometry_losses, identity_loss
from mien.losses.image import feature_l1
from mien.perception import IdentityNet
from mien.stylegan2 import Discriminator
from mien.tracking.closeup import CloseUpNet
from mien.tracking.regressor import FaceRegressor
from mien.training.closer import cut, look_closer
from mien.training.parts import load_closeup, load_identity, load_regressor

FACE_CENTRE, FACE_SIDE = (0.5, 0.59), 0.64
"""Where the face lies in the `head` crop on average, as shares of its side: what Net3D looks at."""


def read_faces(regressor: FaceRegressor, images: torch.Tensor) -> FaceParams:
    """What Net3D sees in (B, 3, S, S) head crops, where faces lie in one place; differentiable."""
    side = images.shape[-1]
    square = (np.asarray(FACE_CENTRE) * side - 0.5, FACE_SIDE * side, 0.0)
    reading = regressor(cut(images.float(), [square] * len(images), regressor.config.crop_px))
    score = reading.presence.sigmoid()
    return FaceParams(reading.angles, reading.expression.sigmoid(), reading.landmarks, score > 0.5, score)


def faces_asked_for(motion: MotionSpace, q: torch.Tensor) -> FaceParams:
    """What pictures should show that were asked for coordinates q (B, k); pose and expression alone."""
    angles, expression = motion.decode(q)
    return replace(FaceParams.invalid(len(q)).to(q.device), angles=angles, expression=expression)


def reading_loss(net3d: FaceRegressor, result: torch.Tensor, truth: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean distances between what Net3D sees in redrawn and in true frames (B, 3, S, S); its bias is in both."""
    with torch.no_grad():
        wanted = read_faces(net3d, truth)
    seen = read_faces(net3d, result)
    return {
        "angles": (seen.angles - wanted.angles).abs().mean(),
        "expression": (seen.expression - wanted.expression).abs().mean(),
    }


def likeness_losses(identity: IdentityNet, result: torch.Tensor, source: torch.Tensor) -> dict[str, torch.Tensor]:
    """Means of L_id and of the feature distance (our substitute for L_per) between pictures (B, 3, S, S)."""
    maps, source_maps = identity.features(result), identity.features(source)
    return {
        "id": identity_loss(identity(result), identity(source)).mean(),
        "perceptual": feature_l1(maps[:2], source_maps[:2]).mean(),
    }


def sharpness_loss(discriminator: Discriminator, made: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean loss of a frozen discriminator that should prefer made pictures to true ones (B, 3, S, S), pair by pair."""
    with torch.no_grad():
        wanted = discriminator(true).float()
    return prefer(discriminator(made).float(), wanted).mean()


@dataclass(frozen=True)
class Judges:
    """The frozen networks that look at results; without an identity net they say nothing of likeness.

    Where there is a net for close-ups, expressions are what a second, closer look says (`mien.training.closer`).
    """

    regressor: FaceRegressor
    identity: IdentityNet | None
    shape: ShapeModel
    closeup: CloseUpNet | None = None

    def read(self, images: torch.Tensor) -> FaceParams:
        """Net3D: parameters of (B, 3, S, S) head crops; differentiable."""
        seen = read_faces(self.regressor, images)
        if self.closeup is None:
            return seen
        points = seen.landmarks.detach().double().cpu().numpy()
        places = (FACE_SIDE * points + 2 * np.asarray(FACE_CENTRE)) * images.shape[-1] / 2 - 0.5
        return look_closer(self.regressor, self.closeup, images, seen, places)

    def geometry(self, result: torch.Tensor, wanted: FaceParams) -> dict[str, torch.Tensor]:
        """Means of L_sh, L_eye and L_mouth of pictures against the parameters they should show."""
        return self.geometry_seen(self.read(result), wanted)

    def geometry_seen(self, seen: FaceParams, wanted: FaceParams) -> dict[str, torch.Tensor]:
        """The same of what Net3D has read already."""
        with torch.autocast(seen.angles.device.type, enabled=False):  # pixels need more than eight bits
            ours, truth = (self._posed(params) for params in (seen, wanted))
            return {name: values.mean() for name, values in geometry_losses(ours, truth).items()}

    def _posed(self, params: FaceParams) -> PosedHead:
        angles = params.angles.float()
        return self.shape.posed(angles.new_zeros(len(angles), 0), params.expression.float(), angles)

    def likeness(self, result: torch.Tensor, source: torch.Tensor) -> dict[str, torch.Tensor]:
        """Means of L_id and of the feature distance (our substitute for L_per) between pictures."""
        assert self.identity is not None
        return likeness_losses(self.identity, result, source)


def missed_motion(
    judges: Judges, motion: MotionSpace, result: torch.Tensor, q: torch.Tensor
) -> dict[str, torch.Tensor]:
    """What pictures lack that were asked for coordinates q (B, k), as Net3D sees it: means of L_sh, L_eye and L_mouth,
    and of what coordinates of expressions miss (gaze among them, which no landmark shows)."""
    wanted, seen = faces_asked_for(motion, q), judges.read(result)
    is_expression = ~motion.is_angle.to(result.device)
    missed = (motion.read(seen) - motion.read(wanted))[:, is_expression].abs()
    return judges.geometry_seen(seen, wanted) | {"expression": missed.mean()}


def load_judges(tracker: Path, identity: Path | None, device: torch.device, *, closely: bool = False) -> Judges:
    """Judges from the folders of finished runs; `identity` None leaves likeness out.

    `closely` looks at mouth and eyes enlarged, where the tracker has a net for that.

    Raises:
        TrainingError: one of them is not there.
        MissingDataError: the ICT head model is not there.
    """
    shape = load_ict().to(device)
    likeness = None if identity is None else load_identity(identity).to(device)
    closeup = load_closeup(tracker) if closely else None
    closeup = None if closeup is None else closeup.to(device)
    return Judges(load_regressor(tracker).to(device), likeness, shape, closeup)
