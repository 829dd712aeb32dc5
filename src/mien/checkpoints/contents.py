"""What a bundle holds, which of it a command needs, and what to say where it is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn

from mien.errors import BundleError
from mien.face3d.motion import MotionSpace
from mien.inversion.e4e import E4eEncoder
from mien.inversion.encoder import Encoder
from mien.inversion.feature import FeatureRefiner
from mien.methods.direction import DirectionMatrix
from mien.methods.stylemask import MaskNetworks
from mien.stylegan2 import Generator
from mien.tracking.closeup import CloseUpNet
from mien.tracking.deca_net import DecaNet
from mien.tracking.detector import FaceDetector
from mien.tracking.regressor import FaceRegressor


class TrackerNetworks(NamedTuple):
    """The networks of `mien.tracking.embedded.EmbeddedTracker`; None where it does without close-ups."""

    detector: FaceDetector
    regressor: FaceRegressor
    closeup: CloseUpNet | None = None


@dataclass(frozen=True)
class Source:
    """Where a part came from.

    Attributes:
        file: name of the file, without its folder.
        sha256: of that file, in hexadecimal.
        licence: the terms as whoever imported it stated them.
    """

    file: str
    sha256: str
    licence: str


class Need(NamedTuple):
    """A part in words, and how it gets into a bundle."""

    words: str
    remedy: str


NEEDS: Mapping[str, Need] = {
    "generator": Need(
        "generator", "import one with --generator (stylegan-voxceleb.pt, stylegan2-ffhq-config-f_1024.pt)"
    ),
    "encoder": Need("inversion encoder", "import one with --encoder (e4e-voxceleb.pt, e4e_ffhq_encode_1024.pt)"),
    "directions": Need("direction matrix", "import one with --directions (A_matrix.pt)"),
    "masks": Need(
        "mask networks", "import them with --masks (mask_network_1024.pt), or train them (mien train stylemask)"
    ),
    "feature": Need("feature refinement", "train one (mien train feature) and add it with mien bundle --feature"),
    "tracker": Need("tracker", "import one with --tracker avatar, or name another (--tracker mediapipe)"),
    "deca": Need("DECA network, which its coordinates need", "import it with --deca (deca_model.tar)"),
}
TASKS: Mapping[str, tuple[str, ...]] = {
    "mien reenact --method directions": ("encoder", "directions", "tracker", "deca"),
    "mien reenact --method stylemask": ("encoder", "masks", "tracker"),
    "mien edit": ("encoder", "directions", "tracker", "deca"),
    "mien track": ("tracker",),
}
"""Commands and the parts they need beside the generator; `deca` counts only where the motion space reads it."""


@dataclass(frozen=True)
class Bundle:
    """Everything needed to reenact. What is None is not there, and what needs it says so (`missing`).

    Attributes:
        name: what it is called in reports.
        generator, encoder, directions: networks, frozen and in eval mode once loaded.
        motion: coordinates that `directions` reads.
        truncation: ψ of METHODS section 2, applied after the shift.
        crop: crop kind, a key of `mien.alignment.crop.CROPS`.
        tracker: the networks of the embedded tracker.
        card: licence (text), provenance of the training data (text), quality (name → number).
        masks: the networks of StyleMask.
        feature: what `one-shot` adds to a feature map.
        deca: measures faces for a motion space of model "deca", in crops that `tracker` finds.
        sources: part → where it came from, for parts that were imported.
    """

    name: str
    generator: Generator
    encoder: Encoder | E4eEncoder | None
    directions: DirectionMatrix | None
    motion: MotionSpace
    truncation: float
    crop: str
    tracker: TrackerNetworks | None
    card: Mapping[str, Any]
    masks: MaskNetworks | None = None
    deca: DecaNet | None = None
    feature: FeatureRefiner | None = None
    sources: Mapping[str, Source] = field(default_factory=dict)

    @property
    def w_mean(self) -> torch.Tensor:
        """(D,) centre of truncation w̄, stored with the generator."""
        return self.generator.w_mean

    def networks(self) -> dict[str, nn.Module]:
        """All networks that are there, by part name."""
        parts = {
            "generator": self.generator,
            "encoder": self.encoder,
            "directions": self.directions,
            "masks": self.masks,
            "feature": self.feature,
            "deca": self.deca,
        }
        parts |= self.tracker._asdict() if self.tracker is not None else {}
        return {name: network for name, network in parts.items() if network is not None}

    def to(self, device: torch.device | str) -> Bundle:
        """This bundle with its networks moved to another device, in place."""
        for network in self.networks().values():
            network.to(device)
        return self

    def lacks(self, task: str) -> tuple[str, ...]:
        """Parts that a task of `TASKS` needs and that are not there."""
        needs_deca = self.motion.model == "deca"
        return tuple(part for part in TASKS[task] if getattr(self, part) is None and (part != "deca" or needs_deca))

    def missing(self) -> tuple[str, ...]:
        """One sentence per command that cannot run: what it lacks, and how that gets in."""
        lacking = {task: self.lacks(task) for task in TASKS}
        return tuple(
            f"`{task}` cannot run: the bundle has no {' and no '.join(NEEDS[part].words for part in parts)}; "
            + "; ".join(NEEDS[part].remedy for part in parts)
            for task, parts in lacking.items()
            if parts
        )

    def refusal(self, part: str) -> BundleError:
        """The error to raise where a part is needed that is not there."""
        return BundleError(f"the bundle {self.name} has no {NEEDS[part].words}; {NEEDS[part].remedy}")

    def need_encoder(self) -> Encoder | E4eEncoder:
        """The encoder.

        Raises:
            BundleError: there is none; the message says how to get one. The same holds for the other `need_…`.
        """
        if self.encoder is None:
            raise self.refusal("encoder")
        return self.encoder

    def need_directions(self) -> DirectionMatrix:
        """The direction matrix; see `need_encoder`."""
        if self.directions is None:
            raise self.refusal("directions")
        return self.directions

    def need_masks(self) -> MaskNetworks:
        """The mask networks; see `need_encoder`."""
        if self.masks is None:
            raise self.refusal("masks")
        return self.masks

    def need_feature(self) -> FeatureRefiner:
        """The feature refinement; see `need_encoder`."""
        if self.feature is None:
            raise self.refusal("feature")
        return self.feature

    def need_tracker(self) -> TrackerNetworks:
        """The networks of the embedded tracker; see `need_encoder`."""
        if self.tracker is None:
            raise self.refusal("tracker")
        return self.tracker

    def check(self) -> None:
        """Parts that are each sound must also fit each other.

        Raises:
            BundleError: naming what differs.
        """
        generator = self.generator.config
        facts: dict[str, tuple[Any, Any]] = {}
        if self.encoder is not None:
            facts["rows of encoder and generator"] = self.encoder.config.num_rows, generator.num_rows
            facts["code width of encoder and generator"] = self.encoder.config.style_dim, generator.style_dim
            if self.encoder.config.pose_free and self.directions is None:
                raise BundleError("the encoder leaves the pose to directions, and there are none")
        if self.directions is not None:
            config = self.directions.config
            facts["code width of directions and generator"] = config.dim, generator.style_dim
            facts["coordinates of directions and motion space"] = config.coordinates, len(self.motion)
            facts["rows moved and rows present"] = min(config.rows, generator.num_rows), config.rows
        if self.masks is not None:
            widths = tuple(layer.affine.weight.shape[0] for layer in self.generator.convs)
            facts["widths of masks and styles"] = self.masks.config.widths, widths[: len(self.masks.config.widths)]
        if self.feature is not None:
            config = self.feature.config
            if config.resolution not in generator.resolutions:
                raise BundleError(f"the generator has no feature map of side {config.resolution} to refine")
            facts["widths of feature map"] = config.channels, generator.channels(config.resolution)
            if config.fine is not None:
                if 2 * config.resolution not in generator.resolutions:
                    raise BundleError(f"the generator has no feature map of side {2 * config.resolution} to refine")
                facts["widths of finer feature map"] = config.fine, generator.channels(2 * config.resolution)
        if self.motion.lean_deg is not None and self.crop != "head":
            raise BundleError(f"only the head crop is centred so that pictures can be turned, not {self.crop}")
        for what, (one, other) in facts.items():
            if one != other:
                raise BundleError(f"{what} differ: {one} and {other}")
