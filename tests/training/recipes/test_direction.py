"""The recipe of A: every scheme runs, continues exactly, and starts where another ended."""

import json

import pytest
import torch
from painted_people import VIDEO, PaintedTools, paint

from mien.apps.cli import main
from mien.data.prepare import PrepareConfig, prepare, tasks_in
from mien.errors import InputError, TrainingError
from mien.images import write_image
from mien.methods import DirectionConfig, DirectionMatrix
from mien.training.parts import load_directions, load_generator, load_weights
from mien.training.recipes import direction
from mien.training.recipes.direction import DirectionRecipe, load_matrix, tie_rows
from mien.training.schemes import PUBLISHED_WEIGHTS


@pytest.fixture
def recipe(data_pack, toy_heads, trained):
    """A function that makes a recipe on the toy heads."""

    def make(scheme: str, **changes) -> DirectionRecipe:
        common = {"start": trained["generator"], "encoder": trained["generator"], "data": toy_heads, "batch": 4}
        return DirectionRecipe(**trained, **{**common, "portraits": toy_heads, "scheme": scheme, **changes})

    return make


@pytest.mark.parametrize("scheme", ["synthetic", "real", "mixed", "paired"])
def test_every_scheme_continues_exactly(recipe, run_config, same_weights, trained, scheme):
    before = load_generator(trained["generator"]).state_dict()
    whole = direction.train(recipe(scheme), run_config("whole", 4))
    direction.train(recipe(scheme), run_config("parts", 2))
    same_weights(whole, direction.train(recipe(scheme), run_config("parts", 4)))
    start = load_weights(trained["generator"], "directions")["linear.weight"]
    assert not torch.equal(start, load_weights(whole.config.out, "directions")["linear.weight"])
    after = load_generator(trained["generator"]).state_dict()
    assert all(torch.equal(before[k], after[k]) for k in before) and "pixel" not in whole.parts


def test_each_scheme_starts_where_another_ended(recipe, run_config):
    start = None
    for scheme in ("synthetic", "mixed", "paired"):
        run = direction.train(recipe(scheme, lr=0.0, weight_decay=0.0, start=start), run_config(scheme, 1))
        weights = load_weights(run.config.out, "directions")["linear.weight"]
        if start is not None:
            assert torch.equal(weights, load_weights(start, "directions")["linear.weight"])
        start = run.config.out


def test_the_loss_falls(recipe, run_config):
    weights = dict.fromkeys(PUBLISHED_WEIGHTS, 0.0) | {"pixel": 1.0}
    run = direction.train(recipe("paired", lr=1e-2, batch=8, weights=weights), run_config("falls", 30))
    pixel = [json.loads(line)["pixel"] for line in (run.config.out / "metrics.jsonl").read_text().splitlines()]
    assert sum(pixel[-8:]) < 0.9 * sum(pixel[:8])


def test_directions_in_w_stay_alike_in_all_rows(recipe, run_config):
    run = direction.train(recipe("synthetic", tied=True, rows=8, lr=1e-2), run_config("tied", 3))
    rows = load_weights(run.config.out, "directions")["linear.weight"].unflatten(0, (8, 16))
    torch.testing.assert_close(rows, rows[:1].expand_as(rows))
    start = load_matrix(recipe("synthetic"), load_generator(recipe("synthetic").generator), 26)
    tie_rows(start)
    mean = start.linear.weight.detach().unflatten(0, (-1, 16))[0]
    assert not torch.allclose(rows[0], mean, atol=1e-4), "it trains"


def test_rows_are_kept_added_and_left_out(recipe, run_config, trained):
    generator = load_generator(trained["generator"])
    stored = load_weights(trained["generator"], "directions")["linear.weight"].unflatten(0, (-1, 16))
    assert len(stored) == 8
    for rows in (3, 8):
        weight = load_matrix(recipe("synthetic", rows=rows), generator, 26).linear.weight.detach()
        assert torch.equal(weight.unflatten(0, (rows, 16)), stored[:rows])
    short = direction.train(recipe("synthetic", rows=3), run_config("short", 1)).config.out
    longer = load_matrix(recipe("synthetic", rows=6, start=short), generator, 26).linear.weight.detach()
    assert torch.equal(longer[: 3 * 16], load_weights(short, "directions")["linear.weight"])
    assert not longer[3 * 16 :].any(), "rows that the start lacks do not move yet"
    with pytest.raises(TrainingError, match="9 rows"):
        load_matrix(recipe("synthetic", rows=9), generator, 26)
    with pytest.raises(TrainingError, match="do not fit"):
        load_matrix(recipe("synthetic"), generator, 25)


