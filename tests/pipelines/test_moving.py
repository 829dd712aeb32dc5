"""Methods and what they need: StyleMask against its parts, tuning, and bundles that lack something."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.errors import BundleError, ImageError, InputError
from mien.face3d import deca_motion_space, published_ranges
from mien.images import read_image, to_tensor, to_uint8, write_image
from mien.inversion import Encoder, TuningConfig
from mien.methods import DirectionConfig, DirectionMatrix
from mien.pipelines import EditOptions, Reenactor, edit_photo
from mien.pipelines.moving import bundle_tracker, choose_method, landmarker_of, mix_styles
from mien.tracking import CropSmoother, DecaNet, DecaNetConfig, DecaTracker, Smoothing, follow


@pytest.fixture
def mixing(fakes) -> Reenactor:
    """A model with mask networks and without directions."""
    bundle = replace(fakes.random_bundle(), directions=None, masks=fakes.random_masks(), truncation=0.8)
    return Reenactor(bundle, tracker=fakes.PaintedTracker())


@pytest.fixture
def source(fakes):
    return fakes.paint((40, 32), smile=0.2)


@pytest.fixture
def driver(fakes):
    return fakes.paint((20, 45), smile=0.9)


def test_stylemask_mixes_the_styles_of_two_inversions(mixing, source, driver):
    identity, target = mixing.identify(source), mixing.identify(driver)
    generator, masks = mixing.bundle.generator, mixing.bundle.masks
    ours, theirs = (generator.styles(generator.truncate(one.code, 0.8)) for one in (identity, target))
    expected = to_uint8(generator.synthesis(masks.mix(ours, theirs)))[0]
    driven = mixing.drive(identity, driver)
    assert np.array_equal(driven, expected) and np.array_equal(
        mixing.drive(identity, driver, method="stylemask"), driven
    )
    still = to_uint8(generator.synthesis(ours))[0]
    assert np.array_equal(mixing.drive(identity, driver, 0.0), still) and np.abs(driven.astype(int) - still).max() > 1
    half = mixing.drive(identity, driver, {"all": 0.5})
    assert not np.array_equal(half, driven) and not np.array_equal(half, still)


@pytest.mark.parametrize("batch", [1, 3])
def test_stylemask_streams_each_frame_as_it_is_tracked(mixing, fakes, source, batch):
    identity = mixing.identify(source)
    frames = [fakes.paint((40, 32), smile=i / 4) if i != 2 else fakes.paint() for i in range(5)]
    stream = mixing.stream(identity, frames, batch=batch, smoothing=None)
    pictures = list(stream)
    assert stream.num_missing == 1 and np.array_equal(pictures[2], pictures[1])
    followed = list(follow(mixing.tracker, frames, batch=batch))
    for i in (0, 1, 3, 4):
        alone = mixing.swap(identity, [frames[i]], followed[i])[0]
        assert np.abs(pictures[i].astype(int) - alone).max() <= 1
    assert not np.array_equal(pictures[0], pictures[4])


@pytest.mark.parametrize("batch", [1, 3])
def test_stylemask_frames_a_moving_driver_smoothly(mixing, fakes, source, batch, monkeypatch):
    """The crop follows the face through a One-Euro filter, over a lost frame too, whatever the batches."""
    cut, swap = [], mixing.swap
    monkeypatch.setattr(mixing, "swap", lambda *given: cut.extend(given[4]) or swap(*given))
    frames = [fakes.paint((40 + 2 * (i % 2), 32), smile=0.5) if i != 2 else fakes.paint() for i in range(6)]
    list(mixing.stream(mixing.identify(source), frames, batch=batch))
    smoother, faces = CropSmoother(Smoothing()), list(follow(mixing.tracker, frames, batch=batch))
    seen = {i: mixing.frame(faces[i])[0] for i in (0, 1, 3, 4, 5)}
    for found, (i, crop) in zip(cut, seen.items(), strict=True):
        np.testing.assert_allclose(found.matrix, smoother(crop, i / 25).matrix, atol=1e-9)
    assert np.abs(cut[-1].matrix - seen[5].matrix).max() > 0.01


def test_what_stylemask_cannot_do_is_said(mixing, source, driver):
    identity = mixing.identify(source)
    with pytest.raises(InputError, match="parameters"):
        mixing.drive(identity, identity.params)
    with pytest.raises(InputError, match="relative"):
        mixing.drive(identity, driver, reference=identity.params)
    with pytest.raises(InputError, match="groups"):
        mixing.drive(identity, driver, {"mouth": 0.5})
    with pytest.raises(InputError, match="outside"):
        mixing.stream(identity, [driver], strength=4.0)
    with pytest.raises(InputError, match="relative"):
        mixing.stream(identity, [driver], relative=True)
    with pytest.raises(ImageError):
        mixing.drive(identity, driver[..., 0])
    with pytest.raises(InputError, match="unknown method 'warping'"):
        mixing.stream(identity, [driver], method="warping")


@pytest.fixture
def complete(fakes) -> Reenactor:
    """A model with directions, which its encoder leaves the pose to, and mask networks."""
    bundle = fakes.random_bundle()
    torch.manual_seed(1)
    config = replace(bundle.encoder.config, pose_free=True)
    encoder = Encoder(config).requires_grad_(False).eval()
    bundle = replace(bundle, encoder=encoder, masks=fakes.random_masks(), truncation=0.8)
    return Reenactor(bundle, tracker=fakes.PaintedTracker())


def test_a_pose_free_driver_brings_the_pose_that_the_tracker_saw(complete, source, driver):
    identity, bundle = complete.identify(source), complete.bundle
    face = complete.identify(driver)
    with torch.no_grad():
        target = bundle.encoder(to_tensor(face.image)) + bundle.directions(face.coordinates)
    expected = to_uint8(bundle.generator.synthesis(mix_styles(bundle, identity.code, target)))[0]
    driven = complete.drive(identity, driver, method="stylemask")
    assert np.abs(driven.astype(int) - expected).max() <= 1
    (streamed,) = complete.stream(identity, [driver], method="stylemask", smoothing=None)
    assert np.abs(streamed.astype(int) - driven).max() <= 1
    assert not np.array_equal(driven, complete.drive(identity, driver)), "directions are the method where none is named"


def test_edits_pass_through_the_masks(complete, source, driver, tmp_path):
    identity, bundle = complete.identify(source), complete.bundle
    edited = complete.edit(identity, method="stylemask", yaw=20.0, mouth_smile=0.9)
    change = complete.edit_change(identity, {"yaw": 20.0, "mouth_smile": 0.9})
    moved = mix_styles(bundle, identity.code, bundle.directions.shift(identity.code, change))
    assert np.abs(edited.astype(int) - to_uint8(bundle.generator.synthesis(moved))[0]).max() <= 1
    still = complete.render(identity, torch.zeros(1, 26), "stylemask")
    assert np.array_equal(still, complete.render(identity, torch.zeros(1, 26)))
    assert not np.array_equal(edited, complete.edit(identity, yaw=20.0, mouth_smile=0.9))
    write_image(tmp_path / "source.png", source)
    options = EditOptions(method="stylemask", verify=False)
    edit_photo(complete, tmp_path / "source.png", tmp_path / "out.png", {"yaw": (20.0, 20.0)}, options)
    expected = complete.edit(identity, method="stylemask", yaw=20.0)
    assert np.array_equal(read_image(tmp_path / "out.png"), expected)


def test_the_number_of_layers_is_a_setting(complete, source, driver):
    identity = complete.identify(source)
    pictures = [complete.drive(identity, driver, method="stylemask")]
    pictures += [complete.with_mask_layers(n).drive(identity, driver, method="stylemask") for n in (3, 1)]
    assert np.array_equal(pictures[0], pictures[1]) and not np.array_equal(pictures[0], pictures[2])
    assert len(complete.bundle.masks.networks) == 3, "the model itself stays as it is"
    with pytest.raises(InputError, match="these networks know 3"):
        complete.with_mask_layers(4)


def test_missing_parts_are_named_when_they_are_needed(mixing, fakes, model, source, driver):
    identity = mixing.identify(source)
    for action in (
        lambda: mixing.edit(identity, yaw=10.0),
        lambda: mixing.drive(identity, driver, method="directions"),
        lambda: mixing.render(identity, torch.zeros(1, 26)),
        lambda: mixing.edit(identity, method="stylemask", yaw=10.0),
        lambda: mixing.render(identity, torch.zeros(1, 26), "stylemask"),
    ):
        with pytest.raises(BundleError, match=r"tiny has no direction matrix; .*A_matrix\.pt"):
            action()
    with pytest.raises(BundleError, match="no mask networks"):
        model.stream(model.identify(source), [driver], method="stylemask")
    blind = Reenactor(replace(fakes.random_bundle(), encoder=None), tracker=fakes.PaintedTracker())
    with pytest.raises(BundleError, match="no inversion encoder"):
        blind.identify(source)
    assert choose_method(model.bundle) == "directions" and choose_method(mixing.bundle) == "stylemask"
    assert len(mixing.bundle.missing()) == 4 and "mien edit" in mixing.bundle.missing()[2]


def test_coordinates_that_nobody_measures(fakes, source, driver):
    """A bundle of DECA's coordinates without DECA can invert a source, but not move it."""
    matrix = DirectionMatrix(DirectionConfig(coordinates=15, rows=6, dim=8)).requires_grad_(False)
    bundle = replace(fakes.random_bundle(), directions=matrix, motion=deca_motion_space(published_ranges("voxceleb")))
    model = Reenactor(bundle, tracker=fakes.PaintedTracker())
    identity = model.identify(source)
    assert identity.coordinates is None and identity.code.shape == (1, 6, 8)
    for action in (
        lambda: model.edit(identity, yaw=10.0),
        lambda: model.drive(identity, driver),
        lambda: model.stream(identity, [driver]),
    ):
        with pytest.raises(BundleError, match=r"no DECA network.*deca_model\.tar"):
            action()
    net = DecaNet(DecaNetConfig(resolution=32, blocks=(1, 1, 1, 1), width=4, hidden=8))
    with_net = replace(bundle, deca=net)
    with pytest.raises(InputError, match="measures deca parameters"):
        Reenactor(with_net, tracker=fakes.PaintedTracker()).edit(identity, yaw=10.0)
    painted = fakes.PaintedTracker()
    tracker = bundle_tracker(with_net, "cpu", painted)
    assert isinstance(tracker, DecaTracker) and landmarker_of(tracker) is painted
    assert bundle_tracker(fakes.random_bundle(), "cpu", painted) is painted
    measured = Reenactor(with_net, tracker=tracker)
    assert measured.identify(source).params.model == "deca"
    assert measured.drive(measured.identify(source), driver).shape == (fakes.SIZE, fakes.SIZE, 3)


def test_tuning_gives_a_new_model_that_draws_the_source(model, source):
    identity = model.identify(source)
    before = {name: value.clone() for name, value in model.bundle.generator.state_dict().items()}
    steps = []
    config = TuningConfig(steps=20, learning_rate=0.02, from_resolution=4)
    tuned = model.tune(identity, config, lambda done, total: steps.append((done, total)))
    assert steps == [(i, 20) for i in range(1, 21)]
    assert all(torch.equal(before[name], value) for name, value in model.bundle.generator.state_dict().items())
    assert tuned.bundle.encoder is model.bundle.encoder and tuned.tracker is model.tracker
    wanted = to_tensor(identity.image)
    errors = [float((to_tensor(m.drive(identity, source)) - wanted).square().mean()) for m in (model, tuned)]
    assert errors[1] < 0.7 * errors[0]
    with pytest.raises(InputError, match="no styled convolution"):
        model.tune(identity)
