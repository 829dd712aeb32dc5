from __future__ import annotations

import dataclasses
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from mien.checkpoints import Bundle, TrackerNetworks, find_bundle, load_bundle, save_bundle
from mien.errors import BundleError, OutputError
from mien.face3d.motion import arkit_motion_space
from mien.inversion.encoder import Encoder, EncoderConfig
from mien.methods.direction import DirectionConfig, DirectionMatrix
from mien.stylegan2 import Generator, GeneratorConfig
from mien.tracking.closeup import CloseUpConfig, CloseUpNet
from mien.tracking.detector import DetectorConfig, FaceDetector
from mien.tracking.regressor import FaceRegressor, RegressorConfig

CARD = {"licence": "Apache-2.0", "provenance": "random numbers", "quality": {"csim": 0.1}}


@pytest.fixture
def bundle() -> Bundle:
    torch.manual_seed(3)
    generator = Generator(GeneratorConfig(resolution=16, latent_dim=8, style_dim=8, channel_base=64, channel_max=8))
    generator.w_mean.copy_(torch.randn(8) / 3)
    encoder = Encoder(EncoderConfig(resolution=16, channel_base=64, channel_max=8, hidden=8, num_rows=6, style_dim=8))
    ranges = torch.rand(26, 1) * torch.tensor([[-1.0, 1.0]]) + torch.tensor([[-0.1, 0.1]])
    regressor = RegressorConfig(crop_px=16, widths=(4, 4, 4, 4), squeeze=2, hidden=4)
    return Bundle(
        name="tiny",
        generator=generator,
        encoder=encoder,
        directions=DirectionMatrix(DirectionConfig(rows=4, dim=8)),
        motion=arkit_motion_space(ranges),
        truncation=0.7,
        crop="head",
        tracker=TrackerNetworks(FaceDetector(DetectorConfig()), FaceRegressor(regressor)),
        card=CARD,
    )


@pytest.fixture
def folder(bundle, tmp_path) -> Path:
    return save_bundle(bundle, tmp_path / "tiny")


def _rewrite(folder: Path, **changes) -> None:
    header = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**header, **changes}))


def _replace_tensors(folder: Path, part: str, change) -> None:
    """Change the tensors of a part and make the checksum right again."""
    import hashlib

    path = folder / f"{part}.safetensors"
    save_file(change(load_file(path)), path)
    parts = json.loads((folder / "bundle.json").read_text())["parts"]
    parts[part]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    _rewrite(folder, parts=parts)


def test_round_trip(bundle, folder):
    loaded = load_bundle(folder)
    assert (loaded.name, loaded.crop, loaded.truncation, loaded.card) == ("tiny", "head", 0.7, CARD)
    assert loaded.motion.names == bundle.motion.names and torch.equal(loaded.motion.ranges, bundle.motion.ranges)
    assert torch.equal(loaded.motion.encoding, bundle.motion.encoding)
    assert torch.equal(loaded.w_mean, bundle.w_mean)
    for one, other in zip(_networks(loaded), _networks(bundle), strict=True):
        assert one.config == other.config and not one.training
        for name, tensor in other.state_dict().items():
            torch.testing.assert_close(one.state_dict()[name], tensor, rtol=1e-3, atol=1e-3)
        assert all(p.dtype == torch.float32 and not p.requires_grad for p in one.parameters())
    wp = loaded.encoder(torch.zeros(1, 3, 16, 16))
    assert loaded.generator.synthesis(loaded.directions.shift(wp, torch.zeros(1, 26))).shape == (1, 3, 16, 16)


def _networks(bundle: Bundle) -> tuple:
    return bundle.generator, bundle.encoder, bundle.directions, *(n for n in bundle.tracker or () if n is not None)


def test_weights_are_half_precision_on_disk_but_not_what_must_be_exact(folder):
    generator, motion = load_file(folder / "generator.safetensors"), load_file(folder / "motion.safetensors")
    assert {t.dtype for name, t in generator.items() if name != "w_mean"} == {torch.float16}
    assert generator["w_mean"].dtype == torch.float32 and motion["ranges"].dtype == torch.float32


