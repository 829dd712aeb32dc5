"""The parts of a bundle by name: what class each may be, and how it becomes a configuration and tensors, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mien.checkpoints.parts import PartFormat, Tensors, check_keys, network_format
from mien.errors import BundleError
from mien.face3d.motion import ANGLE_NAMES, MotionSpace
from mien.face3d.params import EXPRESSION_NAMES
from mien.inversion.e4e import E4eConfig, E4eEncoder
from mien.inversion.encoder import Encoder, EncoderConfig
from mien.inversion.feature import FeatureConfig, FeatureRefiner
from mien.methods.direction import DirectionConfig, DirectionMatrix
from mien.methods.stylemask import MaskNetworks, StyleMaskConfig
from mien.stylegan2 import Generator, GeneratorConfig
from mien.tracking.closeup import CloseUpConfig, CloseUpNet
from mien.tracking.deca_net import DecaNet, DecaNetConfig
from mien.tracking.detector import DetectorConfig, FaceDetector
from mien.tracking.regressor import FaceRegressor, RegressorConfig


class NetworkKind(NamedTuple):
    """One class that a part may be; `kind` is what the header calls it, "" for the one it need not name."""

    kind: str
    network: type
    format: PartFormat


def _kind(config: type, network: type, kind: str = "") -> NetworkKind:
    return NetworkKind(kind, network, network_format(config, network))


MAX_LEAN_DEG = 180
TRACKER_PARTS, TRACKER_EXTRAS = ("detector", "regressor"), ("closeup",)
NETWORKS: Mapping[str, tuple[NetworkKind, ...]] = {
    "generator": (_kind(GeneratorConfig, Generator),),
    "encoder": (_kind(EncoderConfig, Encoder), _kind(E4eConfig, E4eEncoder, "e4e")),
    "directions": (_kind(DirectionConfig, DirectionMatrix),),
    "masks": (_kind(StyleMaskConfig, MaskNetworks),),
    "feature": (_kind(FeatureConfig, FeatureRefiner),),
    "deca": (_kind(DecaNetConfig, DecaNet),),
    "detector": (_kind(DetectorConfig, FaceDetector),),
    "regressor": (_kind(RegressorConfig, FaceRegressor),),
    "closeup": (_kind(CloseUpConfig, CloseUpNet),),
}
"""Part → the classes it may be. All but the generator are optional; the tracker's two are there together or not,
and its close-ups only with them."""


def kind_of(part: str, network: Any) -> NetworkKind:
    """How a network is stored as a part.

    Raises:
        BundleError: the part is never of this class.
    """
    for known in NETWORKS[part]:
        if isinstance(network, known.network):
            return known
    raise BundleError(f"a {type(network).__name__} cannot be stored as {part}")


def kind_named(part: str, kind: Any) -> NetworkKind:
    """What a header means by a kind.

    Raises:
        BundleError: no such kind.
    """
    for known in NETWORKS[part]:
        if known.kind == kind:
            return known
    names = ", ".join(known.kind or "none" for known in NETWORKS[part])
    raise BundleError(f"parts.{part}: unknown kind {kind!r}; known: {names}")


def motion_to_state(motion: MotionSpace) -> tuple[dict[str, Any], Tensors]:
    """Configuration and tensors of a motion space; ARKit parameters need not be named."""
    config: dict[str, Any] = {} if motion.model == "arkit" else {"model": motion.model}
    if motion.lean_deg is not None:
        config["lean_deg"] = motion.lean_deg
    tensors = {"encoding": motion.encoding, "decoding": motion.decoding, "ranges": motion.ranges}
    return config, tensors if motion.trained is None else {**tensors, "trained": motion.trained}


def motion_from_state(names: list[str], config: Mapping[str, Any], tensors: Tensors) -> MotionSpace:
    """The way back.

    Raises:
        BundleError: unknown model, a lean that cannot be, or a tensor that is missing, unknown or misshapen.
    """
    check_keys("parts.motion.config", set(config) - {"model", "lean_deg"}, set())
    model = config.get("model", "arkit")
    if model not in EXPRESSION_NAMES:
        raise BundleError(f"motion: unknown model {model!r}; known: {', '.join(EXPRESSION_NAMES)}")
    lean_deg = _checked_lean(config["lean_deg"], model, names) if "lean_deg" in config else None
    check_keys("motion", set(tensors) - {"trained"}, {"encoding", "decoding", "ranges"})
    count, width = len(names), 3 + len(EXPRESSION_NAMES[model])
    shapes = {"encoding": (count, width), "decoding": (width, count), "ranges": (count, 2), "trained": (count, 2)}
    for name, shape in shapes.items():
        if name in tensors and tuple(tensors[name].shape) != shape:
            raise BundleError(f"motion: {name} has shape {tuple(tensors[name].shape)}, expected {shape}")
    parts = (tensors[name] for name in ("encoding", "decoding", "ranges"))
    return MotionSpace(tuple(names), *parts, trained=tensors.get("trained"), lean_deg=lean_deg, model=model)


def _checked_lean(value: Any, model: str, names: list[str]) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= MAX_LEAN_DEG:
        raise BundleError(f"motion: lean_deg {value!r} is not a number of degrees from 0 to {MAX_LEAN_DEG}")
    if model != "arkit" or not set(ANGLE_NAMES) <= set(names):
        raise BundleError("motion: lean_deg needs the head's three angles among ARKit coordinates")
    return float(value)
