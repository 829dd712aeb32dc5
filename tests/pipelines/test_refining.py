"""One-shot: features refined once per source, carried along in every frame, and refused where they are not there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.checkpoints import load_bundle, save_bundle
from mien.errors import BundleError, InputError, NoFaceError
from mien.images import to_tensor, to_uint8, write_image
from mien.inversion import FeatureConfig, FeatureRefiner, TuningConfig, copying, feature_config
from mien.methods.direction import move_code
from mien.pipelines import EditOptions, Reenactor, VideoOptions, edit_photo, reenact_video
from mien.pipelines.baselines import baseline_model
from mien.pipelines.contestant import BundleDriver
from mien.pipelines.moving import check_tuning, choose_method, mix_styles, mixed_motion


def refiner_for(generator, seed: int = 1) -> FeatureRefiner:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = FeatureRefiner(feature_config(generator.config, 8, width=8)).requires_grad_(False).eval()
        made.encoder.write.weight.normal_()
        made.transformer.write.weight.normal_(std=3)
    return made


@pytest.fixture
def refining(fakes) -> Reenactor:
    """A model whose feature networks do something."""
    bundle = fakes.random_bundle()
    bundle = replace(bundle, feature=refiner_for(bundle.generator), truncation=0.8)
    return Reenactor(bundle, tracker=fakes.PaintedTracker())


@pytest.fixture
def source(fakes):
    return fakes.paint((40, 32), smile=0.2)


@pytest.fixture
def driver(fakes):
    return fakes.paint((20, 45), smile=0.9)


def test_a_source_at_rest_is_the_inversion_with_its_features_refined(refining, source):
    identity, bundle = refining.identify(source), refining.bundle
    still = refining.render(identity, torch.zeros(1, 26), "one-shot")
    code = bundle.generator.truncate(identity.code, 0.8)
    trace = bundle.feature.reading()
    inversion = bundle.generator.synthesis(code, trace=trace)
    shift = bundle.feature.find(to_tensor(identity.image), inversion, bundle.feature.kept(trace))
    expected = to_uint8(bundle.generator.synthesis(code, trace=bundle.feature.at_rest(shift.delta)))
    assert np.abs(still.astype(int) - expected).max() <= 1
    assert not np.array_equal(still, refining.render(identity, torch.zeros(1, 26), "directions"))
    assert np.array_equal(still, refining.render(identity, torch.zeros(1, 26))), "refined where the bundle can"


def test_moved_frames_take_what_the_transformer_makes_of_the_shift(refining, source, driver):
    identity, bundle = refining.identify(source), refining.bundle
    change = refining.change(identity, refining.measure(driver))
    moved = move_code(bundle.directions, identity.code, change, bundle.generator.centre, 0.8)
    expected = to_uint8(bundle.generator.synthesis(moved, trace=bundle.feature.moving(identity.shift)))[0]
    assert np.array_equal(refining.drive(identity, driver, method="one-shot"), expected)
    assert not np.array_equal(refining.drive(identity, driver, method="directions"), expected)
    copied = Reenactor(replace(bundle, feature=copying(bundle.feature)), tracker=refining.tracker)
    assert not np.array_equal(copied.drive(identity, driver, method="one-shot"), expected)


def test_streams_edits_and_contests_draw_what_drive_draws(refining, fakes, source):
    identity = refining.identify(source)
    frames = [fakes.paint((40, 32), smile=i / 3) for i in range(4)]
    streamed = list(refining.stream(identity, frames, batch=3, method="one-shot", smoothing=None))
    for frame, picture in zip(frames, streamed, strict=True):
        alone = refining.drive(identity, frame, method="one-shot")
        assert np.abs(picture.astype(int) - alone).max() <= 1
    contestant = BundleDriver(refining, method="one-shot", batch=3)
    for one, other in zip(contestant.reenact(source, frames), streamed, strict=True):
        assert one is not None and np.abs(one.astype(int) - other).max() <= 1
    edited = refining.edit(identity, method="one-shot", yaw=20.0)
    assert np.array_equal(contestant.edit(source, "yaw", [20.0])[0], edited)
    assert not np.array_equal(refining.edit(identity, method="directions", yaw=20.0), edited)


@pytest.fixture
def mixing(refining, fakes) -> Reenactor:
    """The same with mask networks that do something."""
    return Reenactor(replace(refining.bundle, masks=fakes.random_masks()), tracker=refining.tracker)


def test_mixed_styles_are_refined_like_moved_codes(mixing, fakes, source, driver):
    identity, bundle, method = mixing.identify(source), mixing.bundle, "stylemask-refined"
    mixed = mix_styles(bundle, identity.code, mixing.identify(driver).code)
    expected = to_uint8(bundle.generator.synthesis(mixed, trace=bundle.feature.moving(identity.shift)))[0]
    driven = mixing.drive(identity, driver, method=method)
    assert np.abs(driven.astype(int) - expected).max() <= 1
    assert not np.array_equal(driven, mixing.drive(identity, driver, method="stylemask"))
    (streamed,) = mixing.stream(identity, [driver], method=method, smoothing=None)
    (contested,) = BundleDriver(mixing, method=method).reenact(source, [driver])
    for other in (streamed, contested):
        assert np.abs(other.astype(int) - driven).max() <= 1
    edited = mixing.edit(identity, method=method, yaw=20.0)
    moved = mixed_motion(bundle, identity.code, mixing.edit_change(identity, {"yaw": 20.0}))
    expected = to_uint8(bundle.generator.synthesis(moved, trace=bundle.feature.moving(identity.shift)))[0]
    assert np.abs(edited.astype(int) - expected).max() <= 1
    assert np.array_equal(
        mixing.render(identity, torch.zeros(1, 26), method), mixing.render(identity, torch.zeros(1, 26), "one-shot")
    )


def test_what_refined_mixing_cannot_do_is_said(mixing, refining, source, driver):
    identity, method = mixing.identify(source), "stylemask-refined"
    with pytest.raises(InputError, match="stylemask-refined takes the driver's pose itself"):
        mixing.stream(identity, [driver], method=method, relative=True)
    with pytest.raises(InputError, match="stylemask-refined reads the driver's picture"):
        mixing.drive(identity, identity.params, method=method)
    with pytest.raises(InputError, match="one-shot does not mix styles"):
        mixing.swap(identity, [driver], mixing.measure(driver), method="one-shot")
    with pytest.raises(InputError, match="identify it again"):
        mixing.drive(replace(identity, shift=None), driver, method=method)
    with pytest.raises(BundleError, match="no mask networks"):
        refining.drive(identity, driver, method=method)
    with pytest.raises(BundleError, match="no feature refinement"):
        Reenactor(replace(mixing.bundle, feature=None), tracker=mixing.tracker).drive(identity, driver, method=method)
    with pytest.raises(InputError, match="stylemask-refined refines features instead of tuning"):
        check_tuning(method, is_tuned=True)


def test_files_are_driven_and_edited(refining, source, driver, tmp_path):
    write_image(tmp_path / "source.png", source)
    write_image(tmp_path / "driver.png", driver)
    pictures = {}
    for method in ("directions", "one-shot"):
        options = VideoOptions(method=method, smoothing=None)
        out = tmp_path / f"{method}.png"
        reenact_video(refining, tmp_path / "source.png", tmp_path / "driver.png", out, options)
        edited = tmp_path / f"edited_{method}.png"
        edit_photo(refining, tmp_path / "source.png", edited, {"yaw": (9.0, 9.0)}, EditOptions(method=method))
        pictures[method] = out.read_bytes(), edited.read_bytes()
    assert all(a != b for a, b in zip(*pictures.values(), strict=True))


def test_what_is_missing_or_does_not_go_together_is_said(refining, model, source, driver, tmp_path):
    plain = model.identify(source)
    assert plain.shift is None and choose_method(model.bundle) == "directions"
    assert choose_method(refining.bundle) == "one-shot"
    for action in (
        lambda: model.drive(plain, driver, method="one-shot"),
        lambda: model.stream(plain, [driver], method="one-shot"),
        lambda: model.edit(plain, method="one-shot", yaw=3.0),
    ):
        with pytest.raises(BundleError, match="tiny has no feature refinement; train one"):
            action()
    with pytest.raises(InputError, match="identify it again"):
        refining.drive(plain, driver, method="one-shot")
    with pytest.raises(BundleError, match="no mask networks"):
        refining.render(refining.identify(source), torch.zeros(1, 26), "stylemask")
    write_image(tmp_path / "source.png", source)
    paths = tmp_path / "source.png", tmp_path / "out.png"
    tuning = {"method": "one-shot", "tune": TuningConfig(steps=1)}
    with pytest.raises(InputError, match="instead of tuning"):
        edit_photo(refining, *paths, {"yaw": (9.0, 9.0)}, EditOptions(**tuning))
    with pytest.raises(InputError, match="instead of tuning"):
        reenact_video(refining, paths[0], paths[0], paths[1], VideoOptions(**tuning))
    tuned = refining.tune(refining.identify(source), TuningConfig(steps=1, from_resolution=4))
    assert baseline_model(refining, "copy").bundle.feature is None, "baselines are measured without refinement"
    assert tuned.bundle.feature is None and choose_method(tuned.bundle) == "directions"


def test_bundles_keep_their_refinement(refining, source, driver, tmp_path):
    save_bundle(refining.bundle, tmp_path / "kept", exact=refining.bundle.networks())
    again = Reenactor(load_bundle(tmp_path / "kept"), tracker=refining.tracker)
    assert (tmp_path / "kept" / "feature.safetensors").is_file()
    drawn = [m.drive(m.identify(source), driver, method="one-shot") for m in (refining, again)]
    assert np.array_equal(*drawn) and again.bundle.feature.config == refining.bundle.feature.config
    copied = replace(refining.bundle, feature=copying(refining.bundle.feature))
    save_bundle(copied, tmp_path / "copied")
    assert load_bundle(tmp_path / "copied").feature.config.copies
    for config, message in (
        (FeatureConfig(resolution=32, channels=8, picture=32), "no feature map of side 32"),
        (FeatureConfig(resolution=8, channels=5, picture=16), "widths of feature map differ: 5 and 8"),
        (FeatureConfig(resolution=8, channels=8, picture=16, fine=5), "widths of finer feature map differ: 5 and 4"),
        (FeatureConfig(resolution=16, channels=8, picture=32, fine=8), "no feature map of side 32"),
    ):
        with pytest.raises(BundleError, match=message):
            replace(refining.bundle, feature=FeatureRefiner(config)).check()


def test_a_driver_photo_without_a_face_leaves_no_picture(refining, fakes, source, tmp_path):
    write_image(tmp_path / "source.png", source)
    write_image(tmp_path / "empty.png", fakes.paint())
    with pytest.raises(NoFaceError):
        reenact_video(refining, tmp_path / "source.png", tmp_path / "empty.png", tmp_path / "out.png", VideoOptions())
    assert not (tmp_path / "out.png").exists()
