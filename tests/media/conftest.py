"""Small clips made by hand with PyAV, so that the reader is not tested against the project's own writer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

ClipMaker = Callable[..., Path]


def _colour(index: int, size: tuple[int, int]) -> np.ndarray:
    image = np.full((*size, 3), 40, np.uint8)
    image[: size[0] // 2, :, 0] = 200
    image[:, : size[1] // 2, 1] = 60 + 7 * (index % 20)
    return image


@pytest.fixture
def make_clip(tmp_path: Path) -> ClipMaker:
    """Makes a clip and returns its path. `audio` is an encoder name or None; `reordered`: with B-frames."""

    def make(
        name: str = "clip.mp4",
        pts: Sequence[int] = tuple(range(12)),
        time_base: Fraction = Fraction(1, 25),
        size: tuple[int, int] = (48, 64),
        rotation: float = 0.0,
        audio: str | None = None,
        reordered: bool = True,
        pixel_aspect: Fraction = Fraction(1),
    ) -> Path:
        path = tmp_path / name
        with av.open(
            str(path), "w", container_options={} if not name.endswith("mp4") else {"movflags": "+faststart"}
        ) as container:
            stream = container.add_stream("mpeg4" if name.endswith(".avi") else "libx264", rate=25)
            stream.height, stream.width, stream.pix_fmt = *size, "yuv444p" if size[0] % 2 or size[1] % 2 else "yuv420p"
            stream.codec_context.time_base = time_base
            stream.codec_context.max_b_frames = 2 if reordered and not name.endswith(".avi") else 0
            stream.codec_context.sample_aspect_ratio = pixel_aspect
            if rotation:
                stream.set_display_rotation(rotation)
            sound = (
                container.add_stream(audio, rate=48000 if audio == "libopus" else 44100, layout="mono")
                if audio
                else None
            )
            for index, stamp in enumerate(pts):
                frame = av.VideoFrame.from_ndarray(_colour(index, size), format="rgb24")
                frame.pts, frame.time_base = stamp, time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if sound is not None:
                _add_tone(container, sound)
        return path

    return make


def _add_tone(container: av.container.OutputContainer, stream: av.AudioStream) -> None:
    wave = (8000 * np.sin(np.arange(22050) * 0.06)).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
