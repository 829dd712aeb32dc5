from dataclasses import replace

import numpy as np
import pytest

from mien.benchmark import HeadsConfig, heads_report, measure_heads, page, render_pairs
from mien.benchmark.heads_scoring import TRUTH
from mien.benchmark.protocol import CopyDriver, CopySource
from mien.benchmark.records import means_of
from mien.errors import InputError, OutputError
from mien.synth.scenery import random_scene


@pytest.fixture
def config(painted) -> HeadsConfig:
    return HeadsConfig(version="painted", size=painted.SIZE, pairs=12)


@pytest.fixture
def pairs(painted, config, tmp_path):
    return render_pairs(config, tmp_path / "pairs", studios={"painted": painted.Studio})


def test_pairs_hold_the_true_answer(pairs):
    own, cross = pairs[0], pairs[1]
    assert own.kind == "self" and np.array_equal(own.driver, own.truth)
    assert cross.kind == "cross" and cross.driver[0, 0, 2] != cross.source[0, 0, 2]
    assert cross.truth[0, 0, 2] == cross.source[0, 0, 2] and np.array_equal(cross.truth[..., :2], cross.driver[..., :2])
    assert all(("large pose" in pair.groups) == (pair.turn_deg > 15) for pair in pairs)


def test_a_short_run_asks_the_first_questions_of_a_long_one(painted, config, pairs, tmp_path):
    short = render_pairs(replace(config, pairs=3), tmp_path / "short", studios={"painted": painted.Studio})
    assert all(np.array_equal(a.truth, b.truth) and a.turn_deg == b.turn_deg for a, b in zip(short, pairs))
    assert short.sha256() != pairs.sha256()


def test_rendering_goes_on_where_it_stopped(painted, config, pairs, tmp_path):
    folder = tmp_path / "pairs"
    kept = (folder / "pair_00003.npz").stat().st_mtime_ns
    (folder / "pair_00005.npz").unlink()
    again = render_pairs(config, folder, studios={"painted": painted.Studio})
    assert len(list(again)) == 12 and (folder / "pair_00003.npz").stat().st_mtime_ns == kept
    with pytest.raises(OutputError, match="another version"):
        render_pairs(replace(config, seed=1), folder, studios={"painted": painted.Studio})


def test_a_damaged_pair_is_named(pairs, tmp_path):
    (tmp_path / "pairs" / "pair_00002.npz").write_bytes(b"PK")
    with pytest.raises(InputError, match="pair_00002"):
        pairs[2]


def test_scores_of_known_drivers(painted, pairs):
    drivers = [painted.Mover("whole"), painted.Mover("half", 0.5), CopySource(), CopyDriver()]
    measured = measure_heads(drivers, pairs, painted.instruments())
    means = means_of(measured.records)
    yaws = [abs(int(p.source[0, 0, 0]) - int(p.truth[0, 0, 0])) for p in pairs]
    assert means[TRUTH]["all"]["yaw/painted"].mean == pytest.approx(0, abs=1e-4)
    assert means["whole"]["all"]["angle/painted"].mean == pytest.approx(0, abs=1e-4)
    assert means["whole"]["all"]["l1"].mean == 0
    assert means["copy source"]["all"]["yaw/painted"].mean == pytest.approx(np.mean(yaws), rel=1e-4)
    assert means["half"]["all"]["yaw/painted"].mean == pytest.approx(np.mean(yaws) / 2, abs=0.5)
    assert means["copy driver"]["cross"]["identity_truth/blue"].mean == pytest.approx(0, abs=1e-6)
    assert means["copy driver"]["self"]["identity_truth/blue"].mean == pytest.approx(1)
    assert means["whole"]["all"]["nme/painted"].mean == pytest.approx(0, abs=1e-5)
    groups = means["half"]
    assert groups["self"]["l1"].count + groups["cross"]["l1"].count == groups["all"]["l1"].count == 12


