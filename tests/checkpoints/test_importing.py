"""Importing: tiny networks in published layouts become bundles; what is missing, misplaced or hostile is named."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mien.checkpoints import (
    Bundle,
    TrackerNetworks,
    directions,
    find_bundle,
    load_bundle,
    rosinality,
    save_bundle,
    stylemask,
)
from mien.checkpoints.importing import FAMILIES, ImportPlan, import_bundle
from mien.checkpoints.precision import parts_to_keep_exact
from mien.checkpoints.published import MODELS, listing
from mien.errors import BundleError, CheckpointError, InputError, OutputError
from mien.face3d import deca_motion_space, published_ranges
from mien.inversion import E4eConfig, E4eEncoder, Encoder, EncoderConfig
from mien.methods import DirectionConfig, DirectionMatrix, MaskNetworks, StyleMaskConfig
from mien.stylegan2 import Generator, GeneratorConfig
from mien.tracking import DecaNet, DecaNetConfig
from mien.tracking.closeup import CloseUpConfig, CloseUpNet
from mien.tracking.detector import DetectorConfig, FaceDetector
from mien.tracking.regressor import FaceRegressor, RegressorConfig

TINY_DECA = DecaNetConfig(resolution=32, blocks=(1, 1, 1, 1), width=4, hidden=8)
SMALL = GeneratorConfig(resolution=32, latent_dim=16, style_dim=16, channel_base=256, channel_max=16, mapping_layers=2)
TINY_E4E = E4eConfig(resolution=32, widths=(16, 16, 16, 32), units=(1, 1, 1, 1), num_rows=8, style_dim=16)


class Bomb:
    def __reduce__(self):
        return (Path("/tmp/mien-bomb").write_text, ("boom",))


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(SMALL).requires_grad_(False).eval()


@pytest.fixture
def helper(generator, tmp_path) -> Path:
    """A bundle with our own encoder and tracker, and with no directions."""
    detector = DetectorConfig(widths=(4, 4, 4, 4, 4), merged=4)
    regressor = RegressorConfig(crop_px=16, widths=(4, 4, 4, 4), squeeze=2, hidden=4)
    encoder = EncoderConfig(resolution=32, channel_base=128, channel_max=8, hidden=8, num_rows=8, style_dim=16)
    bundle = Bundle(
        name="helper",
        generator=generator,
        encoder=Encoder(encoder),
        directions=None,
        motion=deca_motion_space(published_ranges("voxceleb")),
        truncation=0.9,
        crop="head",
        tracker=TrackerNetworks(FaceDetector(detector), FaceRegressor(regressor)),
        card={"licence": "helper's", "provenance": "random numbers", "quality": {}},
        deca=DecaNet(TINY_DECA),
    )
    return save_bundle(bundle, tmp_path / "helper")


@pytest.fixture
def files(generator, tmp_path) -> dict[str, str]:
    """Files of a tiny model in the published layouts."""
    widths = tuple(layer.affine.weight.shape[0] for layer in generator.convs)[:5]
    trees = {
        "generator": rosinality.export(generator),
        "directions": directions.export(DirectionMatrix(DirectionConfig(coordinates=15, rows=6, dim=16, bias=True))),
        "masks": stylemask.export(MaskNetworks(StyleMaskConfig(widths=widths))),
    }
    for name, tree in trees.items():
        torch.save(tree, tmp_path / f"{name}.pt")
    return {name: str(tmp_path / f"{name}.pt") for name in trees}


@pytest.fixture
def plan(files, helper) -> ImportPlan:
    return ImportPlan(licence="mine", encoder=str(helper), deca=str(helper), tracker=str(helper), **files)


def test_all_parts_become_one_bundle(plan, files, tmp_path, generator):
    steps = []
    done = import_bundle(plan, "voxceleb", tmp_path / "out", lambda *step: steps.append(step))
    assert done.parts == ("generator", "encoder", "directions", "masks", "deca", "detector", "regressor")
    assert done.notices == () and [step[1] for step in steps] == sorted(step[1] for step in steps)
    bundle = load_bundle(tmp_path / "out")
    assert (bundle.name, bundle.crop, bundle.truncation, bundle.motion.model) == ("out", "voxceleb", 0.7, "deca")
    assert bundle.motion.names[:5] == ("yaw", "pitch", "roll", "jaw_open", "expression_0")
    assert bundle.directions is not None and bundle.directions.config.bias
    assert bundle.sources["generator"].file == "generator.pt" and bundle.sources["generator"].licence == "mine"
    assert bundle.sources["encoder"].file == "helper/encoder.safetensors"
    assert bundle.sources["detector"].licence == "helper's" and len(bundle.sources["detector"].sha256) == 64
    z = torch.randn(1, 16)
    difference = bundle.generator(z).clamp(-1, 1) - generator(z).clamp(-1, 1)
    assert difference.abs().max() <= (1e-5 if "generator" in done.exact else 3 / 255)
    again = import_bundle(replace(plan, encoder=str(tmp_path / "out")), "voxceleb", tmp_path / "out2")
    assert load_bundle(again.folder).sources["encoder"].file == "helper/encoder.safetensors", "the first source stays"


def test_close_ups_are_imported_with_the_tracker(plan, helper, tmp_path):
    bundle = load_bundle(helper)
    closeup = CloseUpNet(CloseUpConfig(mouth_px=16, eye_px=16, widths=(4, 4, 4, 4), squeeze=2, hidden=4))
    closer = replace(bundle, tracker=bundle.need_tracker()._replace(closeup=closeup))
    place = save_bundle(closer, tmp_path / "closer")
    import_bundle(replace(plan, tracker=str(place)), "voxceleb", tmp_path / "out")
    made = load_bundle(tmp_path / "out")
    assert made.need_tracker().closeup is not None
    assert made.sources["closeup"].file == "closer/closeup.safetensors"


def test_half_precision_is_kept_from_what_it_would_change(plan, tmp_path):
    bundle = load_bundle(import_bundle(replace(plan, precision="full"), "voxceleb", tmp_path / "full").folder)
    seen = []
    harmless = parts_to_keep_exact(bundle, seen.append)
    assert seen == ["generator", "encoder", "directions", "masks", "deca"]
    bundle.generator.rgbs[0].weight.mul_(1e6)  # half a step of the weights is now worth many steps of a picture
    assert "generator" in parts_to_keep_exact(bundle) and "generator" not in harmless
    half = import_bundle(replace(plan, precision="half"), "voxceleb", tmp_path / "half")
    sizes = [(folder / "generator.safetensors").stat().st_size for folder in (tmp_path / "full", half.folder)]
    assert sizes[1] < 0.6 * sizes[0] and not half.exact


def test_what_is_missing_is_said_in_words(plan, tmp_path):
    bare = replace(plan, encoder="", masks="", directions="", deca="", tracker="none")
    done = import_bundle(bare, "ffhq", tmp_path / "out")
    assert len(done.notices) == 4 and done.parts == ("generator",)
    text = " ".join(done.notices)
    for word in ("--method stylemask", "mask_network_1024.pt", "A_matrix.pt", "e4e", "mien track", "--tracker avatar"):
        assert word in text
    assert load_bundle(done.folder).missing() == done.notices
    no_deca = load_bundle(import_bundle(replace(plan, deca=""), "voxceleb", tmp_path / "out2").folder)
    assert len(no_deca.missing()) == 2 and all("deca_model.tar" in notice for notice in no_deca.missing())
    ffhq = load_bundle(import_bundle(replace(plan, directions="", deca=""), "ffhq", tmp_path / "out3").folder)
    assert (ffhq.truncation, ffhq.crop, ffhq.motion.model) == (1.0, "ffhq", "arkit")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": "masks"}, "mask networks of StyleMask, given as --generator; it belongs to --masks"),
        ({"masks": "directions"}, "a direction matrix .* given as --masks; it belongs to --directions"),
        ({"deca": "generator"}, "rosinality.* given as --deca; it belongs to --generator"),
    ],
)
def test_a_file_in_the_wrong_place_is_named(plan, files, tmp_path, changes, message):
    wrong = replace(plan, **{part: files[file] for part, file in changes.items()})
    with pytest.raises(CheckpointError, match=message):
        import_bundle(wrong, "voxceleb", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_strange_files_leave_nothing_behind(plan, tmp_path):
    (tmp_path / "bomb.pkl").write_bytes(pickle.dumps({"g_ema": Bomb()}))
    torch.save({"weights": torch.zeros(2), "epoch": 3}, tmp_path / "other.pt")
    torch.save(
        {"input_layer.0.weight": torch.zeros(1), "body.0.res_layer.5.fc1.weight": torch.zeros(1)}
        | {"output_layer.3.weight": torch.zeros(1)},
        tmp_path / "identity.pth",
    )
    (tmp_path / "cut.pt").write_bytes(Path(plan.generator).read_bytes()[:-100])
    cases = {
        "bomb.pkl": "bomb",
        "cut.pt": "cut",
        "other.pt": r"entries of no published layout \('epoch', 'weights'\)",
        "identity.pth": "IR-SE50 identity network.*no bundle holds one",
        "nowhere.pt": "cannot be read",
        "no_such_bundle": "no such file, and no bundle",
    }
    for name, message in cases.items():
        place = name if name == "no_such_bundle" else str(tmp_path / name)
        with pytest.raises(CheckpointError, match=message):
            import_bundle(replace(plan, generator=place), "voxceleb", tmp_path / "out")
    assert not Path("/tmp/mien-bomb").exists()
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_parts_that_do_not_fit_each_other_leave_nothing_behind(plan, tmp_path):
    torch.save(stylemask.export(MaskNetworks(StyleMaskConfig(widths=(16, 9)))), tmp_path / "odd.pt")
    with pytest.raises(BundleError, match=r"widths of masks and styles differ: \(16, 9\)"):
        import_bundle(replace(plan, masks=str(tmp_path / "odd.pt")), "voxceleb", tmp_path / "out")
    torch.save(directions.export(DirectionMatrix(DirectionConfig(coordinates=15, rows=9, dim=16))), tmp_path / "a.pt")
    with pytest.raises(BundleError, match="rows moved"):
        import_bundle(replace(plan, directions=str(tmp_path / "a.pt")), "voxceleb", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": ""}, "--generator"),
        ({"licence": " "}, "--licence"),
        ({"crop": "oval"}, "unknown crop"),
        ({"truncation": 1.5}, "truncation"),
        ({"ranges": "mine"}, "unknown ranges"),
    ],
)
def test_plans_that_make_no_sense(plan, tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        import_bundle(replace(plan, **changes), "ffhq", tmp_path / "out")


def test_parts_need_their_frame_or_a_bundle_that_knows_it(plan, helper, tmp_path):
    with pytest.raises(InputError, match="--crop"):
        import_bundle(plan, "parts", tmp_path / "out")
    done = import_bundle(replace(plan, generator=str(helper)), "parts", tmp_path / "out")
    assert (load_bundle(done.folder).crop, load_bundle(done.folder).truncation) == ("head", 0.9)
    with pytest.raises(BundleError, match="has no direction matrix"):
        import_bundle(replace(plan, directions=str(helper)), "voxceleb", tmp_path / "out2")
    with pytest.raises(InputError, match="unknown family"):
        import_bundle(plan, "celeba", tmp_path / "out2")


def test_a_foreign_folder_is_refused_before_anything_is_read(plan, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").touch()
    with pytest.raises(OutputError, match="not a bundle"):
        import_bundle(replace(plan, generator="unread.pt"), "voxceleb", tmp_path / "thesis")
    with pytest.raises(OutputError, match="a file"):
        import_bundle(replace(plan, generator="unread.pt"), "voxceleb", Path(plan.masks))


def test_another_encoder_is_stored_with_its_kind(generator, helper, tmp_path):
    bundle = replace(load_bundle(helper), encoder=E4eEncoder(TINY_E4E).eval())
    folder = save_bundle(bundle, tmp_path / "e4e", exact=("encoder",))
    header = json.loads((folder / "bundle.json").read_text())
    assert header["parts"]["encoder"]["kind"] == "e4e" and "kind" not in header["parts"]["generator"]
    assert header["parts"]["motion"]["config"] == {"model": "deca"}
    loaded, picture = load_bundle(folder), torch.rand(1, 3, 32, 32)
    assert isinstance(loaded.encoder, E4eEncoder) and bundle.encoder is not None
    torch.testing.assert_close(loaded.encoder(picture), bundle.encoder(picture), atol=1e-6, rtol=1e-6)
    assert loaded.motion.model == "deca"
    for path, change, message in (
        (("encoder", "kind"), "psp", "unknown kind 'psp'; known: none, e4e"),
        (("motion", "config"), {"model": "blendshapes"}, "unknown model"),
        (("generator", "source"), {"file": "x"}, "lacks"),
    ):
        changed = json.loads(json.dumps(header))
        changed["parts"][path[0]][path[1]] = change
        (folder / "bundle.json").write_text(json.dumps(changed))
        with pytest.raises(BundleError, match=message):
            load_bundle(folder)


def test_an_unchanged_bundle_is_written_as_it_was(samples, tmp_path):
    """Optional parts, kinds and sources leave the files of a bundle without them as they were, byte for byte."""
    old = find_bundle("avatar")
    new = save_bundle(load_bundle(old), tmp_path / "avatar")
    assert {f.name: f.read_bytes() for f in new.iterdir()} == {f.name: f.read_bytes() for f in old.iterdir()}


def test_the_list_names_every_file_option_and_origin():
    text = listing()
    for model in MODELS:
        assert model.family in ("", *FAMILIES)
        for file in model.files:
            assert {file.file in text, file.origin in text, file.terms in text} == {True}
            assert file.origin.startswith("https://") and file.terms
            assert file.option.removeprefix("--") in ("", *ImportPlan.__dataclass_fields__)
