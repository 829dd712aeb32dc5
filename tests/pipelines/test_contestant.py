from dataclasses import replace

import numpy as np
import pytest
import torch

from mien.benchmark import Driver, Editor
from mien.errors import InputError
from mien.inversion import TuningConfig
from mien.methods import MaskNetworks, StyleMaskConfig
from mien.pipelines import Reenactor
from mien.pipelines.contestant import BundleDriver


def test_a_bundle_drives_like_the_public_object(fakes):
    model = fakes.random_model()
    driver = BundleDriver(model, batch=2)
    assert isinstance(driver, Driver) and isinstance(driver, Editor)
    assert (driver.name, driver.framing) == ("tiny", "head")
    source, empty = fakes.paint((20, 40)), fakes.paint()
    drivers = [fakes.paint((30, 36), smile=s) for s in (0.1, 0.9, 0.4)]
    results = driver.reenact(source, [drivers[0], empty, *drivers[1:]])
    identity = model.identify(source)
    assert results[1] is None
    for picture, target in zip([results[0], *results[2:]], drivers, strict=True):
        assert np.array_equal(picture, model.drive(identity, target))


def test_a_generator_may_be_tuned_to_each_source(fakes):
    model, config = fakes.random_model(), TuningConfig(steps=3, from_resolution=4)
    source, target = fakes.paint((20, 40)), fakes.paint((30, 36), smile=0.9)
    driver = BundleDriver(model, method="directions", tuning=config)
    (result,) = driver.reenact(source, [target])
    identity = model.identify(source)
    assert np.array_equal(result, model.tune(identity, config).drive(identity, target, method="directions"))
    assert not np.array_equal(result, model.drive(identity, target, method="directions"))
    assert not np.array_equal(driver.edit(source, "yaw", [0.0])[0], BundleDriver(model).edit(source, "yaw", [0.0])[0])


def test_a_source_without_a_face_has_no_results(fakes):
    driver = BundleDriver(fakes.random_model())
    assert driver.reenact(fakes.paint(), [fakes.paint((20, 40))] * 2) == [None, None]
    assert driver.edit(fakes.paint(), "yaw", [0.0]) is None


def test_edits_are_at_absolute_values(fakes):
    model = fakes.random_model()
    driver, source = BundleDriver(model, batch=2), fakes.paint((20, 40))
    low, high = driver.ranges()["mouth_smile"]
    pictures = driver.edit(source, "mouth_smile", [low, 0.3, high])
    assert len(pictures) == 3
    assert np.array_equal(pictures[1], model.edit(model.identify(source), mouth_smile=0.3))


def test_codes_may_come_from_another_model(fakes):
    model, other = fakes.random_model(), Reenactor(fakes.random_bundle(1), tracker=fakes.PaintedTracker())
    source, target = fakes.paint((20, 40)), fakes.paint((30, 36), smile=0.9)
    (result,) = BundleDriver(model, identifier=other).reenact(source, [target])
    assert np.array_equal(result, model.drive(other.identify(source), target))
    assert not np.array_equal(result, model.drive(model.identify(source), target))


def test_other_coordinates_are_not_swept(fakes):
    model = fakes.random_model()
    deca = replace(model.bundle, motion=replace(model.bundle.motion, model="deca"))
    with pytest.raises(InputError, match="ARKit"):
        BundleDriver(Reenactor(deca, tracker=model.tracker)).ranges()


def test_stylemask_drives_like_the_public_object(fakes):
    masks = MaskNetworks(StyleMaskConfig(widths=(8, 8, 8))).requires_grad_(False)
    masks.networks[0][2].bias.fill_(3.0)
    model = Reenactor(replace(fakes.random_bundle(), masks=masks), tracker=fakes.PaintedTracker())
    driver, identity = BundleDriver(model, method="stylemask", batch=2), model.identify(fakes.paint((20, 40)))
    drivers = [fakes.paint((30, 36), smile=s) for s in (0.1, 0.9, 0.4)]
    results = driver.reenact(fakes.paint((20, 40)), [fakes.paint(), *drivers])
    assert results[0] is None
    for picture, target in zip(results[1:], drivers, strict=True):
        assert np.abs(picture.astype(int) - model.drive(identity, target, method="stylemask")).max() <= 1
    assert len(driver.edit(fakes.paint((20, 40)), "mouth_smile", [0.0, 0.5, 1.0])) == 3


def test_results_stay_in_the_range_of_the_training_pictures(fakes):
    plain = fakes.random_model()
    motion, smile = plain.bundle.motion, plain.bundle.motion.index("mouth_smile")
    trained = motion.ranges.clone()
    trained[smile] = torch.tensor([0.1, 0.4])
    bundle = replace(plain.bundle, motion=replace(motion, trained=trained))
    model = Reenactor(bundle, tracker=plain.tracker)
    assert BundleDriver(model).ranges()["mouth_smile"] == pytest.approx((0.1, 0.4))
    source = model.identify(fakes.paint((20, 40), smile=0.2))
    wide = model.measure(fakes.paint((20, 40), smile=0.9))
    reached = motion.denormalise(source.coordinates + model.change(source, wide))[0, smile]
    assert float(reached) == pytest.approx(0.4, abs=1e-4)
    assert float(model.change(source, wide, bounded=False)[0, smile]) > float(model.change(source, wide)[0, smile])
