from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mien.errors import OutputError
from mien.media import VIDEO_SUFFIXES, VideoWriter, check_output, read_video


def _copy(source: Path, target: Path) -> VideoWriter:
    video = read_video(source)
    with VideoWriter(target, video.info.rate, video.info.time_base, source) as writer:
        for frame in video:
            writer.write(frame.image, frame.pts, frame.duration)
    return writer


def _audio_packets(path: Path) -> list[tuple[Fraction, str]]:
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.audio[0]) if packet.dts is not None]
        return [(packet.pts * packet.time_base, hashlib.sha256(bytes(packet)).hexdigest()) for packet in packets]


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_rate_times_and_audio_of_a_real_clip_are_kept_exactly(tmp_path, data_pack, suffix):
    clip, target = data_pack / "clips" / "driver_audio_2997.mp4", tmp_path / f"out{suffix}"
    _copy(clip, target)
    before, after = read_video(clip), read_video(target)
    assert after.info.rate == Fraction(30000, 1001) and after.info.num_frames == 62
    assert [frame.time_s for frame in after] == [frame.time_s for frame in before]
    assert _audio_packets(target) == _audio_packets(clip)


@pytest.mark.parametrize("reordered", [False, True])
def test_variable_times_and_average_rate_are_kept(tmp_path, make_clip, reordered):
    times = [2, 5, 6, 13, 40, 41, 90]
    source, target = make_clip(pts=times, time_base=Fraction(1, 600), reordered=reordered), tmp_path / "out.mp4"
    _copy(source, target)
    before, after = read_video(source), read_video(target)
    assert [frame.time_s for frame in after] == [frame.time_s for frame in before]
    assert np.diff([round(frame.time_s * 600) for frame in after]).tolist() == np.diff(times).tolist()
    if not reordered:  # with B-frames the source's own average counts decoding times
        assert after.info.rate == before.info.rate


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "aac"), ("a.mkv", "libmp3lame"), ("a.mkv", "libopus")])
def test_audio_packets_are_copied_not_encoded(tmp_path, make_clip, name, codec):
    source, target = make_clip(name, audio=codec), tmp_path / "out.mp4"
    writer = _copy(source, target)
    assert [digest for _, digest in _audio_packets(target)] == [digest for _, digest in _audio_packets(source)]
    assert not writer.notices


def test_audio_that_the_container_cannot_hold_becomes_aac_and_says_so(tmp_path, make_clip):
    writer = _copy(make_clip("a.avi", audio="adpcm_ms"), tmp_path / "out.mp4")
    assert read_video(tmp_path / "out.mp4").info.audio == ("aac",)
    assert len(writer.notices) == 1 and "adpcm_ms" in writer.notices[0]
    duration = sum(1024 for _ in _audio_packets(tmp_path / "out.mp4")) / 44100
    assert abs(duration - 0.5) < 0.07


def test_a_late_start_is_not_rounded(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", Fraction(30), Fraction(1, 90)) as writer:
        for pts in (7, 10, 13):
            writer.write(np.zeros((32, 32, 3), np.uint8), pts, 3)
    assert [frame.time_s for frame in read_video(tmp_path / "out.mp4")] == [Fraction(n, 90) for n in (7, 10, 13)]


def test_metadata_says_synthetic_and_index_comes_first(tmp_path, make_clip):
    _copy(make_clip(), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert "ynthetic" in container.metadata["comment"] and "mien" in container.metadata["title"]
        context = container.streams.video[0].codec_context
        assert context.name == "h264" and context.pix_fmt == "yuv420p"
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.find(b"moov") < data.find(b"mdat")


def test_odd_sizes_gain_a_repeated_edge_and_colours_survive(tmp_path):
    image = np.zeros((31, 45, 3), np.uint8)
    image[:, 20:] = (220, 30, 60)
    with VideoWriter(tmp_path / "out.mp4", Fraction(10)) as writer:
        for _ in range(3):
            writer.write(image)
    frames = list(read_video(tmp_path / "out.mp4"))
    assert [frame.time_s for frame in frames] == [0, Fraction(1, 10), Fraction(2, 10)]
    assert frames[0].image.shape == (32, 46, 3)
    assert np.abs(frames[2].image[15, 35].astype(int) - [220, 30, 60]).max() < 8


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_when_the_work_fails(tmp_path, error):
    with pytest.raises(error), VideoWriter(tmp_path / "out.mp4", Fraction(10)) as writer:
        for _ in range(5):
            writer.write(np.zeros((32, 32, 3), np.uint8))
        raise error
    assert _names(tmp_path) == []


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path, make_clip):
    target = tmp_path / "out.mp4"
    target.write_bytes(b"older")
    with pytest.raises(RuntimeError), VideoWriter(target, Fraction(10)) as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
        raise RuntimeError
    assert target.read_bytes() == b"older"
    _copy(make_clip(), target)
    assert read_video(target).info.num_frames == 12


def test_writing_nothing_or_out_of_order_is_an_error(tmp_path):
    with pytest.raises(OutputError, match="no frame"), VideoWriter(tmp_path / "out.mp4", Fraction(10)):
        pass
    image = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(OutputError, match="does not follow"), VideoWriter(tmp_path / "o.mp4", Fraction(10)) as writer:
        writer.write(image, 4)
        writer.write(image, 4)
    with pytest.raises(OutputError, match="another size"), VideoWriter(tmp_path / "o.mp4", Fraction(10)) as writer:
        writer.write(image)
        writer.write(image[:16])
    assert _names(tmp_path) == []


def test_output_is_checked_before_the_work(tmp_path):
    with pytest.raises(OutputError, match="unknown kind"):
        check_output(tmp_path / "out.webm", VIDEO_SUFFIXES)
    with pytest.raises(OutputError, match="cannot write"):
        check_output(tmp_path / "missing" / "out.mp4", VIDEO_SUFFIXES)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="folder"):
        check_output(tmp_path / "folder.mp4", VIDEO_SUFFIXES)
    (tmp_path / "in.mp4").touch()
    with pytest.raises(OutputError, match="replace an input"):
        check_output(tmp_path / "in.mp4", VIDEO_SUFFIXES, [tmp_path / "in.mp4"])
    with pytest.raises(OutputError), VideoWriter(tmp_path / "missing" / "out.mp4", Fraction(10)):
        pass
    assert check_output(tmp_path / "out.MP4", VIDEO_SUFFIXES) and _names(tmp_path) == ["folder.mp4", "in.mp4"]


def test_a_cut_of_a_real_video_is_not_called_synthetic(tmp_path):
    with VideoWriter(tmp_path / "out.mp4", Fraction(30), note="cut from a video") as writer:
        writer.write(np.zeros((32, 32, 3), np.uint8))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["comment"] == "cut from a video" and "title" not in container.metadata
