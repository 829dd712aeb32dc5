"""The public object: one loaded bundle that turns a photograph into somebody else's motion."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Unpack

import numpy as np
import torch

from mien.alignment.crop import CROPS, Crop
from mien.checkpoints import Bundle, load_bundle
from mien.device import choose_device
from mien.errors import InputError, NoFaceError
from mien.face3d.leaning import take_lean
from mien.face3d.motion import Q_LIMIT
from mien.face3d.params import FaceParams
from mien.images import to_tensor, to_uint8, turn
from mien.inversion import TuningConfig, tune_generator
from mien.media.reader import Frame
from mien.methods.direction import move_code
from mien.pipelines.driving import Strength, edit_change, motion_change, strength_vector, within_range
from mien.pipelines.faces import Face, check_picture, measure_face
from mien.pipelines.identity import Identity
from mien.pipelines.moving import (
    MIXING,
    Method,
    bundle_tracker,
    choose_method,
    find_shift,
    invert,
    landmarker_of,
    mix_styles,
    mixed_motion,
    refinement,
    require_coordinates,
    single_strength,
)
from mien.pipelines.streaming import Stream, StreamOptions, StreamSettings
from mien.pipelines.timing import StageClock
from mien.pipelines.watching import Watch
from mien.stylegan2 import Styles, Trace
from mien.tracking.protocol import Tracker

SMALL_FACE_PX = 48  # side of the source's head region below which the user is warned


class Reenactor:
    """Identifies sources, drives and edits them. Holds weights only; everything else is passed and returned.

    Args:
        bundle: weights, already on `device`.
        device: where they are.
        tracker: measures faces; None takes the bundle's own.

    Raises:
        BundleError: there is no tracker in the bundle and none is given. Every method raises it where a network that
            it needs is not in the bundle; the message says how to get it.
    """

    def __init__(self, bundle: Bundle, device: torch.device | str = "cpu", tracker: Tracker | None = None) -> None:
        self.bundle, self.device = bundle, torch.device(device)
        self.tracker = bundle_tracker(bundle, device) if tracker is None else tracker

    def measure(self, image: np.ndarray, face: Face | None = "largest") -> FaceParams:
        """Pose, expression and landmarks of one face of a uint8 (H, W, 3) picture; FaceParams of length 1.

        Args:
            face: "largest", "left", "right", number from the left starting at 0, or None: the only prominent one.

        Raises:
            NoFaceError, SeveralFacesError: see `measure_face`.
            ImageError: not a uint8 RGB picture.
        """
        return measure_face(self.tracker, check_picture(image), face)

    @torch.no_grad()
    def identify(self, image: np.ndarray, face: Face | None = None) -> Identity:
        """Detect, measure, crop and invert a source picture (uint8 (H, W, 3) RGB of any size).

        A head that leans farther than the bundle draws is turned upright before (`mien.face3d.leaning`).

        Args:
            face: which face, as in `measure`; None refuses to choose between two prominent ones.

        Raises:
            NoFaceError, SeveralFacesError, ImageError: as `measure`.
        """
        self.bundle.need_encoder()
        params = self.measure(image, face)
        (crop,) = self.frame(params)
        region = crop.apply(image)
        coordinates = self._coordinates(params)
        drawn, turns = self._drawable(coordinates, 1)
        upright = crop.turned(-float(turns))
        picture = to_tensor(region if upright is crop else upright.apply(image)).to(self.device)
        code = invert(self.bundle, picture, drawn)
        shift, notices = find_shift(self.bundle, picture, code), tuple(self._notices(crop, drawn))
        return Identity(code, params, coordinates, crop, region, notices, shift)

    def identify_all(self, image: np.ndarray) -> tuple[Identity, ...]:
        """Every person in a source picture, from left to right; see `identify`.

        Raises:
            NoFaceError, ImageError: as `measure`.
        """
        count = len(self.tracker.find(check_picture(image)))
        return tuple(self.identify(image, face) for face in range(max(count, 1)))

    def frame(self, params: FaceParams) -> list[Crop]:
        """The bundle's crop around each of B faces."""
        frame, size = CROPS[self.bundle.crop], self.bundle.generator.config.resolution
        points, angles = params.landmarks.cpu().numpy(), params.angles.cpu().numpy()
        return [frame(p, a, size) for p, a in zip(points, angles, strict=True)]

    def _coordinates(self, params: FaceParams) -> torch.Tensor | None:
        motion = self.bundle.motion
        return motion.encode(params.to("cpu")) if params.model == motion.model else None

    def _drawable(self, coordinates: torch.Tensor | None, count: int) -> tuple[torch.Tensor | None, torch.Tensor]:
        """`take_lean`; nothing is taken of B = `count` faces of whom another tracker measured something else."""
        if coordinates is None:
            return None, torch.zeros(count)
        return take_lean(self.bundle.motion, coordinates)

    def _notices(self, crop: Crop, coordinates: torch.Tensor | None) -> list[str]:
        notices = []
        side = crop.size / float(np.sqrt(abs(np.linalg.det(crop.matrix[:, :2]))))
        if side < SMALL_FACE_PX:
            notices.append(f"the face is small: its region measures only {side:.0f} px")
        values = [] if coordinates is None else coordinates[0].tolist()
        outside = [name for name, q in zip(self.bundle.motion.names, values) if abs(q) > Q_LIMIT]
        if set(outside) & {"yaw", "pitch", "roll"}:
            notices.append(f"the source's head is turned beyond the trained range ({', '.join(outside)})")
        return notices

    def drive(
        self,
        identity: Identity,
        target: np.ndarray | Frame | FaceParams,
        strength: Strength = 1.0,
        reference: FaceParams | None = None,
        method: Method | None = None,
    ) -> np.ndarray:
        """The source in the pose and expression of `target`; uint8 (S, S, 3).

        Args:
            target: a picture, a frame, or parameters of length 1.
            strength: factor on the change, or factors by group or coordinate.
            reference: drive relatively: the target's change since these parameters is applied to the source.
            method: "directions"; "one-shot", the same with what the code cannot say put back by feature refinement; or
                "stylemask", which needs a picture, knows no groups and cannot drive relatively; "stylemask-refined" is
                to it what "one-shot" is to directions. None takes what the bundle has, see `choose_method`.

        Raises:
            NoFaceError: no face in the target.
            InputError: what the method cannot do.
        """
        picture = target.image if isinstance(target, Frame) else target
        method = choose_method(self.bundle, method)
        if method in MIXING:
            if isinstance(picture, FaceParams) or reference is not None:
                raise InputError(f"{method} reads the driver's picture itself: no parameters, nothing relative")
            params = measure_face(landmarker_of(self.tracker), check_picture(picture), "largest")
            return self.swap(identity, [picture], params, strength, method=method)[0]
        params = picture if isinstance(picture, FaceParams) else self.measure(picture)
        if len(params) != 1 or not bool(params.valid[0]):
            raise NoFaceError("the target holds no measured face")
        return self.render(identity, self.change(identity, params, strength, reference), method)[0]

    def change(
        self,
        identity: Identity,
        params: FaceParams,
        strength: Strength = 1.0,
        reference: FaceParams | None = None,
        bounded: bool = True,
    ) -> torch.Tensor:
        """Δq (B, k) that takes the source to each of B driver poses; see `motion_change`.

        Args:
            bounded: False does not cut it `within_range`. Published directions never are cut.
        """
        motion, source = self.bundle.motion, require_coordinates(self.bundle, identity.coordinates)
        bounded = bounded and self.bundle.need_directions().is_bounded
        base = None if reference is None else motion.encode(reference.to("cpu"))
        driver = motion.encode(params.to("cpu"))
        change = motion_change(source, driver, base, strength_vector(motion, strength))
        return within_range(motion, source, change) if bounded else change

    def edit(self, identity: Identity, method: Method | None = None, **coordinates: float) -> np.ndarray:
        """The source with named coordinates at absolute targets: degrees for angles, unit weights for expressions.

        Args:
            method: as in `render`.

        Raises:
            InputError: a name that the bundle's motion space does not have.
        """
        return self.render(identity, self.edit_change(identity, coordinates), method)[0]

    def edit_change(self, identity: Identity, targets: Mapping[str, float]) -> torch.Tensor:
        """Δq (1, k) that takes named coordinates of the source to absolute targets; see `edit`."""
        bounded = self.bundle.need_directions().is_bounded
        source = require_coordinates(self.bundle, identity.coordinates)
        return edit_change(self.bundle.motion, source, targets, bounded)

    @torch.no_grad()
    def render(self, identity: Identity, change: torch.Tensor, method: Method | None = None) -> np.ndarray:
        """Synthesise the source moved by each Δq (B, k); uint8 (B, S, S, 3).

        Args:
            method: "directions"; "one-shot"; "stylemask", which takes the pose from the source's own face as
                directions move it; or "stylemask-refined". None takes what the bundle has, see `choose_method`.

        Raises:
            InputError: for methods that refine, an identity of a model that refines nothing.
        """
        bundle, method = self.bundle, choose_method(self.bundle, method)
        trace, turns = refinement(bundle, identity.shift, method), torch.zeros(len(change))
        if identity.coordinates is not None:
            target, turns = take_lean(bundle.motion, identity.coordinates + change)
            change = target - take_lean(bundle.motion, identity.coordinates)[0]
        change, code = change.to(self.device), identity.code.expand(len(change), -1, -1)
        if method in MIXING:
            moved = mixed_motion(bundle, identity.code, change)
        else:
            moved = move_code(bundle.need_directions(), code, change, bundle.generator.centre, bundle.truncation)
        return self._drawn(moved, trace, turns)

    def _drawn(self, moved: torch.Tensor | Styles, trace: Trace | None, turns: torch.Tensor) -> np.ndarray:
        """What the generator makes of B codes or styles, turned clockwise by (B,) radians; uint8 (B, S, S, 3)."""
        pictures = self.bundle.generator.synthesis(moved, trace=trace)
        is_turned = turns != 0
        if is_turned.any():
            pictures = pictures.float().clamp(-1, 1)
            pictures[is_turned] = turn(pictures[is_turned], turns[is_turned].to(pictures))
        return to_uint8(pictures)

    @torch.no_grad()
    def swap(
        self,
        identity: Identity,
        pictures: Sequence[np.ndarray],
        params: FaceParams,
        strength: Strength = 1.0,
        crops: Sequence[Crop] | None = None,
        method: Method = "stylemask",
    ) -> np.ndarray:
        """Synthesise the source with StyleMask's share of the styles of each driver picture; uint8 (B, S, S, 3).

        Args:
            pictures: B driver pictures; each is cropped and inverted like a source, and the result turned as far as
                that turned driver (times `strength`) and source (times what is left) upright.
            params: the B faces in them.
            strength: one factor on the mix.
            crops: where the faces are framed; None frames each by its own landmarks.
            method: "stylemask", or "stylemask-refined", which adapts the source's refinement to each result.

        Raises:
            InputError: a method that mixes no styles, or an identity of a model that refines nothing.
        """
        if method not in MIXING:
            raise InputError(f"{method} does not mix styles")
        trace = refinement(self.bundle, identity.shift, method)
        coordinates, turns = self._drawable(self._coordinates(params), len(params))
        framed = zip(self.frame(params) if crops is None else crops, turns.tolist(), pictures, strict=True)
        batch = to_tensor([crop.turned(-angle).apply(picture) for crop, angle, picture in framed]).to(self.device)
        target = invert(self.bundle, batch, coordinates)
        mixed = mix_styles(self.bundle, identity.code, target, strength)
        own = self._drawable(identity.coordinates, 1)[1]
        return self._drawn(mixed, trace, torch.lerp(own, turns, single_strength(strength)))

    def with_mask_layers(self, count: int) -> Reenactor:
        """A new model that shares all, but of whose mask networks only those of the first `count` layers act.

        Fewer layers take less from the driver: later ones hold fine detail and colour.

        Raises:
            BundleError: the bundle has no mask networks.
            InputError: it has fewer, or none is asked for.
        """
        try:
            masks = self.bundle.need_masks().first(count)
        except ValueError as error:
            raise InputError(str(error)) from error
        return Reenactor(replace(self.bundle, masks=masks), self.device, self.tracker)

    def tune(
        self,
        identity: Identity,
        config: TuningConfig | None = None,
        progress: Callable[[int, int | None], None] | None = None,
    ) -> Reenactor:
        """A new model that shares all but the generator, which is tuned to draw this source; for this source only.

        It has no feature refinement, which corrects what the generator draws untuned. The code stays, so the same
        `Identity` is used with the new model. This one is not touched.

        Args:
            progress: called before each step with the number of the step and of all steps.

        Raises:
            InputError: the generator has no layer that tuning would move.
        """
        config, bundle = config or TuningConfig(), self.bundle

        def tell(step: int, losses: dict[str, float]) -> None:
            if progress is not None:
                progress(step + 1, config.steps)

        code = bundle.generator.truncate(identity.code, bundle.truncation)
        try:
            picture, turns = to_tensor(identity.image), self._drawable(identity.coordinates, 1)[1]
            picture = (turn(picture, -turns) if turns.any() else picture).to(self.device)
            generator = tune_generator(bundle.generator, code, picture, config, progress=tell)
        except ValueError as error:
            raise InputError(f"the generator cannot be tuned: {error}") from error
        return Reenactor(replace(bundle, generator=generator, feature=None), self.device, self.tracker)

    def stream(
        self,
        identity: Identity,
        frames: Iterable[np.ndarray] | Iterable[Frame],
        **options: Unpack[StreamOptions],
    ) -> Stream:
        """Drive the source with a video, lazily and in constant memory; iterating yields uint8 (S, S, 3) pictures.

        Args:
            relative: apply the driver's change since its reference frame instead of its pose itself (False).
            strength: factor on the change, or factors by group or coordinate (1).
            face: which face of the driver to follow ("largest").
            missing: what to show while the driver's face is lost: "hold" the last good result (before the first one:
                the source itself) or the "source".
            batch: frames that are measured and synthesised together (8); 1 for the least delay.
            reference: reference of relative driving; None takes the first frame with a face. `neutral_face` finds the
                most neutral one of a driver that can be read twice.
            method: as in `drive` (None).
            smoothing: calms the driver's track by the frames' time stamps (`Smoothing()`); None takes it as measured.
                Plain pictures count as 25 per second.

        Raises:
            InputError: settings that make no sense, or that the method does not have. While iterating: NoFaceError at
                the end of a driver that never showed a face.
        """
        settings = self.settings(**options)
        if settings.method not in MIXING:
            require_coordinates(self.bundle, identity.coordinates)
        return Stream(self, identity, self.watch(frames, settings), settings)

    def settings(self, **options: Unpack[StreamOptions]) -> StreamSettings:
        """The keywords of `stream`, with the method chosen, after making sure that they make sense.

        Raises:
            InputError, BundleError: as `stream`.
        """
        settings = StreamSettings(**options)
        settings = replace(settings, method=choose_method(self.bundle, settings.method))
        settings.check(self.bundle.motion)
        return settings

    def watch(
        self, frames: Iterable[np.ndarray] | Iterable[Frame], settings: StreamSettings, clock: StageClock | None = None
    ) -> Watch:
        """Follow the driver's face as `stream` does; StyleMask needs no more than the landmarks."""
        tracker = landmarker_of(self.tracker) if settings.method in MIXING else self.tracker
        return Watch(tracker, frames, settings.face, settings.batch, settings.smoothing, clock)


def load(
    name_or_path: str | os.PathLike[str] = "avatar",
    device: str | None = None,
    tracker: str | Tracker | None = None,
) -> Reenactor:
    """Load a bundle by name or path, ready to use.

    Args:
        device: "cpu", "cuda", "cuda:1", "mps" or None for the best one present.
        tracker: "embedded", "mediapipe", a tracker of your own, or None for the bundle's own. Where the bundle's
            coordinates are DECA's, its DECA measures what a named tracker finds; your own is taken as it is.

    Raises:
        BundleError: no such bundle, or it is damaged.
        DeviceError: that device is not present.
        MissingExtraError, MissingDataError: the named tracker is not installed.
    """
    chosen = choose_device(device)
    bundle = load_bundle(name_or_path, chosen)
    if isinstance(tracker, str) and tracker != "embedded":
        from mien.tracking import load_tracker

        tracker = bundle_tracker(bundle, chosen, load_tracker(tracker))
    return Reenactor(bundle, chosen, None if isinstance(tracker, str) else tracker)
