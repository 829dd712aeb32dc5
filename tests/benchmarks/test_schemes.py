"""The ablation of directions: its rows are recipes that exist, its numbers those of hand-made models."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import schemes
import torch

from mien.methods import DirectionConfig, DirectionMatrix
from mien.training.recipes.direction import DirectionRecipe


@pytest.fixture
def settings(tmp_path):
    folders = dict.fromkeys(("generator", "identity", "tracker", "renders", "held_out"), tmp_path)
    return schemes.Settings(**folders, runs=tmp_path / "runs", steps=30)


@pytest.fixture
def trained(monkeypatch):
    """Recipes and numbers of steps that would have been trained."""
    seen = []

    def train(recipe, run):
        recipe.check()
        seen.append((recipe, run))

    monkeypatch.setattr(schemes.direction, "train", train)
    monkeypatch.setattr(schemes, "load_directions", lambda folder: folder)
    return seen


@pytest.mark.parametrize("name", schemes.VARIANTS)
def test_every_row_is_a_recipe_that_differs_from_the_others(settings, trained, name):
    schemes.trained_directions(name, schemes.VARIANTS[name], settings)
    assert sum(run.steps for _, run in trained) == 30
    kinds = {str(variant) for variant in schemes.VARIANTS.values()}
    assert len(kinds) == len(schemes.VARIANTS)
    assert all(recipe.inversion == "fixed" and recipe.portraits is not None for recipe, _ in trained)


def test_a_schedule_starts_each_scheme_where_the_last_ended(settings, trained):
    name = "synthetic, mixed, paired"
    last = schemes.trained_directions(name, schemes.VARIANTS[name], settings)
    assert [recipe.scheme for recipe, _ in trained] == ["synthetic", "mixed", "paired"]
    assert [recipe.start for recipe, _ in trained] == [None, *(run.out for _, run in trained[:-1])]
    assert last == trained[-1][1].out


def test_switches_reach_the_recipe(settings, trained):
    defaults = DirectionRecipe(generator=settings.generator, identity=settings.identity, tracker=settings.tracker)
    for name, field, value in [
        ("mixed, bias", "bias", True),
        ("mixed, no single coordinates", "single_share", 0.0),
        ("mixed, psi .7, mean re-sampled", "resampled_mean", 4096),
        ("mixed, W", "tied", True),
    ]:
        trained.clear()
        schemes.trained_directions(name, schemes.VARIANTS[name], settings)
        ((recipe, _),) = trained
        assert getattr(recipe, field) == value != getattr(defaults, field)
    trained.clear()
    schemes.trained_directions("mixed, no identity", schemes.VARIANTS["mixed, no identity"], settings)
    assert trained[0][0].weights == defaults.weights | {"id": 0.0}


def test_gain_and_crosstalk_of_a_known_response(monkeypatch):
    """A model whose pictures say .5 of what is asked for, and .1 of coordinate 0 in coordinate 1."""
    response = torch.eye(4) * 0.5
    response[0, 1] = 0.1

    class Space(tuple):
        names = ("a", "b", "c", "d")

    class Model:
        bundle = SimpleNamespace(motion=Space("abcd"))

        def render(self, identity, change, method):
            assert method == "directions"
            return ((identity.coordinates + change) @ response).numpy()

    monkeypatch.setattr(schemes, "to_tensor", torch.from_numpy)
    monkeypatch.setattr(schemes, "reader", lambda model: lambda pictures: pictures)
    found = schemes.single_moves(Model(), [SimpleNamespace(coordinates=torch.randn(1, 4)) for _ in range(3)])
    assert found["gain_pose"] == pytest.approx(0.5) and found["gain_rest"] == pytest.approx(0.5)
    assert found["crosstalk"] == pytest.approx(0.1 / 12)
    assert found["by_coordinate"] == pytest.approx(dict.fromkeys("abcd", 0.5))


def test_a_row_shares_all_but_its_directions(settings, monkeypatch):
    made = DirectionMatrix(DirectionConfig(coordinates=26, rows=2, dim=8))
    monkeypatch.setattr(schemes, "trained_directions", lambda *_: made)

    @dataclasses.dataclass(frozen=True)
    class Bundle:
        generator: str = "shared"
        directions: object = None
        truncation: float = 1.0

    monkeypatch.setattr(schemes, "Reenactor", lambda bundle, tracker: SimpleNamespace(bundle=bundle, tracker=tracker))
    bench = SimpleNamespace(model=SimpleNamespace(bundle=Bundle(), tracker="own"))
    model = schemes.model_of("mixed, psi .7", bench, settings)
    assert model.bundle == Bundle(directions=made, truncation=0.7) and model.tracker == "own"
    assert schemes.model_of(schemes.UNTOUCHED, bench, settings) is bench.model
    with pytest.raises(KeyError):
        schemes.model_of("no such row", bench, settings)


def test_the_table_has_a_row_for_the_instrument_and_dashes_where_nothing_was_seen():
    group = {"found": 0.5, "pose_deg": None, "expression": 0.1, "identity": {"source": 0.9}, "l1": 0.05}
    single = {"gain_pose": 1.0, "gain_rest": 0.4, "crosstalk": 0.01}
    truth = {"same": group, "other": group}
    table = schemes.table_of({"mixed": truth | {"single": single}}, truth)
    columns = {str(column.header): list(column.cells) for column in table.columns}
    assert columns["row"] == ["true pictures", "mixed"] and columns["pose, same"] == ["–", "–"]
    assert columns["gain, pose"] == ["–", "1.00"] and columns["cross-talk"] == ["–", "0.010"]
    assert columns["faces found"] == ["0.50", "0.50"]
    assert np.array_equal(columns["id, other"], ["0.900", "0.900"])
