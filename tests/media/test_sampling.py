"""Pictures at chosen times: the right ones, at any rate, after a seek, and an error behind the end."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mien.errors import MediaError
from mien.media import sampling
from mien.media.sampling import frames_at, sample_video

RATE = Fraction(30)


@pytest.fixture
def numbered(tmp_path):
    """Makes a clip whose pictures show their number in stripes, one per bit; a key frame every ten pictures."""

    def make(name: str = "n.mp4", count: int = 100, offset: int = 0, rate: Fraction = RATE) -> str:
        path = str(tmp_path / name)
        with av.open(path, "w") as container:
            codec = "mpeg4" if name.endswith("avi") else "libx264"
            stream = container.add_stream(codec, rate=rate, options={"g": "10", "crf": "4"})
            stream.height, stream.width, stream.pix_fmt = 32, 64, "yuv420p"
            stream.codec_context.time_base = 1 / rate
            for number in range(count):
                frame = av.VideoFrame.from_ndarray(stripes(number), format="rgb24")
                frame.pts, frame.time_base = number + offset, 1 / rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return path

    return make


def stripes(number: int) -> np.ndarray:
    bits = (number >> np.arange(8)) & 1
    return np.broadcast_to(np.repeat(bits, 8)[None, :, None] * 255, (32, 64, 3)).astype(np.uint8)


def numbers(pictures) -> list[int]:
    return [int(((picture[16, 4::8, 0] > 127) << np.arange(8)).sum()) for picture in pictures]


@pytest.mark.parametrize("name", ["n.mp4", "n.mkv", "n.avi"])
@pytest.mark.parametrize("offset", [0, 45])
def test_the_picture_on_screen_at_each_time(numbered, name, offset):
    path = numbered(name, offset=0 if name == "n.avi" else offset)
    wanted = [41, 42, 42, 77, 99]
    times = [Fraction(n, 30) + late for n, late in zip(wanted, (0, 0, Fraction(1, 60), Fraction(1, 40), 0))]
    assert numbers(sample_video(path, times)) == wanted
    assert numbers(sample_video(path, [Fraction(0)])) == [0]


def test_another_rate_shows_what_was_on_screen(numbered):
    from_25 = [n * 30 // 25 for n in range(50, 80, 3)]
    assert numbers(frames_at(numbered(), 50, 3, Fraction(25), 10)) == from_25


def test_the_end(numbered):
    path = numbered(count=20)
    assert numbers(frames_at(path, 10, 4, RATE)) == [10, 14, 18]
    with pytest.raises(MediaError, match=r"ends at 0\.67 s, before 0\.73 s"):
        list(frames_at(path, 10, 4, RATE, 4))
    assert list(sample_video(path, [])) == []


@pytest.mark.parametrize("offset", [0, 45])
def test_far_pictures_are_reached_without_the_others(numbered, monkeypatch, offset):
    converted, decoded = [], []
    convert, timed = sampling.upright, sampling._timed

    def counted(*given):
        for item in timed(*given):
            decoded.append(1)
            yield item

    monkeypatch.setattr(sampling, "upright", lambda *given: converted.append(1) or convert(*given))
    monkeypatch.setattr(sampling, "_timed", counted)
    assert numbers(sample_video(numbered(offset=offset), [Fraction(95, 30)])) == [95]
    assert len(converted) == 1 and len(decoded) <= 12, "one group of pictures"


def test_damage_is_told(numbered, tmp_path):
    data = Path(numbered("n.mkv")).read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError):
        list(sample_video(broken, [Fraction(1)]))
