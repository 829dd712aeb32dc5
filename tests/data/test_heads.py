"""Frames of videos are drawn in pairs as rendered ones are: same scene, same parameters, same codes."""

import numpy as np
import pytest
import torch
from painted_people import OTHER, TEMPLATE, VIDEO, PaintedTools, number_of, paint

from mien.data.heads import BROW, EYE, MOUTH, SKIN, VideoHeads, draw_regions
from mien.data.pairs import FramePairs
from mien.data.prepare import PrepareConfig, prepare, tasks_in
from mien.data.voxceleb import Folder
from mien.errors import InputError
from mien.face3d import arkit_motion_space
from mien.images import write_image

FACE = (10, 20, 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Folder:
    """Three videos of two people; pictures of 64 pixels, one of 32; one video has a single face."""
    root = tmp_path_factory.mktemp("heads")
    frames = {
        f"id1/{VIDEO}": ("00_000000", "00_000025", "01_000000"),
        f"id1/{OTHER}": ("00_000000", "00_000025"),
        f"id2/{VIDEO}": ("00_000000", "00_000025", "01_000000", "01_000025"),
        f"id2/{OTHER}": ("00_000000",),
    }
    count = 0
    for video, names in frames.items():
        (root / video / "frames_cropped").mkdir(parents=True)
        for name in names:
            picture = paint(FACE, number=count)[:64, :64]
            picture = picture[::2, ::2] if count == 4 else picture
            write_image(root / video / "frames_cropped" / f"{name}.png", picture)
            count += 1
    config = PrepareConfig(encoder="e")
    prepare(tasks_in(root), root, None, PaintedTools(True), config)
    return Folder(root)


def test_frames_are_grouped_by_video_or_chunk(folder):
    heads = VideoHeads(folder)
    assert len(heads) == 9 and heads.scene.tolist() == [0] * 2 + [1] * 3 + [2] * 4
    assert heads.person.tolist() == [0] * 5 + [1] * 4
    chunks = VideoHeads(folder, within="chunk")
    assert chunks.scene.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [f"{file.path.parts[-3]}/{file.name}" for file in chunks.files][2:4] == [
        f"{VIDEO}/00_000000",
        f"{VIDEO}/00_000025",
    ]


def test_pictures_parameters_and_codes_agree(folder):
    heads = VideoHeads(folder, 64)
    index = np.array([3, 0, 8])
    assert [number_of(picture) for picture in heads.images(index)] == [1, 3, 8]
    assert (heads.params(index).expression[:, 0] * 100).round().tolist() == [1, 3, 8]
    stored = np.stack([heads.images([i])[0].mean((0, 1)) for i in index])
    assert heads.latents(index)[:, :, 0].numpy() == pytest.approx(stored + 0.1, abs=1e-3)


def test_pictures_of_another_size_are_brought_to_one(folder):
    heads = VideoHeads(folder, 32)
    images = heads.images(np.arange(9))
    assert images.shape == (9, 32, 32, 3)
    points = heads.params(np.arange(9)).landmarks
    assert (points - points[:1]).abs().max() < 0.6, "the same face everywhere, whatever the size of the file"
    red = np.argwhere(images[4, ..., 0] > 150)[:, ::-1]
    wanted = red.min(0) + TEMPLATE * (red.max(0) - red.min(0))
    assert points[4].numpy() == pytest.approx(wanted, abs=1)


def test_pairs_are_drawn_as_from_renders(folder):
    pairs = FramePairs(VideoHeads(folder, 64), arkit_motion_space(), 32)
    assert len(pairs) == 3
    batch = pairs.draw(torch.randint(3, (60,)), torch.Generator().manual_seed(0))
    assert batch.source.shape == (60, 3, 32, 32) and batch.q_target.shape == (60, 26)
    scene = pairs.heads.scene[batch.target_index.numpy()]
    assert set(scene.tolist()) == {0, 1, 2}
    assert (batch.source != batch.target).flatten(1).any(1).all(), "two different frames"
    assert torch.equal(batch.q_target, pairs.q[batch.target_index])
    assert batch.weight.mean((1, 2, 3)) == pytest.approx(torch.ones(60).numpy(), abs=1e-5)
    tilted = pairs.tilt(batch, 0.2, torch.Generator().manual_seed(1))
    assert tilted.target.shape == batch.target.shape


def test_regions_are_where_the_landmarks_are(folder):
    heads = VideoHeads(folder, 64)
    landmarks = heads.params([0]).landmarks[0].numpy()
    regions = draw_regions(landmarks, 64)
    assert np.array_equal(heads.regions[np.array([0])][0], regions)

    def at(points: slice) -> int:
        x, y = landmarks[points].mean(0).round().astype(int)
        return int(regions[y, x])

    found = [at(points) for points in (slice(36, 42), slice(42, 48), slice(48, 68), slice(18, 21), slice(31, 36))]
    assert found == [EYE, EYE, MOUTH, BROW, SKIN] and regions[0, 0] == 0
    assert draw_regions(np.full((68, 2), 1e9), 64).shape == (64, 64)


def test_nothing_to_pair(tmp_path):
    (tmp_path / "id1" / VIDEO / "frames_cropped").mkdir(parents=True)
    write_image(tmp_path / "id1" / VIDEO / "frames_cropped" / "00_000000.png", paint(FACE))
    with pytest.raises(InputError, match="two measured frames"):
        VideoHeads(Folder(tmp_path))