def test_directions_go_on_from_a_bundle(recipe, trained, small_bundle):
    generator = load_generator(small_bundle)
    weight = load_matrix(recipe("synthetic", start=small_bundle), generator, 26).linear.weight.detach()
    torch.testing.assert_close(weight, load_directions(trained["generator"]).linear.weight, atol=1e-3, rtol=0)


def test_a_bias_starts_at_zero_trains_and_is_not_dropped(recipe, run_config):
    run = direction.train(recipe("synthetic", bias=True, lr=1e-2), run_config("bias", 2))
    matrix = load_directions(run.config.out)
    assert matrix.config.bias and matrix.linear.bias is not None and float(matrix.linear.bias.abs().max()) > 0
    with pytest.raises(TrainingError, match="--bias"):
        direction.train(recipe("synthetic", start=run.config.out), run_config("plain", 1))


def test_the_mean_is_drawn_anew_only_when_asked(recipe, run_config, trained):
    generator = load_generator(trained["generator"])
    before = generator.w_mean.clone()
    direction.resample_mean(generator, 4096, 3)
    z = torch.randn(20_000, 16, generator=torch.Generator().manual_seed(9))
    assert not torch.equal(before, generator.w_mean)
    torch.testing.assert_close(generator.w_mean, generator.mapping(z).mean(0), atol=0.1, rtol=0.0)
    runs = [
        direction.train(recipe("synthetic", truncation=0.7, resampled_mean=count), run_config(f"mean{count}", 2))
        for count in (0, 64)
    ]
    first, second = (load_weights(run.config.out, "directions")["linear.weight"] for run in runs)
    assert not torch.equal(first, second)


def test_tied_rows_share_their_gradient():
    matrix = DirectionMatrix(DirectionConfig(coordinates=2, rows=3, dim=4))
    tie_rows(matrix)
    matrix(torch.ones(1, 2))[:, 0].sum().backward()
    torch.testing.assert_close(matrix.linear.weight.grad, torch.full((12, 2), 1 / 3))


def test_pairs_come_from_prepared_videos_too(recipe, run_config, tmp_path):
    (tmp_path / "videos" / "id1" / VIDEO / "frames_cropped").mkdir(parents=True)
    for number, name in enumerate(("00_000000", "00_000025", "01_000000")):
        picture = paint((10, 20, 40), number=number)[:64, :64]
        write_image(tmp_path / "videos" / "id1" / VIDEO / "frames_cropped" / f"{name}.png", picture)
    root = tmp_path / "videos"
    prepare(tasks_in(root), root, None, PaintedTools(True), PrepareConfig(encoder="e"))
    run = direction.train(recipe("paired", data=root), run_config("videos", 1))
    assert (run.config.out / "metrics.jsonl").read_text().count('"pixel"') == 1
    with pytest.raises(InputError):
        direction.train(recipe("paired", data=tmp_path / "nothing"), run_config("nothing", 1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scheme": "paired", "data": None}, "--data"),
        ({"scheme": "mixed", "encoder": None}, "--encoder"),
        ({"weights": {"shape": 1.0}}, "expected shape, eye"),
    ],
)
def test_what_a_scheme_lacks_is_said(tmp_path, run_config, changes, message):
    common = {"scheme": "synthetic", "generator": tmp_path, "identity": tmp_path, "tracker": tmp_path}
    with pytest.raises(TrainingError, match=message):
        direction.train(DirectionRecipe(**{**common, "encoder": tmp_path, **changes}), run_config("lacks", 1))


def test_the_schemes_are_chosen_on_the_command_line(data_pack, toy_heads, trained, tmp_path):
    words = [word for name in ("generator", "identity", "tracker") for word in (f"--{name}", str(trained[name]))]
    words += ["--scheme", "paired", "--encoder", str(trained["generator"]), "--data", str(toy_heads)]
    words += ["--out", str(tmp_path / "made"), "--steps", "1", "--device", "cpu", "--precision", "32-true"]
    assert main(["train", "direction", "--preset", "tiny", *words]) == 0
    assert load_directions(tmp_path / "made").config.rows == 5
