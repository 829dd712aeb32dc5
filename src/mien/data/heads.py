"""Frames of real videos as labelled heads, so that pairs are drawn from them as from rendered ones."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import cv2
import numpy as np
import torch

from mien.data.voxceleb import Folder, FrameFile, VideoFolder, read_latent
from mien.errors import InputError
from mien.face3d.params import FaceParams
from mien.images import read_image, resize, to_tensor, to_uint8

SKIN, EYE, MOUTH, BROW = 1, 3, 4, 5
"""Numbers of regions as in rendered sets; hair and clothes are not known here and count as background."""
BROW_POINTS, EYE_POINTS = (slice(17, 22), slice(22, 27)), (slice(36, 42), slice(42, 48))
MOUTH_POINTS = slice(48, 60)
FRACTION_BITS = 4


class DrawnRegions:
    """Maps of regions drawn from landmarks when they are asked for.

    Args:
        landmarks: (N, 68, 2) pixels of pictures of `size`.
        size: side of the maps.
    """

    def __init__(self, landmarks: np.ndarray, size: int) -> None:
        self._landmarks, self._size = landmarks, size

    def __getitem__(self, index: np.ndarray) -> np.ndarray:
        """(B,) picture numbers → uint8 (B, S, S)."""
        return np.stack([draw_regions(points, self._size) for points in self._landmarks[index]])


class VideoHeads:
    """All measured frames of a prepared set; pictures are read when asked for, several at a time.

    Attributes:
        scene: (N,) frames of equal number may be paired.
        person: (N,) number of the person in `folder.people`.
        files: the frames.
        size: side of the pictures.

    Args:
        folder: the set.
        size: side to which pictures are brought; None: that of the first one.
        within: what makes a scene: the whole video, as the authors pair frames, or a chunk of it, in which light and
            clothes never change.
        threads: pictures read at the same time.

    Raises:
        InputError: no video has two measured frames, or a file is damaged.
    """

    def __init__(
        self, folder: Folder, size: int | None = None, within: Literal["video", "chunk"] = "video", threads: int = 4
    ) -> None:
        people = {name: number for number, name in enumerate(folder.people)}
        groups = [group for video in folder for group in _scenes(video, within)]
        if not groups:
            raise InputError(f"{folder.root}: no video with two measured frames; mien prepare voxceleb measures them")
        counts = [len(files) for _, files, _ in groups]
        self.files: tuple[FrameFile, ...] = tuple(file for _, files, _ in groups for file in files)
        self.scene = np.repeat(np.arange(len(groups)), counts)
        self.person = np.repeat([people[video.person] for video, _, _ in groups], counts)
        self._videos = [video for video, _, _ in groups]
        sides = np.concatenate([video.sides(files) for video, files, _ in groups])
        self.size = int(sides[0]) if size is None else size
        self._params = _scaled(FaceParams.cat([params for _, _, params in groups]), self.size / sides)
        self._regions = DrawnRegions(self._params.landmarks.numpy(), self.size)
        self._pool = ThreadPoolExecutor(threads)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def regions(self) -> DrawnRegions:
        """Maps (B, S, S) of regions, by picture numbers."""
        return self._regions

    def images(self, index: Sequence[int] | np.ndarray) -> np.ndarray:
        """(B,) picture numbers → uint8 (B, S, S, 3).

        Raises:
            ImageError: one cannot be read.
            InputError: one is not square.
        """
        return np.stack(list(self._pool.map(self._read, np.asarray(index).tolist())))

    def params(self, index: Sequence[int] | np.ndarray) -> FaceParams:
        """Measured parameters of (B,) pictures; landmarks in pixels of the pictures as they are given out."""
        return self._params[torch.as_tensor(np.asarray(index, np.int64))]

    def latents(self, index: Sequence[int] | np.ndarray) -> torch.Tensor:
        """W+ codes (B, L, D) of pictures, not truncated.

        Raises:
            InputError: one is missing or damaged.
        """
        numbers = np.asarray(index).tolist()
        paths = [self._videos[self.scene[i]].latent_path(self.files[i]) for i in numbers]
        return torch.stack(list(self._pool.map(read_latent, paths)))

    def _read(self, number: int) -> np.ndarray:
        path = self.files[number].path
        picture = read_image(path)
        height, width = picture.shape[:2]
        if height != width:
            raise InputError(f"{path}: {width}x{height} pixels; cropped frames are square")
        return picture if height == self.size else to_uint8(resize(to_tensor(picture), self.size))[0]


def draw_regions(landmarks: np.ndarray, size: int) -> np.ndarray:
    """A uint8 (size, size) map of face, brows, eyes and mouth between landmarks (68, 2) in pixels."""
    canvas = np.zeros((size, size), np.uint8)
    points = np.rint(np.clip(landmarks, -size, 2 * size) * 2**FRACTION_BITS).astype(np.int32)

    def fill(which: np.ndarray, value: int) -> None:
        cv2.fillConvexPoly(canvas, cv2.convexHull(which), value, shift=FRACTION_BITS)

    fill(points, SKIN)
    for brow in BROW_POINTS:
        cv2.polylines(canvas, [points[brow][:, None]], False, BROW, max(1, size // 32), shift=FRACTION_BITS)
    for eye in EYE_POINTS:
        fill(points[eye], EYE)
    fill(points[MOUTH_POINTS], MOUTH)
    return canvas


def _scaled(params: FaceParams, scale: np.ndarray) -> FaceParams:
    """Parameters in pixels of resized pictures, whose edges lie half a pixel outside the centres."""
    factor = torch.from_numpy(scale).float()[:, None, None]
    return params.moved((params.landmarks + 0.5) * factor - 0.5)


def _scenes(
    video: VideoFolder, within: Literal["video", "chunk"]
) -> list[tuple[VideoFolder, list[FrameFile], FaceParams]]:
    """Groups of at least two measured frames."""
    params = video.params()
    measured = [(i, frame) for i, frame in enumerate(video.frames) if bool(params.valid[i])]
    names = dict.fromkeys("" if within == "video" else frame.chunk for _, frame in measured)
    groups = [[(i, f) for i, f in measured if within == "video" or f.chunk == name] for name in names]
    return [
        (video, [frame for _, frame in group], params[torch.tensor([i for i, _ in group])])
        for group in groups
        if len(group) > 1
    ]
