from dataclasses import replace

import numpy as np
import pytest

from mien.benchmark import VideoSettings, find_clips, measure_videos, page, videos_report
from mien.benchmark.clips import draw_cross_pairs
from mien.benchmark.protocol import CopySource
from mien.benchmark.records import means_of
from mien.errors import InputError
from mien.images import write_image


@pytest.fixture
def videos(painted, tmp_path):
    """Two people with a video of frames each, in VoxCeleb's layout."""
    turns = {"anna": (50, (0, 10, 20, 50, 60)), "bob": (150, (0, -20, -60))}
    for person, (blue, yaws) in turns.items():
        frames = tmp_path / "videos" / person / "v0" / "chunk" / "frames"
        frames.mkdir(parents=True)
        for i, yaw in enumerate(yaws):
            write_image(frames / f"{i}.png", painted.paint(yaw, person=blue))
    return tmp_path / "videos"


def _measured(painted, videos, protocol, driver, **settings):
    chosen = VideoSettings(size=painted.SIZE, **settings)
    return measure_videos(protocol, [driver], find_clips(videos), painted.instruments(), chosen)


def test_clips_know_who_is_in_them(videos):
    clips = find_clips(videos)
    assert [clip.person for clip in clips] == ["anna", "bob"]
    assert len(clips[0].frames()) == 5 and len(clips[0].frames(2)) == 2
    with pytest.raises(InputError, match="no such folder"):
        find_clips(videos / "nowhere")


def test_cross_pairs_are_of_two_people_and_the_same_for_a_seed(videos):
    clips = find_clips(videos)
    drawn = [draw_cross_pairs(clips, 9, np.random.default_rng(1)) for _ in range(2)]
    assert drawn[0] == drawn[1] and {(a.person, b.person) for a, b in drawn[0]} == {("anna", "bob"), ("bob", "anna")}
    with pytest.raises(InputError, match="two people"):
        draw_cross_pairs(clips[:1], 1, np.random.default_rng(0))


def test_self_measures_every_frame_with_the_same_weight(painted, videos):
    measured = _measured(painted, videos, "self", CopySource())
    scores = means_of(measured.records)["copy source"]["all"]
    assert scores["yaw/painted"].count == 8
    assert scores["yaw/painted"].mean == pytest.approx((0 + 10 + 20 + 50 + 60 + 0 + 20 + 60) / 8, abs=1e-3)
    assert scores["identity_truth/blue"].mean == pytest.approx(1)
    (name,) = measured.distances["copy source"]
    assert "instead of FID" in name and measured.distances["copy source"][name] == (pytest.approx(0, abs=1e-6), 8)


def test_large_pose_takes_frames_turned_by_15_degrees_in_the_mean_of_three_angles(painted, videos):
    measured = _measured(painted, videos, "large-pose", CopySource(), large_pose_pairs=1)
    scores = means_of(measured.records)["copy source"]["all"]
    assert scores["yaw/painted"].count == 2
    assert scores["yaw/painted"].mean == pytest.approx((50 + 60) / 2, abs=1e-3)


def test_cross_has_no_true_picture(painted, videos):
    measured = _measured(painted, videos, "cross", painted.Mover("whole"))
    scores = means_of(measured.records)["whole"]["all"]
    assert scores["yaw/painted"].mean == pytest.approx(0, abs=1e-3) and scores["yaw/painted"].count == 8
    assert scores["identity_source/blue"].mean == pytest.approx(1) and "l1" not in scores


def test_unreadable_videos_are_left_out_and_listed(painted, videos):
    (videos / "carl").mkdir()
    (videos / "carl" / "broken.mp4").write_bytes(b"no video")
    measured = _measured(painted, videos, "self", CopySource())
    assert len(measured.left_out) == 1 and "broken.mp4" in measured.left_out[0]
    report = videos_report(measured, "self", painted.instruments(), {"protocol": "self"})
    assert "broken.mp4" in report.about["left out"] and page(report).count("<img ") == 4


def test_frames_count_as_one_set_however_they_arrive(painted, videos):
    """The Fréchet distance of a driver that shifts all identities is the same with and without a partial video."""
    whole = _measured(painted, videos, "cross", painted.Mover("whole")).distances["whole"]
    parts = _measured(painted, videos, "cross", painted.Mover("whole"), frames=3).distances["whole"]
    assert {count for _, count in whole.values()} == {8} and {count for _, count in parts.values()} == {6}


def test_frames_and_clips_have_frechet_distances_of_known_size(painted, tmp_path):
    """Red levels of frames are 1, 2, … 33 and all raised by 3; two clips of 16 of the 33 frames remain."""
    frames = tmp_path / "dora" / "v0"
    frames.mkdir(parents=True)
    for i in range(33):
        write_image(frames / f"{i}.png", painted.paint(i))

    class Shifted:
        name, framing = "shifted", "source"

        def reenact(self, source, drivers):
            return [driver + np.array([3, 0, 0], np.uint8) for driver in drivers]

    def red(pictures):
        return (pictures[..., 0, :1, 0] + 1) * 127.5

    features = {"frame_features": {"red": red}, "clip_features": {"red of clips": lambda clip: red(clip).mean(1)}}
    instruments = replace(painted.instruments(), **features)
    settings = VideoSettings(size=painted.SIZE, frames=None)
    measured = measure_videos("self", [Shifted()], find_clips(tmp_path), instruments, settings)
    found = measured.distances["shifted"]
    assert found["red"] == (pytest.approx(9, rel=1e-3), 33)
    assert found["red of clips"] == (pytest.approx(9, rel=1e-3), 2)
