"""The public object: one loaded bundle that turns a photograph into somebody else's motion."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from mien.alignment.crop import CROPS, Crop
from mien.checkpoints.bundle import Bundle, load_bundle
from mien.device import choose_device
from mien.errors import BundleError, ImageError, InputError, NoFaceError
from mien.face3d.motion import Q_LIMIT
from mien.face3d.params import FaceParams
from mien.images import to_tensor, to_uint8
from mien.media.reader import Frame
from mien.methods.direction import move_code
from mien.pipelines.driving import Strength, edit_change, motion_change, strength_vector
from mien.pipelines.faces import Face, measure_face
from mien.pipelines.streaming import Missing, Stream, StreamSettings
from mien.tracking.embedded import EmbeddedTracker
from mien.tracking.protocol import Tracker

SMALL_FACE_PX = 48  # side of the source's head region below which the user is warned


@dataclass(frozen=True)
class Identity:
    """A source person, ready to be driven: a value that can be kept, compared and used with many drivers.

    Attributes:
        code: (1, L, D) W+ code of the source.
        params: pose and expression of the source, length 1, landmarks in pixels of the full picture.
        coordinates: (1, k) the same in the bundle's motion space.
        crop: region of the full picture that the generator shows; carries its inverse.
        image: uint8 (S, S, 3) that region.
        notices: what the user should know, one sentence each.
    """

    code: torch.Tensor
    params: FaceParams
    coordinates: torch.Tensor
    crop: Crop
    image: np.ndarray
    notices: tuple[str, ...] = ()


class Reenactor:
    """Identifies sources, drives and edits them. Holds weights only; everything else is passed and returned.

    Args:
        bundle: weights, already on `device`.
        device: where they are.
        tracker: measures faces; None takes the bundle's own.

    Raises:
        BundleError: there is no tracker in the bundle and none is given.
    """

    def __init__(self, bundle: Bundle, device: torch.device | str = "cpu", tracker: Tracker | None = None) -> None:
        if tracker is None:
            if bundle.tracker is None:
                raise BundleError(f"the bundle {bundle.name} has no tracker of its own; name one")
            tracker = EmbeddedTracker(*bundle.tracker, device)
        self.bundle, self.device, self.tracker = bundle, torch.device(device), tracker

    def measure(self, image: np.ndarray, face: Face | None = "largest") -> FaceParams:
        """Pose, expression and landmarks of one face of a uint8 (H, W, 3) picture; FaceParams of length 1.

        Args:
            face: "largest", "left", "right", number from the left starting at 0, or None: the only prominent one.

        Raises:
            NoFaceError, SeveralFacesError: see `measure_face`.
            ImageError: not a uint8 RGB picture.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ImageError(f"a picture must be uint8 (H, W, 3) RGB, not {image.dtype} {tuple(image.shape)}")
        return measure_face(self.tracker, image, face)

    @torch.no_grad()
    def identify(self, image: np.ndarray, face: Face | None = None) -> Identity:
        """Detect, measure, crop and invert a source picture (uint8 (H, W, 3) RGB of any size).

        Args:
            face: which face, as in `measure`; None refuses to choose between two prominent ones.

        Raises:
            NoFaceError, SeveralFacesError, ImageError: as `measure`.
        """
        params = self.measure(image, face)
        size = self.bundle.generator.config.resolution
        crop = CROPS[self.bundle.crop](params.landmarks[0].cpu().numpy(), params.angles[0].cpu().numpy(), size)
        region = crop.apply(image)
        code = self.bundle.encoder(to_tensor(region).to(self.device))
        coordinates = self.bundle.motion.encode(params.to("cpu"))
        if self.bundle.encoder.config.pose_free:
            code = self.bundle.directions.shift(code, coordinates.to(code))
        return Identity(code, params, coordinates, crop, region, tuple(self._notices(crop, coordinates)))

    def _notices(self, crop: Crop, coordinates: torch.Tensor) -> list[str]:
        notices = []
        side = crop.size / float(np.sqrt(abs(np.linalg.det(crop.matrix[:, :2]))))
        if side < SMALL_FACE_PX:
            notices.append(f"the face is small: its region measures only {side:.0f} px")
        outside = [
            name for name, q in zip(self.bundle.motion.names, coordinates[0], strict=True) if abs(float(q)) > Q_LIMIT
        ]
        if set(outside) & {"yaw", "pitch", "roll"}:
            notices.append(f"the source's head is turned beyond the trained range ({', '.join(outside)})")
        return notices

    def drive(
        self,
        identity: Identity,
        target: np.ndarray | Frame | FaceParams,
        strength: Strength = 1.0,
        reference: FaceParams | None = None,
    ) -> np.ndarray:
        """The source in the pose and expression of `target`; uint8 (S, S, 3).

        Args:
            target: a picture, a frame, or parameters of length 1.
            strength: factor on the change, or factors by group or coordinate.
            reference: drive relatively: the target's change since these parameters is applied to the source.

        Raises:
            NoFaceError: no face in the target.
        """
        params = target
        if not isinstance(params, FaceParams):
            params = self.measure(params.image if isinstance(params, Frame) else params)
        if len(params) != 1 or not bool(params.valid[0]):
            raise NoFaceError("the target holds no measured face")
        return self.render(identity, self.change(identity, params, strength, reference))[0]

    def change(
        self,
        identity: Identity,
        params: FaceParams,
        strength: Strength = 1.0,
        reference: FaceParams | None = None,
    ) -> torch.Tensor:
        """Δq (B, k) that takes the source to each of B driver poses; see `motion_change`."""
        motion = self.bundle.motion
        base = None if reference is None else motion.encode(reference.to("cpu"))
        driver = motion.encode(params.to("cpu"))
        return motion_change(identity.coordinates, driver, base, strength_vector(motion, strength))

    def edit(self, identity: Identity, **coordinates: float) -> np.ndarray:
        """The source with named coordinates at absolute targets: degrees for angles, unit weights for expressions.

        Raises:
            InputError: a name that the bundle's motion space does not have.
        """
        return self.render(identity, edit_change(self.bundle.motion, identity.coordinates, coordinates))[0]

    @torch.no_grad()
    def render(self, identity: Identity, change: torch.Tensor) -> np.ndarray:
        """Synthesise the source moved by each Δq (B, k); uint8 (B, S, S, 3)."""
        bundle = self.bundle
        code = identity.code.expand(len(change), -1, -1)
        moved = move_code(bundle.directions, code, change.to(self.device), bundle.w_mean, bundle.truncation)
        return to_uint8(bundle.generator.synthesis(moved))

    def stream(
        self,
        identity: Identity,
        frames: Iterable[np.ndarray] | Iterable[Frame],
        *,
        relative: bool = False,
        strength: Strength = 1.0,
        face: Face = "largest",
        missing: Missing = "hold",
        batch: int = 8,
        reference: FaceParams | None = None,
    ) -> Stream:
        """Drive the source with a video, lazily and in constant memory; iterating yields uint8 (S, S, 3) pictures.

        Args:
            relative: apply the driver's change since its reference frame instead of its pose itself.
            face: which face of the driver to follow.
            missing: what to show while the driver's face is lost: "hold" the last good result (before the first one:
                the source itself) or the "source".
            batch: frames that are measured and synthesised together; 1 for the least delay.
            reference: reference of relative driving; None takes the first frame with a face.

        Raises:
            InputError: settings that make no sense. While iterating: NoFaceError at the end of a driver that never
                showed a face.
        """
        if missing not in ("hold", "source"):
            raise InputError(f"missing is 'hold' or 'source', not {missing!r}")
        if batch < 1:
            raise InputError(f"batch must be at least 1, not {batch}")
        strength_vector(self.bundle.motion, strength)
        return Stream(self, identity, frames, StreamSettings(relative, strength, face, missing, batch, reference))


def load(
    name_or_path: str | os.PathLike[str] = "avatar",
    device: str | None = None,
    tracker: str | Tracker | None = None,
) -> Reenactor:
    """Load a bundle by name or path, ready to use.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps" or None for the best one present.
        tracker: "embedded", "mediapipe", a tracker of your own, or None for the bundle's own.

    Raises:
        BundleError: no such bundle, or it is damaged.
        DeviceError: that device is not present.
        MissingExtraError, MissingDataError: the named tracker is not installed.
    """
    chosen = choose_device(device)
    bundle = load_bundle(name_or_path, chosen)
    if isinstance(tracker, str) and tracker != "embedded":
        from mien.tracking import load_tracker

        tracker = load_tracker(tracker)
    return Reenactor(bundle, chosen, None if isinstance(tracker, str) else tracker)
