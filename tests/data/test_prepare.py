"""From videos to a set: the right frames, the right face, in any number of processes, and on after any interruption."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from painted_people import (
    OTHER,
    VIDEO,
    NoTools,
    PaintedTools,
    annotation,
    encode,
    measure,
    number_of,
    paint,
    write_video,
)

from mien.alignment import voxceleb_crop
from mien.data.metadata import VideoTask, read_clips, read_metadata
from mien.data.prepare import PrepareConfig, prepare, tasks_in
from mien.data.stages import Tools, is_begun
from mien.data.voxceleb import Folder, VideoFolder
from mien.errors import InputError, MienError, OutputError
from mien.images import read_image, write_image
from mien.media import read_video

LEFT, RIGHT = (10, 20, 30), (100, 30, 40)
PAINTED = PaintedTools()
CONFIG = PrepareConfig(size=32, every=5, batch=3)


@pytest.fixture
def world(tmp_path) -> Path:
    """Two videos of VoxCeleb1 and their metadata: in one a second, larger face and chunks that fail."""
    write_video(tmp_path / "videos" / f"{VIDEO}.mp4", 100, LEFT, RIGHT)
    write_video(tmp_path / "videos" / f"{OTHER}.mp4", 50, LEFT, rate=50)
    for person, video, name, text in (
        ("id10001", VIDEO, "00001", annotation(10, 40, _as_of_360_lines(LEFT))),
        ("id10001", VIDEO, "00002", annotation(60, 99, _as_of_360_lines(RIGHT))),
        ("id10001", VIDEO, "00003", annotation(90, 120, _as_of_360_lines(RIGHT))),
        ("id10001", VIDEO, "00004", annotation(0, 20, _as_of_360_lines((50, 60, 20)))),
        ("id10001", VIDEO, "00005", "torn"),
        ("id10002", OTHER, "00001", annotation(0, 20, _as_of_360_lines(LEFT))),
    ):
        file = tmp_path / "txt" / person / video / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def _as_of_360_lines(face: tuple[int, int, int]) -> list[float]:
    left, top, side = face
    return [left * 4, top * 4, side * 4, side * 4]


def run(world: Path, config: PrepareConfig = CONFIG, make_tools=PAINTED, out: str = "set"):
    return prepare(read_metadata(world / "txt"), world / out, world / "videos", make_tools, config)


def numbers(folder: Folder) -> list[list[int]]:
    """What the painted faces say, by video."""
    return [(video.params().expression[:, 0] * 100).round().int().tolist() for video in folder]


def test_frames_faces_and_reasons(world):
    report = run(world)
    folder = Folder(world / "set")
    assert [video.person for video in folder] == ["id10001", "id10002"]
    first = folder.videos[0]
    taken = [(frame.chunk, frame.number) for frame in first.frames]
    assert taken == [("00001", n) for n in range(0, 31, 5)] + [("00002", n) for n in range(0, 40, 5)]
    assert numbers(folder) == [[*range(10, 41, 5), *range(60, 100, 5)], [2 * n for n in range(0, 21, 5)]]
    assert (report.videos, report.chunks, report.frames, report.latents) == (2, 3, 20, 0)
    reasons = {skipped.chunk: skipped.reason for skipped in report.skipped}
    assert set(reasons) == {"00003", "00004", "00005"}
    assert "ends at 4.00 s" in reasons["00003"] and "no face in any of the 5" in reasons["00004"]
    assert "not an annotation" in reasons["00005"]
    assert json.loads((world / "set" / "report.json").read_text())["skipped"][0]["video"] == VIDEO


def test_crops_are_those_of_the_published_rule(world):
    run(world, PrepareConfig(size=32, every=5, keep_chunks=False))
    video = Folder(world / "set").videos[0]
    frame = video.frames[1]
    picture = list(read_video(world / "videos" / f"{VIDEO}.mp4"))[15].image
    face = measure([picture], [np.array([10, 20, 40, 50])])
    crop = voxceleb_crop(face.landmarks[0].numpy(), face.angles[0].numpy(), 32)
    assert np.array_equal(read_image(frame.path), crop.apply(picture))
    params = video.params([frame])
    assert params.landmarks[0].numpy() == pytest.approx(crop.points(face.landmarks[0].numpy()), abs=1e-4)
    assert video.labels["00001"].matrices[1] == pytest.approx(crop.matrix)
    assert not (world / "set" / "id10001" / VIDEO / "chunk_videos").exists()


def test_a_crop_that_turns_the_picture_turns_the_head(world):
    run(world, PrepareConfig(size=32, every=5, crop="ffhq", keep_chunks=False))
    video = Folder(world / "set").videos[0]
    matrix = video.labels["00001"].matrices[0]
    turn = np.arctan2(matrix[1, 0], matrix[0, 0])
    assert float(video.params().angles[0, 2]) == pytest.approx(0.1 + turn, abs=1e-5)


def test_chunks_are_videos_of_their_own(world):
    run(world)
    video = Folder(world / "set").videos[0]
    assert video.chunk_videos["00001"].name == f"{VIDEO}#00001#10-40.mp4"
    clip = read_video(video.chunk_videos["00001"])
    assert [number_of(frame.image) for frame in clip] == list(range(10, 41)) and clip.info.rate == 25
    (world / "videos" / f"{VIDEO}.mp4").unlink()
    (video.path / "params" / "00001.npz").unlink()
    report = run(world)
    assert numbers(Folder(world / "set"))[0][:7] == list(range(10, 41, 5))
    assert [s.reason for s in report.skipped if s.chunk == ""] == ["the video is not here"]


class Failing:
    """Tools that die, as a killed process does, in the given call."""

    def __init__(self, last: int) -> None:
        self.last = last
        self.calls = self.codes = 0

    def __call__(self) -> Tools:
        def counted(pictures, hints):
            self.calls += 1
            if self.calls > self.last:
                raise KeyboardInterrupt
            return measure(pictures, hints)

        def counted_codes(crops, params):
            self.codes += len(crops)
            return encode(crops, params)

        return Tools(counted, counted_codes)


class Dying:
    """Tools whose process is gone at the first call; an exception would come out of it as itself."""

    def __call__(self) -> Tools:
        return Tools(lambda pictures, hints: os._exit(9), encode)


def tree(root: Path) -> dict[str, bytes]:
    files = {str(file.relative_to(root)): file for file in sorted(root.rglob("*")) if file.is_file()}
    frames = {name: file.read_bytes() for name, file in files.items() if file.suffix in (".png", ".npy", ".json")}
    labels = {name: file for name, file in files.items() if file.suffix == ".npz"}
    arrays = {
        f"{name}:{key}": np.load(file)[key].tobytes() for name, file in labels.items() for key in np.load(file).files
    }
    return frames | arrays | dict.fromkeys(set(files) - set(frames) - set(labels), b"")


@pytest.mark.parametrize("last", [0, 1, 4, 8])
def test_killed_anywhere_the_same_command_goes_on(world, last):
    config = PrepareConfig(size=32, every=5, batch=3, encoder="e")
    run(world, config, Failing(1000), "whole")
    with pytest.raises(KeyboardInterrupt):
        run(world, config, Failing(last), "cut")
    if last:
        assert all(set(video.params().valid.tolist()) <= {True} for video in Folder(world / "cut")), "only whole chunks"
    again = Failing(1000)
    run(world, config, again, "cut")
    assert tree(world / "cut") == tree(world / "whole")
    assert again.calls <= 11 - max(0, last - 3)
    third = Failing(0)
    run(world, config, third, "cut")
    assert tree(world / "cut") == tree(world / "whole") and third.calls == third.codes == 0


@pytest.mark.multi
def test_two_processes_do_what_one_does(world):
    one = run(world, PrepareConfig(size=32, every=5, encoder="e"), PaintedTools(True), "one")
    two = run(world, PrepareConfig(size=32, every=5, encoder="e", processes=2), PaintedTools(True), "two")
    key = lambda report: sorted((s.video, s.chunk) for s in report.skipped)  # noqa: E731
    assert key(one) == key(two) and (one.frames, one.latents) == (two.frames, two.latents)
    drop = {"report.json"}
    assert {k: v for k, v in tree(world / "one").items() if k not in drop} == {
        k: v for k, v in tree(world / "two").items() if k not in drop
    }


@pytest.mark.slow
@pytest.mark.multi
def test_errors_of_the_tools_come_out_of_the_processes(world):
    with pytest.raises(InputError, match="no tools today"):
        run(world, PrepareConfig(processes=2), NoTools())


@pytest.mark.slow
@pytest.mark.multi
def test_a_crash_is_told(world):
    with pytest.raises(MienError, match="fewer processes"):
        run(world, PrepareConfig(processes=2), Dying())


def test_latent_codes_lie_beside_the_frames(world):
    report = run(world, PrepareConfig(size=32, every=5, encoder="e"), PaintedTools(True))
    folder = Folder(world / "set")
    assert report.latents == report.frames == 20
    for video in folder:
        pictures = np.stack(video.images())
        assert torch.equal(video.latents(), torch.from_numpy(encode(list(pictures), video.params())).float())


def test_a_broken_video_costs_only_itself(world):
    file = world / "videos" / f"{VIDEO}.mp4"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    report = run(world)
    assert [s.chunk for s in report.skipped if s.video == VIDEO] == ["00005", ""] and report.chunks == 1


def test_missing_videos_leave_nothing_behind(world):
    (world / "videos" / f"{VIDEO}.mp4").unlink()
    run(world)
    tasks = read_metadata(world / "txt")
    assert [is_begun(task, world / "set") for task in tasks] == [False, True]
    assert not (world / "set" / "id10001").exists()


@pytest.mark.parametrize("part", ["chunk_videos", "params", "frames_cropped"])
def test_a_video_is_begun_by_any_file_of_it(tmp_path, part):
    task = VideoTask("id1", VIDEO)
    (tmp_path / "id1" / VIDEO / part).mkdir(parents=True)
    (tmp_path / "id1" / VIDEO / part / ".half.part").touch()
    assert not is_begun(task, tmp_path)
    (tmp_path / "id1" / VIDEO / part / "whole").touch()
    assert is_begun(task, tmp_path)


def test_frames_that_were_not_measured_have_no_parameters(world):
    run(world)
    video = Folder(world / "set").videos[1]
    every = VideoFolder(video.person, video.video, video.path)
    write_image(video.path / "frames_cropped" / "00001_000003.png", paint()[:32, :32])
    assert "00001_000003" not in [frame.name for frame in video.frames]
    assert [frame.number for frame in every.frames] == [0, 3, 5, 10, 15, 20]
    assert every.params().valid.tolist() == [True, False, True, True, True, True]
    assert every.sides().tolist() == [32, 0, 32, 32, 32, 32]


def test_a_set_keeps_its_kind(world):
    run(world)
    with pytest.raises(OutputError, match="crop voxceleb, size 32, every 5, not crop head"):
        run(world, PrepareConfig(size=32, every=5, crop="head"))
    run(world, PrepareConfig(size=32, every=5, encoder="a"), PaintedTools(True))
    with pytest.raises(OutputError, match="codes of another encoder"):
        run(world, PrepareConfig(size=32, every=5, encoder="b"), PaintedTools(True))
    run(world)
    assert Folder(world / "set").header["encoder"] == "a"
    for config in (PrepareConfig(every=0), PrepareConfig(crop="nose")):
        with pytest.raises(InputError):
            run(world, config)


def test_clips_are_chunks(tmp_path):
    write_video(tmp_path / "clips" / "id1" / VIDEO / "00007.mp4", 30, LEFT, rate=50)
    write_video(tmp_path / "clips" / f"id2#{OTHER}#000100#000110.mp4", 10, LEFT, RIGHT)
    prepare(read_clips(tmp_path / "clips"), tmp_path / "set", None, PaintedTools(), CONFIG)
    folder = Folder(tmp_path / "set")
    assert [[frame.name for frame in video.frames] for video in folder] == [
        ["00007_000000", "00007_000005", "00007_000010"],
        ["000100-000110_000000", "000100-000110_000005"],
    ]
    assert numbers(folder)[0] == [0, 10, 20]


def test_a_set_of_the_authors_tools_is_completed(tmp_path):
    video = tmp_path / "id10271" / VIDEO
    (video / "frames_cropped").mkdir(parents=True)
    write_video(video / "chunk_videos" / f"{VIDEO}#00001#257-396.mp4", 10, LEFT)
    for name, number in (("00_000025", 3), ("00_000000", 2), ("01_000000", 4)):
        write_image(video / "frames_cropped" / f"{name}.png", paint(LEFT, number=number)[:80, :80])
    write_image(video / "frames_cropped" / "01_000025.png", paint(LEFT))  # not square: their landmarks failed
    write_image(video / "frames_cropped" / "02_000000.png", paint()[:80, :80])
    assert numbers(Folder(tmp_path)) == [[0] * 5] and not Folder(tmp_path).videos[0].params().valid.any()
    for _ in range(2):
        report = prepare(tasks_in(tmp_path), tmp_path, None, PaintedTools(True), CONFIG)
        folder = Folder(tmp_path)
        assert [frame.name for frame in folder.videos[0].frames] == ["00_000000", "00_000025", "01_000000"]
        assert numbers(folder) == [[2, 3, 4]] and folder.videos[0].sides().tolist() == [80] * 3
        assert [s.chunk for s in report.skipped] == ["02"] and report.latents == 3
        assert len(list((video / "frames_cropped").iterdir())) == 5
