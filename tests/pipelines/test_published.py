"""The published models end to end: files in the authors' layouts and sizes, imported, then driven and edited.

The weights are the deterministic ones of the golden numbers, so the pictures mean nothing; but every number of the path
must be what the parts, each proven against the authors' code, give when they are called one by one.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import golden_rule
import numpy as np
import pytest
import torch

from mien.apps.cli import main
from mien.checkpoints import deca as deca_layout
from mien.checkpoints import directions as directions_layout
from mien.checkpoints import e4e as e4e_layout
from mien.checkpoints import rosinality, stylemask
from mien.checkpoints.renaming import filter_kernel
from mien.errors import BundleError, InputError
from mien.face3d.params import EXPRESSION_NAMES
from mien.images import read_image, to_tensor, to_uint8, write_image
from mien.pipelines import Reenactor, load
from mien.tracking import DecaTracker

pytestmark = pytest.mark.parity
LICENCE = "random numbers by a rule; nobody's weights"


def _generator(numbers, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = [str(key) for key in numbers["in_keys"]]
    return tensors | {name: filter_kernel(4.0) for name in names if name.endswith("kernel")}


def _encoder(golden) -> dict[str, torch.Tensor]:
    return golden_rule.state_dict(golden("e4e_256"), raw=False, raw_keys=r"styles\.\d+\.linear\.weight")


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Iterator[Path]:
    """A folder of a few GB that does not outlive the module."""
    folder = tmp_path_factory.mktemp("published")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def voxceleb(golden, room) -> dict[str, dict]:
    """What the four files of the Directions model hold; the files themselves lie in `room`."""
    numbers = golden("stylegan2_rosinality_256")
    matrix = golden_rule.state_dict(golden("directions"), raw=False)
    mean = torch.from_numpy(golden("pti")["in_mean_latent"])
    trees = {
        "stylegan-voxceleb.pt": {
            "g_ema": _generator(numbers, golden_rule.state_dict(numbers, raw=True)),
            "latent_avg": mean,
        },
        "e4e-voxceleb.pt": {"e": _encoder(golden)},
        "A_matrix.pt": {
            "A_matrix": matrix,
            "learned_directions": 15,
            "shift_scale": 6,
            "w_plus": True,
            "num_layers_shift": 8,
            "step": 100000,
        },
        "deca_model.tar": {
            "E_flame": golden_rule.state_dict(golden("deca_flame"), raw=False, part="in_encoder_"),
            "E_detail": {},
            "D_detail": {},
        },
    }
    for name, tree in trees.items():
        torch.save(tree, room / name)
    return trees


@pytest.fixture(scope="module")
def model(voxceleb, room, samples) -> Reenactor:
    """The imported Directions model; single precision, so that numbers can be compared."""
    words = ["import", "voxceleb", str(room / "vox"), "--licence", LICENCE, "--precision", "full"]
    options = {"generator": "stylegan-voxceleb.pt", "encoder": "e4e-voxceleb.pt", "directions": "A_matrix.pt"}
    for option, file in (options | {"deca": "deca_model.tar"}).items():
        words += [f"--{option}", str(room / file)]
    assert main(words) == 0
    return load(room / "vox", device="cpu")


@torch.no_grad()
def test_directions_are_the_parts_called_one_by_one(model, voxceleb, samples):
    source, driver = (read_image(samples / f"source_{i}.jpg") for i in (1, 2))
    identity = model.identify(source)
    assert isinstance(model.tracker, DecaTracker) and identity.params.model == "deca"
    assert identity.image.shape == (256, 256, 3)

    generator = rosinality.convert(voxceleb["stylegan-voxceleb.pt"])
    encoder = e4e_layout.convert(voxceleb["e4e-voxceleb.pt"])
    matrix = directions_layout.convert(voxceleb["A_matrix.pt"])
    space = directions_layout.motion_space(voxceleb["A_matrix.pt"], "voxceleb")
    tracker = DecaTracker(deca_layout.convert(voxceleb["deca_model.tar"]), model.tracker.landmarker)
    code = encoder(to_tensor(identity.image))
    torch.testing.assert_close(identity.code, code, rtol=1e-4, atol=1e-4 * float(code.abs().max()))
    params = [tracker.estimate([picture], tracker.find(picture)[:1]) for picture in (source, driver)]
    q_source, q_driver = (space.encode(p) for p in params)
    torch.testing.assert_close(identity.coordinates, q_source, rtol=1e-4, atol=1e-3)

    change = model.change(identity, model.measure(driver))
    torch.testing.assert_close(change, q_driver - q_source, rtol=1e-4, atol=1e-3)  # published directions do not clamp
    moved = matrix.shift(code, change)
    assert torch.equal(moved[:, 8:], code[:, 8:])
    expected = generator.synthesis(generator.w_mean + 0.7 * (moved - generator.w_mean))
    assert torch.isfinite(expected).all()
    driven = model.drive(identity, driver)
    assert driven.shape == (256, 256, 3) and driven.std() > 10
    assert np.abs(driven.astype(int) - to_uint8(expected)[0]).max() <= 1
    assert np.array_equal(next(model.stream(identity, [driver])), driven)


@torch.no_grad()
def test_editing_keeps_the_published_bias(model, samples):
    """Published matrices have a bias: no change asked for is not the unmoved source."""
    identity = model.identify(read_image(samples / "source_1.jpg"))
    bundle = model.bundle
    still = model.edit(identity)
    biased = bundle.directions.shift(identity.code, torch.zeros(1, 15))
    expected = to_uint8(bundle.generator.synthesis(bundle.generator.truncate(biased, 0.7)))[0]
    unmoved = to_uint8(bundle.generator.synthesis(bundle.generator.truncate(identity.code, 0.7)))[0]
    assert np.abs(still.astype(int) - expected).max() <= 1 and np.abs(still.astype(int) - unmoved).max() > 3
    turned = model.edit(identity, yaw=20.0, expression_3=0.5)
    assert np.abs(turned.astype(int) - still).max() > 3
    with pytest.raises(InputError, match=r"mouth_smile.*known: yaw, pitch, roll, jaw_open, expression_0"):
        model.edit(identity, mouth_smile=1.0)


@pytest.fixture
def loaded(model, monkeypatch) -> list[str]:
    """`mien` loads the model that is there already, which saves reading a GB again; the list has what was asked for."""
    asked: list[str] = []
    monkeypatch.setattr("mien.pipelines.load", lambda place, *_: asked.append(place) or model)
    return asked


def test_methods_that_have_no_network_are_refused_before_any_work(model, loaded, samples, room, capsys):
    with pytest.raises(BundleError, match=r"no mask networks; .*mask_network_1024\.pt"):
        model.drive(None, None, method="stylemask")
    out = room / "out.png"
    pictures = [str(samples / "source_1.jpg"), str(samples / "source_2.jpg")]
    assert main(["reenact", *pictures, "-o", str(out), "--bundle", str(room / "vox"), "--method", "stylemask"]) == 2
    assert not out.exists() and "mask_network_1024.pt" in capsys.readouterr().err


def test_commands_take_the_imported_bundle(loaded, samples, room):
    pictures = [str(samples / "source_1.jpg"), str(samples / "source_2.jpg")]
    where = ["--bundle", str(room / "vox"), "--device", "cpu"]
    assert main(["edit", pictures[0], "-o", str(room / "edited.png"), "--expression-0", "1.5", *where]) == 0
    assert main(["reenact", *pictures, "-o", str(room / "driven.png"), "--method", "directions", *where]) == 0
    assert read_image(room / "edited.png").shape == read_image(room / "driven.png").shape == (256, 256, 3)
    assert loaded == [str(room / "vox")] * 2
    with av.open(str(room / "bob.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=25, width=256, height=256, pix_fmt="yuv420p")
        frame = av.VideoFrame.from_ndarray(cv2.resize(read_image(pictures[0]), (256, 256)), format="rgb24")
        file.mux([packet for picture in (frame, frame, None) for packet in stream.encode(picture)])
    assert main(["track", str(room / "bob.mp4"), "-o", str(room / "bob.npz"), *where]) == 0
    with np.load(room / "bob.npz") as tracked:
        assert tracked["valid"].all() and tracked["expression"].shape == (2, 51)
        assert tuple(tracked["expression_names"]) == EXPRESSION_NAMES["deca"]


@pytest.mark.slow
@torch.no_grad()
def test_stylemask_is_the_parts_called_one_by_one(golden, room, samples):
    numbers = golden("stylegan2_rosinality_1024")
    generator_tree = {"g_ema": _generator(numbers, golden_rule.state_dict(numbers, raw=True))}
    encoder = _encoder(golden)
    rows = {key: value for key, value in encoder.items() if key.startswith("styles.13.")}
    grown = {key.replace("styles.13.", f"styles.{row}."): v for key, v in rows.items() for row in range(14, 18)}
    state = {f"encoder.{key}": value for key, value in (encoder | grown).items()}
    state |= {f"decoder.{key}": value for key, value in generator_tree["g_ema"].items()}
    mean = torch.from_numpy(golden("pti")["in_mean_latent"]).expand(18, 512).clone()
    encoder_tree = {"opts": {"encoder_type": "Encoder4Editing"}, "state_dict": state, "latent_avg": mean}
    masks_tree = {"mask_net": golden_rule.state_dict(numbers, raw=False, part="in_mask_"), "num_layers_control": 12}
    trees = {"generator": generator_tree, "encoder": encoder_tree, "masks": masks_tree | {"step": 1}}
    words = ["import", "ffhq", str(room / "ffhq"), "--licence", LICENCE, "--precision", "full"]
    for option, tree in trees.items():
        torch.save(tree, room / f"{option}.pt")
        words += [f"--{option}", str(room / f"{option}.pt")]
    assert main(words) == 0

    model = load(room / "ffhq", device="cpu")
    assert len(model.bundle.missing()) == 2 and model.bundle.truncation == 1.0 and model.bundle.crop == "ffhq"
    source, driver = (read_image(samples / f"source_{i}.jpg") for i in (1, 2))
    identity, target = model.identify(source), model.identify(driver)
    generator, masks = rosinality.convert(generator_tree), stylemask.convert(masks_tree)
    codes = e4e_layout.convert(encoder_tree)(torch.cat([to_tensor(one.image) for one in (identity, target)]))
    torch.testing.assert_close(identity.code, codes[:1], rtol=1e-4, atol=1e-4 * float(codes.abs().max()))
    mixed = masks.mix(generator.styles(codes[:1]), generator.styles(codes[1:]))
    expected = to_uint8(generator.synthesis(mixed))[0]
    driven = model.drive(identity, driver)
    assert driven.shape == (1024, 1024, 3) and driven.std() > 10
    assert np.abs(driven.astype(int) - expected).max() <= 1
    with pytest.raises(BundleError, match=r"no direction matrix; .*A_matrix\.pt"):
        model.edit(identity, yaw=10.0)
    with pytest.raises(InputError, match="parameters"):
        model.drive(identity, identity.params)
    for options in ({"strength": {"pose": 0.5}}, {"relative": True}):
        with pytest.raises(InputError, match="directions"):
            model.stream(identity, [driver], **options)
    write_image(room / "mixed.png", driven)
