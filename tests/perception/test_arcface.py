"""The identity network against the authors' numbers, and what its checkpoint must satisfy."""

from collections.abc import Mapping

import golden_rule
import numpy as np
import pytest
import torch
from golden_rule import relative_error

from mien.alignment.five_points import FACE_PX, align_faces
from mien.checkpoints import arcface as layout
from mien.errors import CheckpointError
from mien.losses.face import identity_loss
from mien.perception.arcface import ArcFaceConfig, ArcFaceNet

LIMIT = 1e-4


@pytest.fixture(scope="module")
def numbers(golden) -> Mapping[str, np.ndarray]:
    return dict(golden("losses"))


@pytest.fixture(scope="module")
def weights(numbers):
    return golden_rule.state_dict(numbers, raw=False, part="in_idnet_")


@pytest.fixture(scope="module")
def net(weights):
    return layout.convert(weights)


@pytest.fixture(scope="module")
def pictures(numbers):
    seed = int(numbers["seed"])
    return torch.cat([golden_rule.picture_tensor(int(n), 256, 256, seed) for n in numbers["in_image_indices"]])


@pytest.fixture(scope="module")
def seen(net, pictures):
    """Network input, last trunk map of the first picture, and embeddings of both, from one pass."""
    maps = []
    handle = net.trunk.register_forward_hook(lambda module, args, out: maps.append(out))
    window = net.face_window(pictures)
    embeddings = net.embed_aligned(window)
    handle.remove()
    return window, maps[0][0].double(), embeddings


@pytest.mark.parity
def test_window_trunk_and_embeddings_are_the_published_ones(numbers, seen):
    window, trunk_map, embeddings = seen
    assert relative_error(window[0], numbers["out_id_pooled_crop"]) <= LIMIT
    spread = torch.stack([trunk_map.mean(), trunk_map.std(correction=0)])
    assert relative_error(spread, numbers["out_id_body_mean_std"]) <= LIMIT
    for index in (0, 1):
        assert relative_error(embeddings[index : index + 1], numbers[f"out_id_feat_image{index + 2}"]) <= LIMIT


@pytest.mark.parity
def test_identity_loss_is_the_published_one(numbers, seen):
    first, second = seen[2]
    loss = identity_loss(torch.stack([first, second]), torch.stack([second, second]))
    assert loss.shape == (2,)
    assert relative_error(loss[:1], np.atleast_1d(numbers["out_id_loss_2_vs_3"])) <= LIMIT
    assert relative_error(loss.mean()[None], np.atleast_1d(numbers["out_id_loss_batch"])) <= LIMIT
    assert abs(float(loss[1])) <= 1e-6
    assert abs(float(numbers["out_id_loss_2_vs_2"])) <= 1e-6


@pytest.mark.parity
def test_aligned_faces_embed_as_published(numbers, net, pictures):
    faces = align_faces(pictures, torch.from_numpy(numbers["in_align_landmarks"])[:2])
    assert relative_error(faces[0], numbers["out_align_warp_image2_set0"]) <= LIMIT
    whole = torch.nn.functional.adaptive_avg_pool2d(
        pictures[:1], FACE_PX
    )  # the head without the crop, in the same pass
    embeddings = net.embed_aligned(torch.cat([faces, whole]))
    assert relative_error(embeddings[:1], numbers["out_align_feat_image2_set0"]) <= LIMIT
    loss = identity_loss(embeddings[:1], embeddings[1:2])
    assert relative_error(loss, np.atleast_1d(numbers["out_align_loss_2set0_3set1"])) <= LIMIT
    assert relative_error(embeddings[2:], numbers["out_id_feat_image2_nocrop"]) <= LIMIT


def test_any_size_gives_unit_embeddings():
    config = ArcFaceConfig(widths=(16, 16, 16, 32), units=(1, 1, 1, 1), resolution=32, embedding=8)
    small = ArcFaceNet(config).eval()
    for side in (64, 256, 300):
        out = small(torch.zeros(2, 3, side, side))
        assert out.shape == (2, 8)
        torch.testing.assert_close(out.norm(dim=1), torch.ones(2))


def test_layout_is_recognised(weights):
    assert layout.recognise(weights)
    assert not layout.recognise({"e": weights})
    assert not layout.recognise([1])


def test_counters_may_be_there(weights):
    counters = {key.replace("running_mean", "num_batches_tracked") for key in weights if key.endswith("running_mean")}
    layout.convert(weights | {key: torch.tensor(7) for key in counters})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("body.5.res_layer.2.weight", None),
        ("output_layer.9.weight", torch.zeros(3)),
        ("body.99.res_layer.0.num_batches_tracked", torch.tensor(1)),
        ("output_layer.3.weight", torch.zeros(512, 25087)),
        ("body.3.shortcut_layer.1.running_var", torch.ones(128, dtype=torch.int64)),
        ("input_layer.1.bias", torch.full((64,), torch.nan)),
        ("input_layer.2.weight", "a string"),
    ],
)
def test_what_does_not_fit_is_named(weights, key, value):
    broken = {name: tensor for name, tensor in weights.items() if name != key}
    if value is not None:
        broken[key] = value
    with pytest.raises(CheckpointError, match=key):
        layout.convert(broken)
