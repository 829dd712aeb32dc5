import json
import math

import numpy as np
import pytest

from mien.benchmark.plots import dots, matrix, nice_ticks, points
from mien.benchmark.records import Record, as_json, means_of, paired_differences
from mien.benchmark.report import Gallery, Report, Table, page, winners, write_json
from mien.errors import InputError, OutputError


def _records(driver: str, values: list[float]) -> list[Record]:
    return [
        Record(driver=driver, groups=("all", "odd" if i % 2 else "even"), label=str(i), scores={"x": value})
        for i, value in enumerate(values)
    ]


def test_every_result_weighs_the_same():
    means = means_of(_records("a", [1, 2, 6]))["a"]
    assert means["all"]["x"].mean == 3 and means["even"]["x"].mean == 3.5 and means["odd"]["x"].count == 1
    assert means["all"]["x"].half_width == pytest.approx(1.96 * np.std([1, 2, 6], ddof=1) / math.sqrt(3))
    assert as_json({"a": means})["a"]["odd"]["x"] == {"mean": 2.0, "ci95": None, "count": 1}


def test_paired_differences_use_shared_questions_only():
    records = _records("a", [1, 2, 6]) + _records("b", [0, 1])
    difference = paired_differences(records, "x", "a", "b", "all")
    assert (difference.mean, difference.spread, difference.count) == (1, 0, 2)
    with pytest.raises(InputError, match="share no question"):
        paired_differences(records, "y", "a", "b", "all")


def test_the_best_number_wins_but_no_reference_does():
    rows = [["truth", "0", "9"], ["a", "1.0 ±3", "2"], ["b", "1.0 ±1", "–"], ["c", "2", "3"]]
    table = Table(title="t", columns=("d", "x", "y"), rows=rows, best=("", "low", "high"), reference=("truth",))
    assert winners(table) == {(1, 1), (2, 1), (3, 2)}


def test_the_page_is_whole_and_escapes_words(tmp_path):
    picture = np.full((8, 8, 3), 200, np.uint8)
    gallery = Gallery(title="g", columns=("a", "b"), rows=[("<row>", [picture, None])])
    report = Report(title="a & b", about={"k": "<v>"}, parts=[gallery], data={"n": [1.5, None]})
    html = page(report)
    assert "a &amp; b" in html and "&lt;row&gt;" in html and "data:image/jpeg;base64," in html and "no result" in html
    assert "<v>" not in html and 'src="http' not in html
    write_json(report, tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text()) == {"title": "a & b", "about": {"k": "<v>"}, "n": [1.5, None]}
    with pytest.raises(OutputError):
        write_json(report, tmp_path / "nowhere" / "r.json")


def test_ticks_are_round():
    assert nice_ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert nice_ticks(-0.31, 0.29, 3) == pytest.approx([-0.2, 0, 0.2])


def test_plots_draw_what_they_are_given():
    import xml.etree.ElementTree as tree

    svgs = [
        dots({"a<b": {"all": (1.0, 0.5), "one": (2.0, math.inf)}}, "x"),
        points({"a": [(0, 0), (1, 1)], "b": []}, "x", "y", joined=True),
        matrix([[1.0, -0.5], [math.nan, 0.0]], ("r0", "r1"), ("c0", "c1")),
    ]
    circles, curve, squares = (tree.fromstring(svg) for svg in svgs)
    name = "{http://www.w3.org/2000/svg}"
    centres = [float(c.get("cx")) for c in circles.iter(name + "circle")]
    assert len(centres) == 2 and centres[1] > centres[0]
    assert len(list(curve.iter(name + "polyline"))) == 2
    fills = [square.get("fill") for square in squares.iter(name + "rect")]
    assert fills == ["#b22234", "#90a8d4", "#b9bec6", "#ffffff"]
