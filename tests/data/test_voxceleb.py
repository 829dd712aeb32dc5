"""Sets of others are read by name, whatever lies beside them; damage is told."""

import json

import numpy as np
import pytest
import torch
from painted_people import VIDEO, paint

from mien.data.labels import ChunkLabels, read_labels, write_labels
from mien.data.voxceleb import Folder, chunk_name, frame_file
from mien.errors import InputError
from mien.face3d import FaceParams
from mien.images import write_image


@pytest.fixture
def authors(tmp_path):
    """A set as the authors' tools leave it: more codes than frames and the other way round, hidden and other files."""
    video = tmp_path / "id10271" / VIDEO
    (video / "frames_cropped").mkdir(parents=True)
    (video / "frames").mkdir()
    (video / "inversion" / "latent_codes").mkdir(parents=True)
    for number, name in enumerate(("10_000000", "01_000100", "01_000025", "00_000000")):
        write_image(video / "frames_cropped" / f"{name}.png", paint(number=number)[:16, :16])
        write_image(video / "frames" / f"{name}.png", paint())
    (video / "frames_cropped" / ".01_000000.png").touch()
    (video / "frames_cropped" / "notes.txt").touch()
    for number, name in enumerate(("10_000000", "01_000025", "00_000000", "00_000025")):
        code = np.full((14, 512), number, np.float32)
        np.save(video / "inversion" / "latent_codes" / f"{name}.npy", code[None] if number % 2 else code)
    (tmp_path / ".hidden" / VIDEO / "frames_cropped").mkdir(parents=True)
    (tmp_path / "id10272").mkdir()
    return tmp_path


def test_frames_and_codes_belong_together_by_name(authors):
    (video,) = Folder(authors)
    assert [frame.name for frame in video.frames] == ["00_000000", "01_000025", "01_000100", "10_000000"]
    assert [(frame.chunk, frame.number) for frame in video.frames][1] == ("01", 25)
    coded = [video.frames[i] for i in (0, 1, 3)]
    codes = video.latents(coded)
    assert codes.shape == (3, 14, 512) and codes[:, 0, 0].tolist() == [2, 1, 0]
    with pytest.raises(InputError, match="01_000100"):
        video.latents()
    assert len(video.images()) == 4 and not video.params().valid.any()


def test_no_set(tmp_path, authors):
    for place in (tmp_path / "none", authors / "id10272"):
        with pytest.raises(InputError, match="no prepared videos"):
            Folder(place)
    (authors / "prepared.json").write_text("[]")
    with pytest.raises(InputError, match="not the header"):
        Folder(authors)
    (authors / "prepared.json").write_text(json.dumps({"kind": "mien-voxceleb", "version": 9}))
    with pytest.raises(InputError, match="another version"):
        Folder(authors)


@pytest.mark.parametrize("content", [b"", b"no", np.arange(3)])
def test_damaged_codes_are_told(authors, content):
    path = authors / "id10271" / VIDEO / "inversion" / "latent_codes" / "00_000000.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    (video,) = Folder(authors)
    with pytest.raises(InputError, match="latent code"):
        video.latents(video.frames[:1])


def test_names():
    from pathlib import Path

    assert chunk_name(Path(f"{VIDEO}#00001#257-396.mp4")) == "00001" and chunk_name(Path("abc.mp4")) == "abc"
    assert frame_file(Path("a_b_000007.png")).chunk == "a_b" and frame_file(Path("portrait.png")).chunk == "portrait"


@pytest.mark.parametrize("model", ["arkit", "deca"])
def test_labels_come_back(tmp_path, model):
    faces = FaceParams.invalid(2, model)
    params = FaceParams(
        faces.angles + 1, faces.expression + 2, faces.landmarks + 3, ~faces.valid, faces.score, model=model
    )
    labels = ChunkLabels(("a", "b"), params, np.arange(12.0).reshape(2, 2, 3), np.array([5, 6]), 9, True)
    write_labels(tmp_path / "new" / "c.npz", labels)
    back = read_labels(tmp_path / "new" / "c.npz")
    assert back.names == labels.names and back.params.model == model and back.num_looked_at == 9 and back.is_adopted
    assert torch.equal(back.params.landmarks, params.landmarks) and np.array_equal(back.matrices, labels.matrices)
    assert back.sides.tolist() == [5, 6] and back.params.valid.all()
    data = (tmp_path / "new" / "c.npz").read_bytes()
    (tmp_path / "torn.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match="delete it"):
        read_labels(tmp_path / "torn.npz")
