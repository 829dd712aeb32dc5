"""From words on the command line to drivers and instruments of the benchmark."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import tyro

from mien.errors import InputError, MissingDataError, MissingExtraError

if TYPE_CHECKING:
    from mien.benchmark import Driver, Instruments
    from mien.benchmark.instruments import Distance, Features
    from mien.pipelines.moving import Method

JudgeName = Literal["embedded", "mediapipe"]
Names = Annotated[tuple[str, ...], tyro.conf.UseAppendAction, tyro.conf.arg(metavar="NAME")]
_METHOD = re.compile(r"(?P<method>directions|one-shot|stylemask|stylemask-refined|tuned)(?:/(?P<number>[1-9][0-9]*))?")


@dataclass(frozen=True, kw_only=True)
class InstrumentOptions:
    """What measures the results."""

    judge: tuple[JudgeName, ...] = ("embedded", "mediapipe")
    """Trackers that measure pose and expression; mediapipe is left out where it is not installed."""
    judge_bundle: str = "avatar"
    """Bundle whose tracker is the embedded judge."""
    identity: Path | None = None
    """Folder of an `identity` run, for identity and as a substitute for LPIPS."""
    arcface: Path | None = None
    """IR-SE50 weights (model_ir_se50.pth), for identity as published."""
    lpips: Path | None = None
    """LPIPS weights (alex.pth of version 0.1); needs --alexnet too."""
    alexnet: Path | None = None
    """AlexNet weights of torchvision (alexnet-owt-*.pth), for LPIPS."""
    inception: Path | None = None
    """Inception weights of FID (pt_inception-2015-12-05-*.pth)."""
    i3d: Path | None = None
    """I3D weights of FVD (rgb_imagenet.pt)."""


def build_instruments(options: InstrumentOptions) -> Instruments:
    """The instruments for which everything is there; the others are listed as absent.

    Raises:
        BundleError, CheckpointError, TrainingError: a named bundle, file or run cannot be used.
    """
    from mien.benchmark import SUBSTITUTE, Instruments, structural_distance

    absent: list[str] = []
    judges = _judges(options, absent)
    identities = _identities(options, absent)
    distances: dict[str, Distance] = {SUBSTITUTE: structural_distance}
    if options.identity is not None:
        from mien.benchmark.recognition import identity_net_distance, identity_net_embed
        from mien.training.parts import load_identity

        net = load_identity(options.identity)
        identities["own identity net"] = identity_net_embed(net)
        distances["own identity net (instead of LPIPS)"] = identity_net_distance(net)
    if options.lpips is None or options.alexnet is None:
        absent.append("LPIPS: no weights given (--lpips and --alexnet)")
    else:
        from mien.checkpoints.perceptual import load_lpips

        distances["LPIPS (AlexNet)"] = load_lpips(options.alexnet, options.lpips)
    frames, clips = _features(options, absent)
    return Instruments(
        judges=judges,
        identities=identities,
        distances=distances,
        frame_features=frames,
        clip_features=clips,
        absent=tuple(absent),
    )


def _features(options: InstrumentOptions, absent: list[str]) -> tuple[dict[str, Features], dict[str, Features]]:
    """The networks of FID and FVD, as far as their weights are given."""
    from mien.checkpoints.perceptual import load_i3d, load_inception

    frames: dict[str, Features] = {}
    clips: dict[str, Features] = {}
    if options.inception is None:
        absent.append("FID (Inception): no weights given (--inception)")
    else:
        frames["FID (Inception)"] = load_inception(options.inception)
    if options.i3d is None:
        absent.append("FVD (I3D): no weights given (--i3d)")
    else:
        clips["FVD (I3D)"] = load_i3d(options.i3d)
    return frames, clips


def _judges(options: InstrumentOptions, absent: list[str]) -> tuple[Any, ...]:
    from mien.benchmark import Judge, readable_coordinates
    from mien.face3d.morphable import data_folder
    from mien.face3d.motion import arkit_motion_space
    from mien.tracking import EmbeddedTracker

    judges = []
    for name in dict.fromkeys(options.judge):
        if name == "embedded":
            from mien.checkpoints import load_bundle

            tracker = EmbeddedTracker(*load_bundle(options.judge_bundle, "cpu").need_tracker(), device="cpu")
            judges.append(Judge(name=f"tracker of {Path(options.judge_bundle).name}", tracker=tracker))
            continue
        try:
            from mien.tracking.mediapipe import MediaPipeTracker

            tracker = MediaPipeTracker(
                os.environ.get("MIEN_FACE_LANDMARKER") or data_folder() / "models" / "face_landmarker.task"
            )
        except (MissingExtraError, MissingDataError) as error:
            absent.append(f"MediaPipe: {error}")
            continue
        judges.append(Judge(name="MediaPipe", tracker=tracker, coordinates=readable_coordinates(arkit_motion_space())))
    return tuple(judges)


def _identities(options: InstrumentOptions, absent: list[str]) -> dict[str, Any]:
    from mien.benchmark.recognition import ReidentificationNet, arcface_embed, reidentification_embed
    from mien.face3d.morphable import data_folder

    identities: dict[str, Any] = {}
    try:
        identities[ReidentificationNet.SHORT_NAME] = reidentification_embed(ReidentificationNet(data_folder()))
    except (MissingExtraError, MissingDataError) as error:
        absent.append(f"{ReidentificationNet.NAME}: {error}")
    if options.arcface is None:
        absent.append("IR-SE50 (ArcFace): no weights given (--arcface)")
    else:
        from mien.checkpoints.arcface import convert
        from mien.checkpoints.reader import read_foreign

        identities["IR-SE50 (ArcFace)"] = arcface_embed(convert(read_foreign(options.arcface).tree))
    return identities


def build_drivers(bundle: str, others: Sequence[str], device: str) -> list[Driver]:
    """The bundle that is measured, and others: sefa, regression, a method of that bundle (stylemask, stylemask/6 with
    six layers, tuned, tuned/50 with fifty steps), a bundle, BUNDLE@METHOD, NAME=BUNDLE or MODULE:FACTORY.

    Raises:
        InputError: a module that cannot be imported, something that is no driver, or two drivers of one name.
        BundleError: no such bundle.
    """
    drivers = [_driver(words, device, bundle) for words in dict.fromkeys([bundle, *others])]
    names = [driver.name for driver in drivers]
    if twice := {name for name in names if names.count(name) > 1}:
        raise InputError(f"two drivers are called {', '.join(sorted(twice))}; give them names: --driver NAME=BUNDLE")
    return drivers


def _driver(words: str, device: str, bundle: str) -> Driver:
    name, equals, place = words.rpartition("=")
    if _METHOD.fullmatch(words):
        name, equals, place = words, "=", f"{_split(bundle)[0]}@{words}"
    module, colon, attribute = words.partition(":")
    if colon and not equals and not Path(words).exists():
        return _foreign_driver(module, attribute)

    from mien.inversion import TuningConfig
    from mien.pipelines import load
    from mien.pipelines.baselines import baseline_model
    from mien.pipelines.contestant import BundleDriver

    if words == "sefa" or words == "regression":
        model = load(_split(bundle)[0], device)
        return BundleDriver(baseline_model(model, words), words, identifier=model)
    folder, method, number = _split(place)
    model, name = load(folder, device), name or Path(folder).name + place[len(folder) :]
    if method == "tuned":
        return BundleDriver(model, name, "directions", tuning=TuningConfig(steps=number) if number else TuningConfig())
    if number:
        model = model.with_mask_layers(number)
    return BundleDriver(model, name, method)


def _split(words: str) -> tuple[str, Method | Literal["tuned"] | None, int]:
    """BUNDLE@METHOD/NUMBER in parts; without them no method, and 0: all layers of StyleMask, all steps of tuning."""
    folder, _, method = words.rpartition("@")
    found = _METHOD.fullmatch(method)
    if not folder or found is None or Path(words).exists():
        return words, None, 0
    if found["number"] and found["method"] in ("directions", "one-shot"):
        raise InputError(f"{words}: only StyleMask has a number of layers, and tuned one of steps")
    return folder, cast("Method", found["method"]), int(found["number"] or 0)


def _foreign_driver(module: str, attribute: str) -> Driver:
    """What a function of the user's own module returns."""
    from mien.benchmark import Driver

    sys.path.insert(0, os.getcwd())
    try:
        made = getattr(importlib.import_module(module), attribute)()
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(f"{module}:{attribute} is no function that makes a driver ({error})") from error
    finally:
        sys.path.pop(0)
    if not isinstance(made, Driver):
        raise InputError(f"{module}:{attribute} made a {type(made).__name__}, which is no mien.benchmark.Driver")
    return made
