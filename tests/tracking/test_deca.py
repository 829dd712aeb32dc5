"""DECA's coefficient encoder against the authors' numbers, its checkpoint, and the tracker on top of it."""

from collections.abc import Mapping

import golden_rule
import numpy as np
import pytest
import torch
from golden_rule import relative_error

from mien.checkpoints import deca as layout
from mien.errors import CheckpointError

LIMIT = 1e-4
TAPS = {"maxpool": "stem", "layer1": "stages.0", "layer2": "stages.1", "layer3": "stages.2", "layer4": "stages.3"}


@pytest.fixture(scope="module")
def numbers(golden) -> Mapping[str, np.ndarray]:
    return dict(golden("deca_flame"))


@pytest.fixture(scope="module")
def weights(numbers):
    return golden_rule.state_dict(numbers, raw=False, part="in_encoder_")


@pytest.fixture(scope="module")
def net(weights):
    return layout.convert({"E_flame": weights, "E_detail": {"any": torch.zeros(1)}, "D_detail": {}})


@pytest.mark.parity
def test_code_and_features_are_the_published_ones(numbers, net):
    picture = golden_rule.picture(int(numbers["in_image_index"]), 224, 224, int(numbers["seed"]))
    image = torch.from_numpy(((picture + 1) / 2).astype(np.float32)).permute(2, 0, 1)[None]
    stated = torch.stack([image.double().mean(), image.double().std(correction=0)])
    assert relative_error(stated, numbers["in_image_mean_std"]) <= 1e-5
    maps = {}
    handles = [
        net.get_submodule(ours).register_forward_hook(lambda m, a, out, name=theirs: maps.update({name: out.double()}))
        for theirs, ours in TAPS.items()
    ]
    features = net.features(image)
    for handle in handles:
        handle.remove()
    assert relative_error(features, numbers["out_encoder_features"]) <= LIMIT
    assert relative_error(net.coefficients(features), numbers["out_encoder_236"]) <= LIMIT
    taps = [maps[str(name)] for name in numbers["out_tap_names"]]
    assert relative_error(torch.stack([t.mean() for t in taps]), numbers["out_tap_mean"]) <= LIMIT
    assert relative_error(torch.stack([t.std(correction=0) for t in taps]), numbers["out_tap_std"]) <= LIMIT
    code = net.coded(features)
    assert relative_error(code.light, numbers["out_light_9x3"]) <= LIMIT
    together = torch.cat([part.flatten(1) for part in code], 1)
    assert relative_error(together, numbers["out_encoder_236"]) <= LIMIT
    assert [part.shape[1] for part in code] == [100, 50, 50, 6, 3, 9]


def test_layout_is_recognised(weights):
    assert layout.recognise({"E_flame": weights})
    assert not layout.recognise(weights) and not layout.recognise({"E_flame": 3}) and not layout.recognise("")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("encoder.layer3.5.bn2.running_mean", None),
        ("encoder.layer5.0.conv1.weight", torch.zeros(1)),
        ("layers.2.weight", torch.zeros(235, 1024)),
        ("encoder.conv1.weight", torch.zeros(64, 3, 7, 7, dtype=torch.complex64)),
        ("encoder.layer1.0.downsample.0.weight", torch.full((256, 64, 1, 1), torch.nan)),
    ],
)
def test_what_does_not_fit_is_named(weights, key, value):
    broken = {name: tensor for name, tensor in weights.items() if name != key}
    if value is not None:
        broken[key] = value
    with pytest.raises(CheckpointError, match=key):
        layout.convert({"E_flame": broken})


@pytest.mark.parametrize(("tree", "named"), [({"E_flame": {}, "G": 1}, "G"), ({"E_detail": {}}, "E_flame")])
def test_files_of_another_kind_are_refused(tree, named):
    with pytest.raises(CheckpointError, match=named):
        layout.convert(tree)
