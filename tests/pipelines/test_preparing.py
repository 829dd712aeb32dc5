"""The annotated face is measured, and codes are those of `identify`."""

import numpy as np
import pytest
import torch

from mien.checkpoints.bundle import read_encoder
from mien.errors import BundleError
from mien.pipelines.preparing import encode_crops, measure_near, model_tools


def test_the_annotated_face_is_measured(fakes):
    picture = fakes.paint((5, 20), (60, 40), smile=0.5)
    near = np.array([0.0, 5.0, 30.0, 40.0])
    tracker = fakes.PaintedTracker()
    faces = measure_near(tracker, [picture, picture, fakes.paint(), picture], [near, None, near, near + 200])
    assert faces.valid.tolist() == [True, True, False, False]
    middles = faces.landmarks.mean(1)[:2, 0].tolist()
    assert middles[0] < 30 < 60 < middles[1]
    assert tracker.batches == [2], "one batch, of the pictures in which the face was found"
    assert not measure_near(tracker, [fakes.paint()], [None]).valid.any()
    assert len(measure_near(tracker, [], [])) == 0


def test_codes_are_those_of_identify(fakes):
    model = fakes.random_model()
    identity = model.identify(fakes.paint((40, 32), smile=0.5))
    code = encode_crops(model, [identity.image, identity.image], identity.params[torch.tensor([0, 0])])
    assert torch.allclose(torch.from_numpy(code[:1]), identity.code, atol=1e-6) and code.shape[0] == 2
    double = identity.image.repeat(2, 0).repeat(2, 1)
    assert torch.allclose(torch.from_numpy(encode_crops(model, [double], identity.params)), identity.code, atol=1e-5)


def test_tools_without_codes_need_no_encoder(fakes):
    from dataclasses import replace

    from mien.pipelines import Reenactor

    bundle = replace(fakes.random_bundle(), encoder=None)
    model = Reenactor(bundle, tracker=fakes.PaintedTracker())
    assert model_tools(model).encode is None
    with pytest.raises(BundleError):
        model_tools(model, with_codes=True)


def test_codes_carry_the_name_of_what_made_them(fakes, tmp_path):
    from mien.checkpoints import save_bundle

    first = save_bundle(fakes.random_bundle(0), tmp_path / "a")
    other = save_bundle(fakes.random_bundle(1), tmp_path / "b")
    assert read_encoder(first)[0] == "head" and read_encoder(first) == read_encoder(first)
    assert read_encoder(first)[1] != read_encoder(other)[1]
    with pytest.raises(BundleError):
        read_encoder(tmp_path / "none")
