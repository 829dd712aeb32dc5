"""The published W+ encoder against the authors' numbers, and what its checkpoints must satisfy."""

from collections.abc import Mapping

import golden_rule
import numpy as np
import pytest
import torch
from golden_rule import relative_error

from mien.checkpoints import e4e as layout
from mien.errors import CheckpointError
from mien.inversion.e4e import E4eConfig, E4eEncoder

LIMIT = 1e-4
STYLE_LINEAR = r"styles\.\d+\.linear\.weight"
TAPS = {"input_layer": "trunk.stem", "body.2": "trunk.stages.0", "body.6": "trunk.stages.1"}
TAPS |= {"body.20": "trunk.stages.2", "body.23": "trunk.stages.3"}
TINY = {"resolution": 32, "widths": (16, 16, 16, 32), "units": (1, 1, 1, 1), "style_dim": 8}


@pytest.fixture(scope="module")
def numbers(golden) -> Mapping[str, np.ndarray]:
    return dict(golden("e4e_256"))


@pytest.fixture(scope="module")
def weights(numbers):
    return golden_rule.state_dict(numbers, raw=False, raw_keys=STYLE_LINEAR)


@pytest.fixture(scope="module")
def hollow(numbers):
    """Keys and shapes of the published file; every tensor is one zero, repeated without memory."""
    shapes = [tuple(int(n) for n in str(shape).split(",") if n) for shape in numbers["in_shapes"]]
    keys = [str(key) for key in numbers["in_keys"]]
    whole = {key: torch.zeros(1).expand(shape) if shape else torch.tensor(0) for key, shape in zip(keys, shapes)}
    return {key: value for key, value in whole.items() if not key.endswith("num_batches_tracked")}


@pytest.mark.parity
def test_code_and_features_are_the_published_ones(numbers, weights):
    picture = golden_rule.picture_tensor(int(numbers["in_image_index"]), 256, 256, int(numbers["seed"]))
    stated = torch.stack([picture.double().mean(), picture.double().std(correction=0)])
    assert relative_error(stated, numbers["in_image_mean_std"]) <= 1e-5
    encoder, maps = layout.convert({"e": weights}), {}
    for theirs, ours in TAPS.items():
        encoder.get_submodule(ours).register_forward_hook(lambda m, a, out, name=theirs: maps.update({name: out[0]}))
    assert not encoder.config.add_mean and not encoder.config.pose_free
    assert relative_error(encoder(picture), numbers["out_wplus"]) <= LIMIT
    for index, name in enumerate(str(tap) for tap in numbers["out_tap_names"]):
        assert tuple(maps[name].shape) == tuple(numbers["out_tap_shape"][index])
        assert relative_error(maps[name][:4, :8, :8], numbers[f"out_tap_corner_{index}"]) <= LIMIT
        spread = maps[name].double()
        scale = float(numbers["out_tap_std"][index])
        assert abs(float(spread.mean()) - float(numbers["out_tap_mean"][index])) <= LIMIT * scale
        assert abs(float(spread.std(correction=0)) - scale) <= LIMIT * scale


def _grown(hollow, num_rows):
    more = {
        key.replace("styles.13.", f"styles.{row}."): value
        for key, value in hollow.items()
        if key.startswith("styles.13.")
        for row in range(14, num_rows)
    }
    whole = {f"encoder.{key}": value for key, value in (hollow | more).items()}
    return {"opts": {"start_from_latent_avg": True}, "state_dict": whole | {"decoder.input.input": torch.zeros(1)}}


@pytest.mark.parametrize("shape", [(512,), (1, 512), (18, 512)])
def test_files_with_options_add_the_mean_code(hollow, shape):
    mean = torch.arange(float(np.prod(shape))).reshape(shape)
    encoder = layout.convert(_grown(hollow, 18) | {"latent_avg": mean})
    assert encoder.config == E4eConfig(num_rows=18, add_mean=True)
    torch.testing.assert_close(encoder.latent_mean, mean.expand(18, 512))
    assert layout.recognise(_grown(hollow, 18)) and layout.recognise({"e": hollow})
    assert not layout.recognise(hollow) and not layout.recognise({"e": 1}) and not layout.recognise(None)


def test_options_can_leave_the_mean_out(hollow):
    tree = _grown(hollow, 14) | {"opts": {"start_from_latent_avg": False, "encoder_type": "Encoder4Editing"}}
    assert layout.convert(tree).config == E4eConfig()


def test_mean_code_is_added_to_every_row():
    plain, shifted = E4eEncoder(E4eConfig(num_rows=8, **TINY)), E4eEncoder(E4eConfig(num_rows=8, add_mean=True, **TINY))
    mean = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
    shifted.load_state_dict(plain.state_dict() | {"latent_mean": mean})
    picture = torch.zeros(2, 3, 32, 32)
    torch.testing.assert_close(shifted.eval()(picture), plain.eval()(picture) + mean)


def test_rows_are_the_first_plus_their_offsets():
    encoder = E4eEncoder(E4eConfig(num_rows=9, **TINY)).eval()
    picture = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    code = encoder(picture)
    with torch.no_grad():
        for head in encoder.heads[1:]:
            head.linear.weight.zero_()
    only_base = encoder(picture)
    torch.testing.assert_close(only_base[:, 0], code[:, 0])
    torch.testing.assert_close(only_base, only_base[:, :1].expand(2, 9, 8))
    assert (code[:, 1:] != only_base[:, 1:]).any(2).all()


def test_pictures_of_any_size_are_brought_to_the_input_side():
    encoder = E4eEncoder(E4eConfig(num_rows=8, **TINY)).eval()
    large = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(encoder(large), encoder(torch.nn.functional.avg_pool2d(large, 2)))
    assert encoder(large[:, :, :50, :50]).shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("latlayer1.bias", None),
        ("styles.3.linear.weight", None),
        ("styles.3.convs.9.weight", torch.zeros(3)),
        ("styles.7.convs.10.weight", torch.zeros(512, 512, 1, 1)),
        ("body.0.res_layer.1.weight", torch.zeros(64, 64, 3, 3, dtype=torch.uint8)),
        ("styles.0.linear.bias", torch.full((512,), torch.inf)),
    ],
)
def test_what_does_not_fit_is_named(hollow, key, value):
    broken = {name: tensor for name, tensor in hollow.items() if name != key}
    if value is not None:
        broken[key] = value
    with pytest.raises(CheckpointError, match=key.replace("3.linear.weight", "")):
        layout.convert({"e": broken})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"latent_avg": None}, "latent_avg"),
        ({"latent_avg": torch.zeros(17, 512)}, "latent_avg"),
        ({"opts": {"encoder_type": "GradualStyleEncoder"}}, "GradualStyleEncoder"),
        ({"opts": 3}, "opts"),
        ({"surprise": 1}, "surprise"),
        ({"state_dict": {"pose.weight": torch.zeros(1)}}, "pose.weight"),
        ({"state_dict": 1}, "state_dict"),
    ],
)
def test_files_of_another_kind_are_refused(hollow, change, named):
    tree = _grown(hollow, 14) | {"latent_avg": torch.zeros(14, 512)} | change
    with pytest.raises(CheckpointError, match=named):
        layout.convert(tree)