def test_a_bundle_without_tracker(bundle, tmp_path):
    save_bundle(dataclasses.replace(bundle, tracker=None), tmp_path / "b")
    assert load_bundle(tmp_path / "b").tracker is None


def test_close_ups_come_with_a_tracker_or_not_at_all(bundle, folder, tmp_path):
    assert load_bundle(folder).need_tracker().closeup is None and not (folder / "closeup.safetensors").exists()
    closeup = CloseUpNet(CloseUpConfig(mouth_px=16, eye_px=16, widths=(4, 4, 4, 4), squeeze=2, hidden=4))
    closer = dataclasses.replace(bundle, tracker=bundle.need_tracker()._replace(closeup=closeup))
    loaded = load_bundle(save_bundle(closer, tmp_path / "closer"))
    assert loaded.tracker is not None and loaded.tracker.closeup is not None
    assert loaded.tracker.closeup.config == closeup.config and not loaded.tracker.closeup.training
    assert len(_networks(loaded)) == len(_networks(closer)) == len(_networks(bundle)) + 1
    for one, other in zip(_networks(loaded), _networks(closer), strict=True):
        for name, tensor in other.state_dict().items():
            torch.testing.assert_close(one.state_dict()[name], tensor, rtol=1e-3, atol=1e-3)
    for name in ("detector", "regressor"):
        assert (tmp_path / "closer" / f"{name}.safetensors").read_bytes() == (
            folder / f"{name}.safetensors"
        ).read_bytes()
    parts = json.loads((tmp_path / "closer" / "bundle.json").read_text())["parts"]
    _rewrite(tmp_path / "closer", parts={name: part for name, part in parts.items() if name != "regressor"})
    with pytest.raises(BundleError, match="tracker lacks regressor"):
        load_bundle(tmp_path / "closer")
    lonely = {name: part for name, part in parts.items() if name not in ("detector", "regressor")}
    _rewrite(tmp_path / "closer", parts=lonely)
    with pytest.raises(BundleError, match="tracker lacks detector, regressor"):
        load_bundle(tmp_path / "closer")


def test_by_name_through_the_search_folders(folder, monkeypatch):
    monkeypatch.setenv("MIEN_BUNDLES", f"/nowhere:{folder.parent}")
    assert find_bundle("tiny") == folder
    with pytest.raises(BundleError, match=r"known: .*tiny"):
        find_bundle("missing")


def test_saving_again_replaces_but_never_a_foreign_folder(bundle, folder, tmp_path):
    save_bundle(dataclasses.replace(bundle, name="second"), folder)
    assert load_bundle(folder).name == "second" and sorted(p.name for p in tmp_path.iterdir()) == ["tiny"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(OutputError, match="not a bundle"):
        save_bundle(bundle, tmp_path / "mine")


def test_a_failed_save_leaves_nothing(bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.checkpoints.bundle.save_file", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OutputError, match="disk full"):
        save_bundle(bundle, tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def test_pickles_are_refused(folder, tmp_path):
    path = tmp_path / "weights.pt"
    path.write_bytes(pickle.dumps({"g_ema": 1}))
    with pytest.raises(BundleError, match="pickled"):
        load_bundle(path)
    (folder / "encoder.safetensors").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(BundleError, match="sha256"):
        load_bundle(folder)


@pytest.mark.parametrize("cut", [0, 100, -1])
def test_damaged_file(folder, cut):
    path = folder / "generator.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BundleError, match="sha256"):
        load_bundle(folder)


def test_unknown_missing_and_misshapen_tensors_are_named(folder):
    _replace_tensors(folder, "generator", lambda t: {**t, "extra.weight": torch.zeros(2)})
    with pytest.raises(BundleError, match=r"unknown extra\.weight"):
        load_bundle(folder)
    _replace_tensors(folder, "generator", lambda t: {k: v for k, v in t.items() if k not in ("extra.weight", "const")})
    with pytest.raises(BundleError, match="lacks const"):
        load_bundle(folder)
    _replace_tensors(folder, "generator", lambda t: {**t, "const": torch.zeros(1, 2, 4, 4)})
    with pytest.raises(BundleError, match=r"const has shape \(1, 2, 4, 4\)"):
        load_bundle(folder)
    _replace_tensors(folder, "encoder", lambda t: {k: v * float("nan") for k, v in t.items()})
    with pytest.raises(BundleError, match="not finite"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "other"}, "not the header"),
        ({"version": 99}, "version 99"),
        ({"crop": "square"}, "crop kind 'square'"),
        ({"truncation": 7}, "truncation"),
        ({"surprise": 1}, "unknown surprise"),
        ({"parts": {}}, "lacks"),
        ({"coordinates": ["yaw"]}, "motion"),
        ({"coordinates": 7}, "malformed"),
        ({"parts": ["generator"]}, "lacks"),
        ({"card": None}, "malformed"),
        ({"card": {"licence": "", "provenance": "x", "quality": {}}}, "licence"),
    ],
)
def test_header_faults_are_named(folder, changes, message):
    _rewrite(folder, **changes)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        ("generator", "resolution", 17, "power of two"),
        ("generator", "channel_max", 10**9, "out of bounds"),
        ("generator", "colour", 1, "unknown colour"),
        ("encoder", "num_rows", 7, "shape"),
        ("directions", "dim", 4, "shape"),
    ],
)
def test_configuration_faults_are_named(folder, part, field, value, message):
    parts = json.loads((folder / "bundle.json").read_text())["parts"]
    parts[part]["config"][field] = value
    _rewrite(folder, parts=parts)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def test_a_part_cannot_point_elsewhere(folder):
    parts = json.loads((folder / "bundle.json").read_text())["parts"]
    parts["generator"]["file"] = "../generator.safetensors"
    _rewrite(folder, parts=parts)
    with pytest.raises(BundleError, match="must be"):
        load_bundle(folder)


