"""Reading the networks of finished runs and of bundles, frozen and in evaluation mode."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from mien.checkpoints import load_bundle
from mien.checkpoints.bundle import HEADER
from mien.checkpoints.parts import late_fields
from mien.errors import BundleError, TrainingError
from mien.face3d import MotionSpace, arkit_motion_space
from mien.inversion import Encoder, EncoderConfig, FeatureConfig, FeatureRefiner
from mien.methods import DirectionConfig, DirectionMatrix, MaskNetworks, StyleMaskConfig
from mien.perception import IdentityConfig, IdentityNet
from mien.stylegan2 import Discriminator, DiscriminatorConfig, Generator, GeneratorConfig
from mien.tracking.closeup import CloseUpNet
from mien.tracking.detector import FaceDetector
from mien.tracking.embedded import read_tracker
from mien.tracking.regressor import FaceRegressor
from mien.training.engine import make_folder

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def frozen(module: AnyModule) -> AnyModule:
    """The module in evaluation mode, without gradients."""
    return module.eval().requires_grad_(False)


def describe(folder: Path, **networks: nn.Module) -> None:
    """Write the configuration of a run's networks as networks.json, so that others can rebuild them."""
    make_folder(folder)
    table = {name: asdict(net.config) for name, net in networks.items()}  # type: ignore[call-overload]
    (folder / "networks.json").write_text(json.dumps(table, indent=2) + "\n")


def load_weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    """State dict of the averaged network `name` of a run: an entry of its own, or a part of `average`.

    Raises:
        TrainingError: there is no such run or network.
    """
    path = folder / "state.pt"
    if not path.is_file():
        raise TrainingError(f"{folder}: no finished run there (state.pt is missing)")
    average = torch.load(path, map_location="cpu", weights_only=True)["parts"]["average"]
    table = read_networks(folder)
    if name not in table:
        raise TrainingError(f"{folder}: that run has {', '.join(table)}, not {name!r}")
    if len(table) == 1:
        return average
    return {k.removeprefix(name + "."): v for k, v in average.items() if k.startswith(name + ".")}


def read_networks(folder: Path) -> dict[str, dict[str, Any]]:
    """The table written by `describe`."""
    path = folder / "networks.json"
    if not path.is_file():
        raise TrainingError(f"{folder}: no finished run there (networks.json is missing)")
    return json.loads(path.read_text())


def is_bundle(folder: Path) -> bool:
    """Whether a folder holds a bundle: most networks of one serve wherever those of a finished run do."""
    return (folder / HEADER).is_file()


def load_generator(folder: Path) -> Generator:
    """The averaged generator of a `generator` or `autoencoder` run, or that of a bundle."""
    return _load(folder, "generator", GeneratorConfig, Generator)


def load_encoder(folder: Path) -> Encoder:
    """The averaged encoder of an `encoder` or `autoencoder` run, or that of a bundle."""
    return _load(folder, "encoder", EncoderConfig, Encoder)


def load_discriminator(folder: Path) -> Discriminator:
    """The averaged discriminator of an `autoencoder` run."""
    return _load(folder, "discriminator", DiscriminatorConfig, Discriminator)


def load_directions(folder: Path) -> DirectionMatrix:
    """The averaged matrix of a `direction` or `autoencoder` run, or that of a bundle; reads `arkit_motion_space`."""
    return _load(folder, "directions", DirectionConfig, DirectionMatrix)


def load_masks(folder: Path) -> MaskNetworks:
    """The averaged mask networks of a `stylemask` run."""
    return _load(folder, "masks", StyleMaskConfig, MaskNetworks)


def load_feature(folder: Path) -> FeatureRefiner:
    """The averaged refiner of a `feature` run."""
    return _load(folder, "feature", FeatureConfig, FeatureRefiner)


def load_fitting_feature(folder: Path, generator: Generator) -> FeatureRefiner:
    """The same, for a feature map that the generator has.

    Raises:
        TrainingError: it was trained for other maps.
    """
    refiner = load_feature(folder)
    side = refiner.config.resolution
    if side not in generator.config.resolutions or refiner.config.channels != generator.config.channels(side):
        raise TrainingError(f"{folder}: its refinement does not fit this generator")
    return refiner


def load_identity(folder: Path) -> IdentityNet:
    """The averaged net of an `identity` run."""
    return _load(folder, "identity", IdentityConfig, IdentityNet)


def load_regressor(folder: Path) -> FaceRegressor:
    """The regressor of an exported `tracker` run (tracker.json and tracker.safetensors), or that of a bundle."""
    return _bundled(folder, "regressor", FaceRegressor) if is_bundle(folder) else frozen(_exported(folder)[1])


def load_detector(folder: Path) -> FaceDetector:
    """The detector of an exported `tracker` run, or that of a bundle."""
    return _bundled(folder, "detector", FaceDetector) if is_bundle(folder) else frozen(_exported(folder)[0])


def load_closeup(folder: Path) -> CloseUpNet | None:
    """The net for close-ups of an exported tracker, or that of a bundle; None where there is none."""
    if is_bundle(folder):
        return load_bundle(folder).need_tracker().closeup
    closeup = _exported(folder)[2]
    return None if closeup is None else frozen(closeup)


def _exported(folder: Path) -> tuple[FaceDetector, FaceRegressor, CloseUpNet | None]:
    try:
        return read_tracker(folder)
    except BundleError as error:
        raise TrainingError(str(error)) from error


def _filled(config_type: Any, stored: Mapping[str, Any]) -> Any:
    """A configuration as it was before it became JSON."""
    return config_type(**{key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()})


def with_other_ranges(matrix: DirectionMatrix, have: MotionSpace, wanted: MotionSpace) -> DirectionMatrix:
    """The matrix that shifts by as much when q is scaled by the ranges of another space.

    Raises:
        ValueError: the spaces have other coordinates, or a range another centre, which a matrix cannot make up for.
    """
    if have.names != wanted.names or not torch.allclose(have.ranges.mean(1), wanted.ranges.mean(1), atol=1e-4):
        raise ValueError("the coordinates are not those of the training pictures")
    scale = (wanted.ranges[:, 1] - wanted.ranges[:, 0]) / (have.ranges[:, 1] - have.ranges[:, 0])
    with torch.no_grad():
        matrix.linear.weight *= scale.to(matrix.linear.weight)
    return matrix


def _bundled(folder: Path, name: str, build: type[nn.Module]) -> Any:
    bundle = load_bundle(folder)
    network = bundle.networks().get(name)
    if not isinstance(network, build):
        raise TrainingError(f"{folder}: that bundle holds no {name} that can be trained with")
    if isinstance(network, DirectionMatrix):
        try:
            network = with_other_ranges(network, bundle.motion, arkit_motion_space())
        except ValueError as error:
            raise TrainingError(f"{folder}: {error}") from error
    return frozen(network)


def _load(folder: Path, name: str, config_type: Any, build: Any) -> Any:
    if is_bundle(folder):
        return _bundled(folder, name, build)
    known = {f.name for f in fields(config_type)}
    stored = read_networks(folder).get(name, {})
    if set(stored) | late_fields(config_type) != known:
        raise TrainingError(f"{folder}: networks.json does not describe a {name} of this version")
    network = build(_filled(config_type, stored))
    try:
        network.load_state_dict(load_weights(folder, name))
    except RuntimeError as error:
        raise TrainingError(f"{folder}: the weights of {name} do not fit its description") from error
    return frozen(network)
