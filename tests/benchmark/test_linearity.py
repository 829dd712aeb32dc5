import numpy as np
import pytest

from mien.benchmark.linearity import cross_talk, fit_lines, identity_decay, sweep_sources
from mien.benchmark.linearity_report import linearity_report
from mien.benchmark.report import page
from mien.errors import InputError


@pytest.fixture
def swept(painted):
    sources = [painted.paint(0, 0.1), painted.paint(10, 0.5, 150)]
    return sweep_sources(painted.Mover("half", 0.5), sources, painted.instruments(), steps=5)


def test_slope_and_correlation_of_known_lines(painted, swept):
    sweeps, shown = swept
    lines = fit_lines(sweeps, "painted", painted.instruments().space.names)
    assert lines["yaw"].slope == pytest.approx(0.5, abs=0.02) and lines["yaw"].r > 0.999
    assert lines["mouth_smile"].slope == pytest.approx(0.5, abs=0.02) and lines["mouth_smile"].steps == 10
    assert len(sweeps) == 4 and len(shown["yaw"]) == 5


def test_scatter_lowers_r_squared(painted, swept):
    sweep = next(s for s in swept[0] if s.coordinate == "yaw")
    column = painted.instruments().space.names.index("yaw")
    read = sweep.read.copy()
    read[:, column] = [-1, 1, -1, 1, 0]
    x = sweep.asked - sweep.asked.mean()
    expected = np.corrcoef(x, read[:, column])[0, 1]
    line = fit_lines([type(sweep)(**(vars(sweep) | {"read": read}))], "painted", painted.instruments().space.names)[
        "yaw"
    ]
    assert line.r == pytest.approx(expected) and line.r2 == pytest.approx(expected**2)


def test_where_a_source_starts_is_no_scatter(painted, swept):
    sweep = next(s for s in swept[0] if s.coordinate == "yaw")
    elsewhere = type(sweep)(**(vars(sweep) | {"read": sweep.read + 30, "source": 7}))
    line = fit_lines([sweep, elsewhere], "painted", painted.instruments().space.names)["yaw"]
    assert line.r > 0.999 and line.slope == pytest.approx(0.5, abs=0.02)


def test_lost_faces_are_left_out(painted, swept):
    sweep = next(s for s in swept[0] if s.coordinate == "yaw")
    read = sweep.read.copy()
    read[0] = np.nan
    line = fit_lines([type(sweep)(**(vars(sweep) | {"read": read}))], "painted", painted.instruments().space.names)[
        "yaw"
    ]
    assert line.steps == 4 and line.slope == pytest.approx(0.5, abs=0.03)


def test_cross_talk_is_the_share_of_the_others_range(painted, swept):
    names = painted.instruments().space.names
    spans = [80.0 if name == "yaw" else 1.0 for name in names]
    matrix = cross_talk(swept[0], "painted", names, spans)
    smile = names.index("mouth_smile")
    assert matrix.shape == (2, len(names))
    assert matrix[0, 0] == pytest.approx(0.5, abs=0.02) and matrix[1, smile] == pytest.approx(0.5, abs=0.02)
    assert matrix[0, smile] == pytest.approx(0.4, abs=0.01) and matrix[1, 0] == pytest.approx(0)


def test_identity_along_a_sweep(painted, swept):
    curve = identity_decay(swept[0], "blue", "yaw")
    assert [x for x, _ in curve] == [-40, -20, 0, 20, 40] and all(y == pytest.approx(1) for _, y in curve)


def test_report_of_linearity(painted, swept):
    report = linearity_report(*swept, painted.instruments(), {"yaw": (-40.0, 40.0)}, {})
    assert report.data["cross_talk"]["painted"]["share_of_range"][0][0] == pytest.approx(0.5, abs=0.02)
    assert report.tables[0].rows[0][:2] == ["yaw", "0.50"]
    assert page(report).count("<svg") == 3


def test_nothing_to_sweep(painted):
    class Blind(painted.Mover):
        def edit(self, source, coordinate, values):
            return None

    with pytest.raises(InputError, match="no face"):
        sweep_sources(Blind("blind"), [painted.paint(0)], painted.instruments())
    with pytest.raises(InputError, match="3 steps"):
        sweep_sources(painted.Mover("x"), [painted.paint(0)], painted.instruments(), steps=2)
