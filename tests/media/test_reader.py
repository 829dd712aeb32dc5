from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest

from mien.errors import MediaError
from mien.media import probe_video, read_video


def test_info_and_times_of_a_constant_rate_clip(make_clip):
    video = read_video(make_clip(pts=[n * 1001 for n in range(9)], time_base=Fraction(1, 30000)))
    frames = list(video)
    assert video.info.size == (48, 64) and video.info.num_frames == 9
    assert [frame.time_s for frame in frames] == [Fraction(1001 * n, 30000) for n in range(9)]
    assert all(frame.image.shape == (48, 64, 3) and frame.image.dtype == np.uint8 for frame in frames)


def test_variable_rate_keeps_each_time_stamp(make_clip):
    times = [0, 3, 4, 10, 25, 26, 60]
    video = read_video(make_clip(pts=times, time_base=Fraction(1, 600)))
    assert [frame.time_s * 600 for frame in video] == times
    scale = Fraction(1, 600) / video.info.time_base
    assert [frame.duration / scale for frame in video][:-1] == [3, 1, 6, 15, 1, 34]


def test_a_video_can_be_read_twice_and_lazily(make_clip):
    video = read_video(make_clip())
    first = [frame.pts for frame in itertools.islice(video, 3)]
    assert first == [frame.pts for frame in video][:3]


def test_colours_survive(make_clip):
    image = next(iter(read_video(make_clip()))).image.astype(int)
    assert np.abs(image[10, 50] - [200, 40, 40]).max() < 8 and np.abs(image[40, 10] - [40, 60, 40]).max() < 8


def test_odd_sizes(make_clip):
    assert next(iter(read_video(make_clip(size=(47, 63))))).image.shape == (47, 63, 3)


def test_pixels_are_made_square(make_clip):
    video = read_video(make_clip(pixel_aspect=Fraction(2)))
    assert video.info.size == next(iter(video)).image.shape[:2] == (48, 128)


@pytest.mark.parametrize(("degrees", "corner"), [(90.0, (-1, 0)), (-90.0, (0, -1)), (180.0, (-1, -1))])
def test_rotation_metadata_is_applied(make_clip, degrees, corner):
    """The mark at the top left of the stored picture is found where the display matrix sends it."""
    upright = next(iter(read_video(make_clip("plain.mp4")))).image
    turned = read_video(make_clip("turned.mp4", rotation=degrees))
    image = next(iter(turned)).image
    assert turned.info.size == image.shape[:2] == ((64, 48) if abs(degrees) == 90 else (48, 64))
    assert np.abs(image[corner].astype(int) - upright[0, 0]).max() < 12


def test_text_named_as_video(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("this is not a video\n" * 50)
    with pytest.raises(MediaError, match=r"notes\.mp4"):
        read_video(path)


def test_empty_and_missing_files(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(MediaError, match="empty"):
        read_video(tmp_path / "empty.mp4")
    with pytest.raises(MediaError, match="no such"):
        read_video(tmp_path / "missing.mp4")


def test_no_video_stream(tmp_path, make_clip):
    import av

    path = tmp_path / "sound.mp4"
    with av.open(str(make_clip(audio="aac"))) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    with pytest.raises(MediaError, match="no video stream"):
        probe_video(path)


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mov", "cut.avi", "cut.mkv"])
def test_a_file_cut_short_is_refused_at_once(make_clip, name):
    path = make_clip(name, pts=range(40))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.7)])
    with pytest.raises(MediaError, match="cut short"):
        read_video(path)


def test_damage_in_the_middle_names_the_frames_decoded(make_clip, monkeypatch):
    import av

    from mien.media import reader

    original = reader.upright

    def failing(frame, stream, seen=[]):  # noqa: B006 (a counter)
        seen.append(frame.pts)
        if len(seen) == 5:
            raise av.error.InvalidDataError(1, "broken")
        return original(frame, stream)

    video = read_video(make_clip())
    monkeypatch.setattr(reader, "upright", failing)
    with pytest.raises(MediaError, match="after 4 frames"):
        list(video)
