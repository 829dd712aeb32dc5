import json
import re

import pytest

from mien.benchmark import Trial, make_study, tally
from mien.benchmark.study import read_answers, tally_table
from mien.errors import InputError


@pytest.fixture
def study(painted):
    trials = [
        Trial(
            label=str(i),
            context={"person": painted.paint(i)},
            results={"a": painted.paint(10 + i), "b": painted.paint(30 + i)},
        )
        for i in range(8)
    ]
    return make_study(trials, "which </script> is better", seed=3)


def _answers(study, choose) -> dict:
    choices = {number: choose(trial) for number, trial in study.key["trials"].items()}
    return {"study": study.key["study"], "choices": choices}


def _prefer(name):
    return lambda trial: "left" if trial["left"] == name else "right"


def test_the_page_hides_who_made_what(study):
    assert study.html.count('type="radio"') == 8 * 3
    assert study.html.count("</script>") == 1
    visible = re.sub(r"base64,[^\"]+", "", study.html)
    assert not re.search(r"\b(driver|label)\b\s*[:=]", visible)


def test_sides_and_order_are_shuffled(study):
    trials = study.key["trials"].values()
    assert {trial["left"] for trial in trials} == {"a", "b"}
    assert [trial["label"] for trial in trials] != [str(i) for i in range(8)]


def test_tally_counts_for_the_driver_not_for_the_side(study):
    (found,) = tally(study.key, [_answers(study, _prefer("a")), _answers(study, lambda trial: "equal")])
    assert (found.first, found.second, found.wins, found.losses, found.equal) == ("a", "b", 8, 0, 8)
    assert found.share == pytest.approx(0.75)
    assert found.p_value == pytest.approx(2 / 2**8)
    assert tally_table([found]).rows == [["a against b", "8", "0", "8", "75%", "0.008"]]


def test_an_even_split_means_nothing(study):
    found = tally(study.key, [_answers(study, _prefer("a")), _answers(study, _prefer("b"))])
    assert found[0].p_value == 1 and found[0].share == 0.5


def test_foreign_answers_are_refused(study, tmp_path):
    with pytest.raises(InputError, match="other"):
        tally(study.key, [{"study": "other", "choices": {}}])
    with pytest.raises(InputError, match="no question"):
        tally(study.key, [{"study": study.key["study"], "choices": {"99": "left"}}])
    with pytest.raises(InputError, match="no answer"):
        tally(study.key, [])
    (tmp_path / "a.json").write_text(json.dumps([1]))
    with pytest.raises(InputError, match="neither"):
        read_answers(tmp_path / "a.json")


def test_one_driver_makes_no_study(painted):
    with pytest.raises(InputError, match="two drivers"):
        make_study([Trial(label="0", context={}, results={"a": painted.paint(0)})], "s")
