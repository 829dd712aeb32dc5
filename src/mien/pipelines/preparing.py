"""What the preparation of videos borrows from a loaded bundle: its tracker and its encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mien.data.stages import Tools
from mien.face3d.params import FaceParams
from mien.images import shrink_to, to_tensor
from mien.pipelines.moving import invert
from mien.pipelines.reenactor import Reenactor, load
from mien.tracking.protocol import Box, Tracker

NEAR_SHARE = 0.3
"""Of an annotated box or of a found one, whichever is smaller: so much must lie in both to be the same face."""


@dataclass(frozen=True)
class BundleTools:
    """Makes the tools from a bundle, in whichever process they are needed.

    Attributes:
        bundle: name or folder.
        device: as `mien.load`.
        tracker: "embedded" or "mediapipe".
        with_codes: whether latent codes are wanted.
    """

    bundle: str = "avatar"
    device: str = "auto"
    tracker: str = "embedded"
    with_codes: bool = False

    def __call__(self) -> Tools:
        """Load the bundle.

        Raises:
            BundleError: no such bundle, or it lacks what is needed.
            DeviceError, MissingExtraError, MissingDataError: as `mien.load`.
        """
        model = load(self.bundle, self.device, self.tracker)
        return model_tools(model, self.with_codes)


def model_tools(model: Reenactor, with_codes: bool = False) -> Tools:
    """The tools of a loaded model.

    Raises:
        BundleError: codes are wanted and there is no encoder.
    """
    if with_codes:
        model.bundle.need_encoder()

    def measure(pictures: Sequence[np.ndarray], hints: Sequence[np.ndarray | None]) -> FaceParams:
        return measure_near(model.tracker, pictures, hints)

    def encode(crops: Sequence[np.ndarray], params: FaceParams) -> np.ndarray:
        return encode_crops(model, crops, params)

    return Tools(measure, encode if with_codes else None)


def measure_near(tracker: Tracker, pictures: Sequence[np.ndarray], hints: Sequence[np.ndarray | None]) -> FaceParams:
    """The annotated face of each picture, or the largest where none is annotated; `valid` False where it is not found.

    Args:
        pictures: B uint8 (H, W, 3).
        hints: for each its box (4,) x0, y0, x1, y1 in pixels, or None.
    """
    chosen = [_nearest(tracker.find(picture), hint) for picture, hint in zip(pictures, hints, strict=True)]
    found = [(picture, box) for picture, box in zip(pictures, chosen, strict=True) if box is not None]
    if not found:
        return FaceParams.invalid(len(pictures))
    faces = tracker.estimate([picture for picture, _ in found], [box for _, box in found])
    rows = iter(range(len(found)))
    order = torch.tensor([0 if box is None else next(rows) + 1 for box in chosen])
    return FaceParams.cat([FaceParams.invalid(1, faces.model), faces.to("cpu")])[order]


@torch.no_grad()
def encode_crops(model: Reenactor, crops: Sequence[np.ndarray], params: FaceParams) -> np.ndarray:
    """W+ codes (B, L, D), not truncated, of B square pictures that are framed as the bundle's crop.

    Args:
        params: the faces in them; a pose-free encoder needs to know where they look.

    Raises:
        InputError: a pose-free encoder, and the parameters are of another model than the bundle's.
    """
    bundle = model.bundle
    batch = torch.cat([shrink_to(to_tensor(crop), bundle.generator.config.resolution) for crop in crops])
    coordinates = bundle.motion.encode(params.to("cpu")) if params.model == bundle.motion.model else None
    return invert(bundle, batch.to(model.device), coordinates).cpu().numpy()


def _nearest(boxes: Sequence[Box], hint: np.ndarray | None) -> Box | None:
    """The box that overlaps the annotated one most, if it is the same face at all; without one, the largest."""
    if not boxes or hint is None:
        return max(boxes, key=lambda box: box.area, default=None)
    wanted = Box(*(float(edge) for edge in hint))
    best = max(boxes, key=wanted.overlap)
    return best if wanted.nesting(best) >= NEAR_SHARE else None
