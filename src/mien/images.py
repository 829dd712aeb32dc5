"""Pictures: reading, writing, and the only place where value ranges change.

Outside: uint8 HWC RGB arrays. Inside: float32 NCHW RGB tensors in [-1, 1].
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch.nn import functional as F

from mien.errors import ImageError, OutputError

MAX_PIXELS = 80_000_000
MAX_SIDE_PX = 20_000
SYNTHETIC_NOTE = "Synthetic media: generated with mien, not a photograph."
PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FADE_SHARE = 16
"""A turned picture fades into a blur over this fraction of its side, 1/16, beyond its edges."""


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture as uint8 (H, W, 3) RGB; the EXIF orientation is applied, transparency goes over white.

    Raises:
        ImageError: missing, empty, not a picture, damaged, or more than MAX_PIXELS / MAX_SIDE_PX.
    """
    path = Path(path)
    if not path.is_file():
        raise ImageError(f"{path}: no such picture")
    try:
        with Image.open(path) as opened:
            width, height = opened.size
            if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE_PX:
                raise ImageError(f"{path}: {width}x{height} pixels is too large; the limit is {MAX_PIXELS // 10**6} MP")
            picture = ImageOps.exif_transpose(opened)
            if "A" in picture.getbands() or "transparency" in picture.info:
                layer = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: not a picture this program can read") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{path}: damaged picture ({error})") from error


def write_image(path: str | os.PathLike[str], image: np.ndarray, note: str = SYNTHETIC_NOTE) -> None:
    """Write uint8 (H, W, 3) RGB as PNG, JPEG or WebP by suffix; the file appears only when whole.

    Args:
        note: stored as description (PNG text / EXIF ImageDescription), so that the picture says it is synthetic.

    Raises:
        OutputError: unknown suffix, or the place cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise OutputError(f"{path}: unknown picture type; use one of {', '.join(PICTURE_SUFFIXES)}")
    picture = Image.fromarray(np.ascontiguousarray(image))
    text, exif = PngImagePlugin.PngInfo(), Image.Exif()
    text.add_text("Description", note)
    exif[0x010E] = note
    try:
        handle, partial = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror})") from error
    try:
        if path.suffix.lower() == ".png":
            picture.save(partial, pnginfo=text)
        else:
            picture.save(partial, quality=95, exif=exif)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error})") from error
    finally:
        Path(partial).unlink(missing_ok=True)


def to_tensor(images: np.ndarray | Sequence[np.ndarray]) -> torch.Tensor:
    """uint8 (H, W, 3), (N, H, W, 3) or a sequence of equal-sized pictures → float32 (N, 3, H, W) in [-1, 1]."""
    stacked = np.stack(images) if not isinstance(images, np.ndarray) else images
    stacked = stacked[None] if stacked.ndim == 3 else stacked
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2))).float().div_(127.5).sub_(1)


def to_uint8(batch: torch.Tensor) -> np.ndarray:
    """float (N, 3, H, W) in [-1, 1] (clipped) → uint8 (N, H, W, 3)."""
    scaled = batch.detach().float().add(1).mul(127.5).round().clamp(0, 255)
    return np.ascontiguousarray(scaled.byte().permute(0, 2, 3, 1).cpu().numpy())


def resize(batch: torch.Tensor, size: int | tuple[int, int]) -> torch.Tensor:
    """Resize (N, C, H, W) to `size` (side, or (height, width)); bicubic, antialiased when shrinking, range kept."""
    target = (size, size) if isinstance(size, int) else size
    if tuple(batch.shape[-2:]) == target:
        return batch
    resized = F.interpolate(batch.float(), target, mode="bicubic", align_corners=False, antialias=True)
    low, high = (x.float() for x in (batch.amin((1, 2, 3), keepdim=True), batch.amax((1, 2, 3), keepdim=True)))
    return resized.clamp(low, high).to(batch.dtype)


def shrink_to(batch: torch.Tensor, size: int) -> torch.Tensor:
    """Bring (N, C, S, S) to side `size`: block means where S is a multiple of it, else `resize`."""
    factor, rest = divmod(batch.shape[-1], size)
    if rest or factor == 0:
        return resize(batch, size)
    return F.avg_pool2d(batch, factor) if factor > 1 else batch


def places_turned(batch: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Where (N, H, W, 2) the pixels of (N, C, H, W) pictures come from when they turn clockwise, for `grid_sample`."""
    cosine, sine, none = angles.cos(), angles.sin(), torch.zeros_like(angles)
    theta = torch.stack([cosine, sine, none, -sine, cosine, none], 1).reshape(-1, 2, 3).to(batch)
    return F.affine_grid(theta, list(batch.shape), align_corners=False)


def turn(batch: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Turn (N, C, S, S) pictures clockwise about their centres; bicubic, range kept.

    What comes in at the corners continues the edges and fades into a blur.

    Args:
        angles: (N,) radians.
    """
    places = places_turned(batch, angles)
    side = batch.shape[-1]
    soft = F.interpolate(F.adaptive_avg_pool2d(batch, FADE_SHARE), (side, side), mode="bicubic")
    sharp, soft = (
        F.grid_sample(part, places, mode="bicubic", padding_mode="border", align_corners=False)
        for part in (batch, soft)
    )
    outside = (places.abs().amax(-1) - 1).clamp(min=0) / 2  # share of the side
    turned = sharp.lerp(soft, (outside * FADE_SHARE).clamp(max=1)[:, None].expand_as(sharp))
    return turned.clamp(batch.amin((1, 2, 3), keepdim=True), batch.amax((1, 2, 3), keepdim=True))


def grid(images: np.ndarray | Sequence[np.ndarray], columns: int) -> np.ndarray:
    """Tile equal-sized uint8 (H, W, 3) pictures row by row; a partial last row is filled with white."""
    tiles = np.stack(list(images))
    rows = -(-len(tiles) // columns)
    blank = np.full((rows * columns - len(tiles), *tiles.shape[1:]), 255, np.uint8)
    full = np.concatenate([tiles, blank]).reshape(rows, columns, *tiles.shape[1:])
    return full.transpose(0, 2, 1, 3, 4).reshape(rows * tiles.shape[1], columns * tiles.shape[2], -1)
