"""What measures: trackers, identity networks and perceptual distances, each with its name; and what they see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from mien.errors import InputError
from mien.face3d.motion import MotionSpace, arkit_motion_space
from mien.face3d.params import FaceParams
from mien.images import to_tensor
from mien.metrics.action_units import action_units
from mien.metrics.identity import cosine
from mien.metrics.image import MS_SSIM_SIDE, l1, ms_ssim, psnr, ssim
from mien.metrics.motion import angle_difference_deg, landmark_errors
from mien.tracking.calibration import known_coefficients
from mien.tracking.protocol import Tracker

Embed = Callable[[np.ndarray, FaceParams], torch.Tensor]
"""Identity network: uint8 (H, W, 3) picture and the face (1) in it → embedding (E,)."""

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Perceptual distance: images (B, 3, S, S) in [−1, 1] twice → (B,)."""

Features = Callable[[torch.Tensor], torch.Tensor]
"""Frozen network of a Fréchet distance: pictures (B, 3, S, S), or clips (B, T, 3, S, S), in [−1, 1] → (B, D)."""

SUBSTITUTE = "1 − MS-SSIM"
GAZE = ("gaze_x", "gaze_y")
ANGLES = ("yaw", "pitch", "roll")
Scores = dict[str, float]
"""Score → value, for one picture; "score/instrument" where several instruments measure the same."""


def structural_distance(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """1 − MS-SSIM (B,): the substitute for LPIPS that needs no weights; see `mien.metrics.ms_ssim`."""
    return 1 - ms_ssim(first, second)


def readable_coordinates(space: MotionSpace) -> tuple[str, ...]:
    """Expression coordinates that rest only on coefficients whose MediaPipe score is calibrated to the true scale."""
    silent = torch.from_numpy(1 - known_coefficients()).to(space.encoding)
    unread = (space.encoding[:, 3:].abs() * silent).sum(1)
    return tuple(name for name, rest in zip(space.names[3:], unread[3:].tolist(), strict=True) if rest == 0)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A tracker that measures, and the expression coordinates that it can read on the true scale.

    Attributes:
        name: as it stands in reports.
        coordinates: names of the default motion space without the angles.
    """

    name: str
    tracker: Tracker
    coordinates: tuple[str, ...] = arkit_motion_space().names[3:]


@dataclass(frozen=True, kw_only=True)
class Look:
    """What the instruments see in one picture.

    Attributes:
        picture: uint8 (S, S, 3).
        faces: judge → the largest face (1); not valid where there is none.
        embeddings: identity network → (E,); lacks those that had no face to look at.
    """

    picture: np.ndarray
    faces: Mapping[str, FaceParams]
    embeddings: Mapping[str, torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class Instruments:
    """All that measures in one run.

    Attributes:
        judges: trackers, at least one; the first says where the face is that identity networks look at.
        identities: identity networks by name.
        distances: perceptual distances by name.
        frame_features: networks of Fréchet distances between frames (FID) by name.
        clip_features: networks of Fréchet distances between clips (FVD) by name.
        absent: what could not measure for want of weights, one sentence each.
        space: coordinates and ranges in which expression errors are counted.
    """

    judges: tuple[Judge, ...]
    identities: Mapping[str, Embed] = field(default_factory=dict)
    distances: Mapping[str, Distance] = field(default_factory=lambda: {SUBSTITUTE: structural_distance})
    frame_features: Mapping[str, Features] = field(default_factory=dict)
    clip_features: Mapping[str, Features] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    space: MotionSpace = field(default_factory=arkit_motion_space)

    def __post_init__(self) -> None:
        if not self.judges:
            raise InputError("a benchmark needs a tracker that measures the results")

    @torch.no_grad()
    def look(self, picture: np.ndarray) -> Look:
        """Measures one picture, uint8 (S, S, 3)."""
        faces = {judge.name: largest_face(judge.tracker, picture) for judge in self.judges}
        face = faces[self.judges[0].name]
        seen = {name: embed(picture, face) for name, embed in self.identities.items()} if face.valid[0] else {}
        return Look(picture=picture, faces=faces, embeddings=seen)


def largest_face(tracker: Tracker, picture: np.ndarray) -> FaceParams:
    """The largest face (1) of a picture, on the CPU; not valid where there is none."""
    boxes = tracker.find(picture)
    return tracker.estimate([picture], boxes[:1]).to("cpu") if boxes else FaceParams.invalid(1)


@torch.no_grad()
def picture_scores(result: np.ndarray, truth: np.ndarray, distances: Mapping[str, Distance]) -> Scores:
    """L1, PSNR, SSIM and perceptual distances of two uint8 (S, S, 3) pictures."""
    a, b = to_tensor(result), to_tensor(truth)
    scores = {"l1": float(l1(a, b)), "psnr": float(psnr(a, b).clamp_max(100)), "ssim": float(ssim(a, b))}
    for name, distance in distances.items():
        if distance is not structural_distance or min(result.shape[:2]) >= MS_SSIM_SIDE:
            scores[f"distance/{name}"] = float(distance(a, b))
    return scores


def identity_scores(name: str, result: Look, other: Look) -> Scores:
    """Identity cosine "`name`/network" of two looks, for the networks that saw both faces."""
    both = result.embeddings.keys() & other.embeddings.keys()
    pairs = {key: (result.embeddings[key][None], other.embeddings[key][None]) for key in both}
    return {f"{name}/{key}": float(cosine(*pair)) for key, pair in sorted(pairs.items())}


def motion_scores(result: Look, wanted: Mapping[str, FaceParams], instruments: Instruments) -> Scores:
    """Pose in degrees, expression and gaze in shares of the working range, action units, and whether a face was found.

    Args:
        wanted: judge → the face (1) that the result should show: the truth, or what that judge saw in the driver.
    """
    scores: Scores = {}
    for judge in instruments.judges:
        seen, target = result.faces[judge.name], wanted[judge.name]
        scores[f"found/{judge.name}"] = float(seen.valid[0])
        if bool(seen.valid[0]) and bool(target.valid[0]):
            errors = _face_errors(seen, target, judge, instruments.space)
            scores |= {f"{name}/{judge.name}": value for name, value in errors.items()}
    return scores


def _face_errors(seen: FaceParams, target: FaceParams, judge: Judge, space: MotionSpace) -> Scores:
    degrees = angle_difference_deg(seen.angles, target.angles)[0]
    scores = dict(zip(ANGLES, degrees.tolist(), strict=True)) | {"angle": float(degrees.mean())}
    span = (space.ranges[:, 1] - space.ranges[:, 0]).double()
    shares = ((space.read(seen).double() - space.read(target).double()).abs()[0] / span).tolist()
    by_name = {name: share for name, share in zip(space.names, shares, strict=True) if name in judge.coordinates}
    for group, members in (("gaze", GAZE), ("expression", [name for name in by_name if name not in GAZE])):
        if all(name in by_name for name in members) and members:
            scores[group] = float(np.mean([by_name[name] for name in members]))
    if len(by_name) == len(space.names) - len(ANGLES):  # who cannot read every coefficient does not know the units
        scores["au_h"] = float((action_units(seen) != action_units(target)).double().mean())
    return scores | {f"coordinate {k}": v for k, v in by_name.items()}


def landmark_scores(result: Look, wanted: Mapping[str, torch.Tensor]) -> Scores:
    """NME of the landmarks (1, 68, 2) that judges saw, against wanted ones in pixels of the result."""
    return {
        f"nme/{name}": float(landmark_errors(result.faces[name].landmarks, points))
        for name, points in wanted.items()
        if bool(result.faces[name].valid[0])
    }