def test_expression_is_a_share_of_the_range_over_all_coordinates_but_gaze(painted, pairs):
    means = means_of(measure_heads([CopySource()], pairs, painted.instruments()).records)
    smiles = [abs(int(p.source[0, 0, 1]) - int(p.truth[0, 0, 1])) / 200 for p in pairs]
    scores = means["copy source"]["all"]
    assert scores["coordinate mouth_smile/painted"].mean == pytest.approx(np.mean(smiles), abs=1e-5)
    assert scores["expression/painted"].mean == pytest.approx(np.mean(smiles) / 21, abs=1e-5)
    assert scores["gaze/painted"].mean == 0


class Silent:
    name, framing = "silent", "source"

    def reenact(self, source, drivers):
        return [None for _ in drivers]


def test_missing_results_are_counted_and_not_guessed(painted, pairs):
    measured = measure_heads([Silent()], pairs, painted.instruments())
    assert means_of(measured.records)["silent"]["all"].keys() == {"answered"}
    report = heads_report(measured, pairs, painted.instruments(), {})
    assert ["silent", *["–"] * 5, "0/12"] in [row for table in report.tables for row in table.rows]


def test_the_report_shows_every_driver_in_every_set(painted, pairs):
    measured = measure_heads([painted.Mover("whole"), painted.Mover("half", 0.5)], pairs, painted.instruments())
    report = heads_report(measured, pairs, painted.instruments(), {"protocol": "test <1>"})
    first = [row[0] for row in report.tables[0].rows]
    assert {f"{group}: half" for group in ("all", "self", "cross")} <= set(first)
    html = page(report)
    assert html.count("<img ") >= 12 * 5 - 20 and "http://" not in html.replace("http://www.w3.org/2000/svg", "")
    assert "test &lt;1&gt;" in html and report.data["pairs"][3]["scores"]["half"]


def test_unknown_versions_and_no_pairs_are_refused(config, tmp_path):
    with pytest.raises(InputError, match="unknown version"):
        render_pairs(config, tmp_path)
    with pytest.raises(InputError, match="at least 1"):
        render_pairs(HeadsConfig(pairs=0), tmp_path)


@pytest.mark.usefixtures("can_render", "data_pack")
def test_rendered_people_are_frozen_and_not_from_training(tmp_path):
    from mien.benchmark.people import FIRST_PERSON, STUDIOS, DrawnPeople

    pairs = render_pairs(HeadsConfig(size=32, pairs=2), tmp_path)
    assert set(STUDIOS.values()) == {DrawnPeople} and FIRST_PERSON > 10**9
    cross = pairs[1]
    assert np.abs(cross.truth.astype(int) - cross.source).mean() > 3
    corners = [cross.source[0, 0].astype(int), cross.truth[0, 0].astype(int), cross.driver[0, 0].astype(int)]
    assert np.abs(corners[0] - corners[1]).sum() < np.abs(corners[0] - corners[2]).sum()


@pytest.mark.usefixtures("can_render", "data_pack")
def test_only_held_out_portraits_are_shown(monkeypatch, tmp_path):
    from mien.benchmark import people

    asked, closed = [], []

    class Pack:
        held_out = np.array([False, True, False])

        def __init__(self, place):
            self.place = place

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.close()

        def numbers(self, *, held_out):
            return [1] if held_out and self.place != "nobody" else []

        def signature(self):
            return "abc"

        def close(self):
            closed.append(self.place)

    def scene(pack, numbers, seed, size):
        asked.append((tuple(numbers), seed % 2))
        return random_scene(seed, seed, size)

    monkeypatch.setattr(people, "PeoplePack", Pack)
    monkeypatch.setattr(people, "random_photo_scene", scene)
    monkeypatch.setattr(people, "PhotoRenderer", people.HeadRenderer)
    studios = people.photographed("pack")
    config = HeadsConfig(version=next(iter(studios)), size=32, pairs=2)
    pairs = render_pairs(config, tmp_path, studios=studios)
    assert "abc" in config.version and set(asked) == {((1,), 1)} and len(closed) == 2
    assert max(float(p.true_face.angles[:, 0].abs().max()) for p in pairs) <= np.radians(45) * 0.75
    with pytest.raises(InputError, match="nobody"):
        people.PhotographedPeople("nobody", 32)