def test_parts_must_fit_each_other(bundle, tmp_path):
    other = DirectionMatrix(DirectionConfig(rows=9, dim=8))
    save_bundle(dataclasses.replace(bundle, directions=other), tmp_path / "b")
    with pytest.raises(BundleError, match="rows moved"):
        load_bundle(tmp_path / "b")


def test_a_header_of_a_million_brackets_is_refused(folder):
    (folder / "bundle.json").write_text("[" * 500_000 + "]" * 500_000)
    with pytest.raises(BundleError, match="not JSON"):
        load_bundle(folder)


def test_the_range_of_training_pictures_travels(bundle, tmp_path):
    assert load_bundle(save_bundle(bundle, tmp_path / "without")).motion.trained is None
    trained = bundle.motion.ranges * 0.9
    motion = dataclasses.replace(bundle.motion, trained=trained)
    folder = save_bundle(dataclasses.replace(bundle, motion=motion), tmp_path / "with")
    assert torch.equal(load_bundle(folder).motion.trained, trained)
    short = dataclasses.replace(bundle, motion=dataclasses.replace(motion, trained=trained[:-1]))
    with pytest.raises(BundleError, match="trained has shape"):
        load_bundle(save_bundle(short, tmp_path / "short"))


def test_the_lean_of_training_pictures_travels_and_is_checked(bundle, tmp_path):
    leaning = dataclasses.replace(bundle, motion=dataclasses.replace(bundle.motion, lean_deg=12.5))
    folder = save_bundle(leaning, tmp_path / "leaning")
    assert load_bundle(folder).motion.lean_deg == 12.5
    for wrong in ("12", True, -1, 181, float("nan"), None):
        parts = json.loads((folder / "bundle.json").read_text())["parts"]
        parts["motion"]["config"] = {"lean_deg": wrong}
        _rewrite(folder, parts=parts)
        with pytest.raises(BundleError, match="lean_deg"):
            load_bundle(folder)
    with pytest.raises(BundleError, match="head crop"):
        dataclasses.replace(leaning, crop="ffhq").check()
    nameless = dataclasses.replace(leaning.motion, names=tuple(f"c{i}" for i in range(len(leaning.motion))))
    unnamed = save_bundle(dataclasses.replace(leaning, motion=nameless), tmp_path / "unnamed")
    with pytest.raises(BundleError, match="three angles"):
        load_bundle(unnamed)
