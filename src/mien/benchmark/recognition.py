"""Identity networks as instruments: each cuts out the face in its own way and says who it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from mien.alignment.crop import head_crop
from mien.alignment.five_points import align_faces, fit_similarity, five_points
from mien.benchmark.instruments import Distance, Embed
from mien.errors import MissingDataError, MissingExtraError
from mien.face3d.params import FaceParams
from mien.images import to_tensor
from mien.losses.image import feature_l1
from mien.perception import ArcFaceNet, IdentityNet

# Where face-reidentification-retail-0095 wants eyes, nose tip and mouth corners, as a share of its 128 pixels
_REID_POINTS = torch.tensor(
    [[0.31557, 0.46157], [0.68262, 0.46157], [0.50026, 0.64051], [0.34947, 0.82469], [0.65344, 0.82469]],
    dtype=torch.float64,
)
_REID_SIZE_PX = 128


class ReidentificationNet:
    """face-reidentification-retail-0095 (Intel, Apache-2.0): unit embeddings of aligned faces.

    The five points are taken from the 68: the mean of six lid points for an eye, 30, 48 and 54.

    Args:
        data: the data pack, which has the network in its folder `models`.

    Raises:
        MissingExtraError: OpenVINO is not installed.
        MissingDataError: the network is not there.
    """

    NAME = "face-reidentification-retail-0095"
    SHORT_NAME = "reid-0095"

    def __init__(self, data: Path) -> None:
        path = data / "models" / f"{self.NAME}.xml"
        if not path.is_file():
            raise MissingDataError(f"{path}: the identity network is not there")
        try:
            import openvino
        except ImportError as error:
            raise MissingExtraError("openvino", "evaluate") from error
        self._net = openvino.Core().compile_model(str(path), "CPU")

    def embed(self, images: Sequence[np.ndarray], faces: FaceParams) -> torch.Tensor:
        """Unit embeddings (B, 256) of uint8 pictures with their faces; a face that is not valid gets zeros."""
        return torch.stack([self._embed(image, faces[i]) for i, image in enumerate(images)])

    def _embed(self, image: np.ndarray, face: FaceParams) -> torch.Tensor:
        if not face.valid.item():
            return torch.zeros(256)
        matrix = fit_similarity(five_points(face.landmarks[0].double().cpu()), _REID_POINTS * _REID_SIZE_PX).numpy()
        aligned = cv2.warpAffine(image, matrix, (_REID_SIZE_PX, _REID_SIZE_PX), flags=cv2.INTER_LINEAR)
        blob = np.ascontiguousarray(aligned[:, :, ::-1].transpose(2, 0, 1)[None], np.float32)
        embedding = torch.from_numpy(self._net(blob)[self._net.output(0)].ravel().copy())
        return embedding / embedding.norm()


def reidentification_embed(net: ReidentificationNet) -> Embed:
    """The re-identification network as an instrument."""
    return lambda picture, face: net.embed([picture], face)[0]


def arcface_embed(net: ArcFaceNet) -> Embed:
    """IR-SE50 (Deng et al. 2019) on faces aligned by five points."""
    return lambda picture, face: net.embed_aligned(align_faces(to_tensor(picture), face.landmarks.float()))[0]


def identity_net_embed(net: IdentityNet) -> Embed:
    """Our identity net on the `head` crop of the face."""

    def embed(picture: np.ndarray, face: FaceParams) -> torch.Tensor:
        points, angles = face.landmarks[0].double().numpy(), face.angles[0].double().numpy()
        crop = head_crop(points, angles, net.config.resolution).apply(picture)
        return net(to_tensor(crop))[0]

    return embed


def identity_net_distance(net: IdentityNet) -> Distance:
    """Mean L1 of the first two feature maps of our identity net: a substitute for LPIPS that is trained on renders."""
    return lambda first, second: feature_l1(net.features(first)[:2], net.features(second)[:2])
