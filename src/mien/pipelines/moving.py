"""Which method moves a bundle's codes, and the steps around it: pictures to codes, two codes to mixed styles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

import torch

from mien.checkpoints import Bundle
from mien.errors import InputError
from mien.inversion import FeatureShift
from mien.methods import move_code
from mien.pipelines.driving import MAX_STRENGTH, Strength
from mien.stylegan2 import Styles, Trace
from mien.tracking import DecaTracker, EmbeddedTracker, Tracker

Method = Literal["directions", "one-shot", "stylemask", "stylemask-refined"]
METHODS: tuple[Method, ...] = get_args(Method)
MIXING = frozenset({"stylemask", "stylemask-refined"})
"""Methods that mix styles and so need the driver's picture."""
REFINED = frozenset({"one-shot", "stylemask-refined"})
"""Methods that put back what the code cannot say."""


def choose_method(bundle: Bundle, method: Method | None = None) -> Method:
    """The method to drive a bundle with, after making sure that its networks are there.

    Args:
        method: None takes what the bundle has: "directions", refined where it can ("one-shot"), or "stylemask" where it
            has no directions.

    Raises:
        InputError: no such method.
        BundleError: a network that it needs is not there; the message says how to get it.
    """
    if method is None:
        plain: Method = "directions" if bundle.feature is None else "one-shot"
        method = "stylemask" if bundle.directions is None and bundle.masks is not None else plain
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}; known: {', '.join(METHODS)}")
    bundle.need_encoder()
    if method in MIXING:
        bundle.need_masks()
    else:
        bundle.need_directions()
    if method in REFINED:
        bundle.need_feature()
    return method


def check_tuning(method: Method | None, is_tuned: bool) -> None:
    """Refinement and tuning mend the same faults, so they do not go together.

    Raises:
        InputError: both are asked for.
    """
    if is_tuned and method in REFINED:
        raise InputError(f"{method} refines features instead of tuning; leave one of the two out")


def bundle_tracker(bundle: Bundle, device: torch.device | str, landmarker: Tracker | None = None) -> Tracker:
    """What measures faces for a bundle: its own tracker, with DECA behind it where its coordinates are DECA's.

    Args:
        landmarker: finds the faces and their landmarks instead of the bundle's own networks.

    Raises:
        BundleError: the bundle has no tracker and none is given.
    """
    if landmarker is None:
        landmarker = EmbeddedTracker(*bundle.need_tracker(), device=device)
    if bundle.motion.model == "deca" and bundle.deca is not None:
        return DecaTracker(bundle.deca, landmarker, device)
    return landmarker


def landmarker_of(tracker: Tracker) -> Tracker:
    """The part of a tracker that finds and frames faces, which is all that StyleMask needs."""
    return tracker.landmarker if isinstance(tracker, DecaTracker) else tracker


def invert(bundle: Bundle, pictures: torch.Tensor, coordinates: torch.Tensor | None) -> torch.Tensor:
    """W+ codes (B, L, D) of pictures; a pose-free encoder's code is moved to where the tracker saw the face.

    Args:
        pictures: (B, 3, S, S) in [−1, 1], framed by the bundle's crop.
        coordinates: (B, k) of the faces; None where the tracker measures something else.

    Raises:
        BundleError: the bundle has no encoder.
        InputError: the encoder needs coordinates and there are none.
    """
    encoder = bundle.need_encoder()
    code = encoder(pictures)
    if not encoder.config.pose_free:
        return code
    if coordinates is None:
        raise InputError(f"the bundle {bundle.name} needs a tracker that measures {bundle.motion.model} parameters")
    return bundle.need_directions().shift(code, coordinates.to(code))


def find_shift(bundle: Bundle, picture: torch.Tensor, code: torch.Tensor) -> FeatureShift | None:
    """What refinement adds to the feature map of a source, at rest; None where the bundle refines nothing.

    Args:
        picture: (1, 3, S, S) in [−1, 1], framed by the bundle's crop.
        code: (1, L, D) of its inversion, before truncation.
    """
    if bundle.feature is None:
        return None
    trace = bundle.feature.reading()
    inversion = bundle.generator.synthesis(bundle.generator.truncate(code, bundle.truncation), trace=trace)
    return bundle.feature.find(picture, inversion, bundle.feature.kept(trace))


def refinement(bundle: Bundle, shift: FeatureShift | None, method: Method) -> Trace | None:
    """How a method changes the feature maps of moved faces; None where it leaves them alone.

    Raises:
        BundleError: the method refines features and the bundle cannot.
        InputError: the source was identified without refinement.
    """
    if method not in REFINED:
        return None
    refiner = bundle.need_feature()
    if shift is None:
        raise InputError("this source was identified by a model without feature refinement; identify it again")
    return refiner.moving(shift)


def require_coordinates(bundle: Bundle, coordinates: torch.Tensor | None) -> torch.Tensor:
    """The coordinates of a source.

    Raises:
        BundleError: there are none, because the bundle's coordinates are DECA's and it has no DECA network.
        InputError: there are none, because the tracker measures other parameters than the bundle reads.
    """
    if coordinates is not None:
        return coordinates
    if bundle.motion.model == "deca" and bundle.deca is None:
        raise bundle.refusal("deca")
    raise InputError(f"the bundle {bundle.name} needs a tracker that measures {bundle.motion.model} parameters")


def mix_styles(bundle: Bundle, source: torch.Tensor, target: torch.Tensor, strength: Strength = 1.0) -> Styles:
    """s_r = s_s + strength · m ⊙ (s_t − s_s): the published mix at strength 1 (METHODS section 4).

    Args:
        source: (1, L, D) code of the source.
        target: (B, L, D) codes of the driver's frames; both are truncated as the bundle says.
        strength: one factor for all, 0 (the source) to 3.

    Raises:
        BundleError: the bundle has no mask networks.
        InputError: a strength by group, which this method cannot tell apart, or one out of range.
    """
    masks, generator = bundle.need_masks(), bundle.generator
    factor = single_strength(strength)
    ours = generator.styles(generator.truncate(source.expand(len(target), -1, -1), bundle.truncation))
    theirs = generator.styles(generator.truncate(target, bundle.truncation))
    mixed = masks.mix(ours, theirs)
    if factor == 1.0:
        return mixed
    return Styles(tuple(torch.lerp(s, m, factor) for s, m in zip(ours.conv, mixed.conv, strict=True)), mixed.rgb)


def mixed_motion(bundle: Bundle, source: torch.Tensor, change: torch.Tensor) -> Styles:
    """StyleMask without a driver: the source mixed with itself moved by A, of which the masks let the pose through.

    Args:
        source: (1, L, D) code of the source.
        change: (B, k) Δq.

    Raises:
        BundleError: the bundle has no mask networks or no directions.
    """
    code = source.expand(len(change), -1, -1)
    return mix_styles(bundle, source, move_code(bundle.need_directions(), code, change, bundle.generator.centre, 1.0))


def single_strength(strength: Strength) -> float:
    """A strength that is one number.

    Raises:
        InputError: it is by group or coordinate, or out of range.
    """
    if isinstance(strength, Mapping):
        if set(strength) != {"all"}:
            raise InputError("stylemask takes one strength for all; groups and coordinates need directions")
        strength = strength["all"]
    if not 0 <= strength <= MAX_STRENGTH:
        raise InputError(f"strength {strength} is outside 0 to {MAX_STRENGTH}")
    return float(strength)
