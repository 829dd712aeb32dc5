import json

import numpy as np
import pytest

from mien.apps.cli import main
from mien.apps.evaluate import PROTOCOLS
from mien.errors import BundleError, InputError


def test_protocols_are_listed_and_explained(capsys):
    assert main(["evaluate"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in PROTOCOLS)
    for name in PROTOCOLS:
        with pytest.raises(SystemExit):
            main(["evaluate", name, "--help"])
        assert f"mien evaluate {name}" in capsys.readouterr().out


def test_mistakes_are_named(capsys, tmp_path):
    assert main(["evaluate", "head"]) == 2
    assert "did you mean heads?" in capsys.readouterr().err
    assert main(["evaluate", "heads", "--html", str(tmp_path / "report.pdf")]) == 2
    assert "unknown kind of output" in capsys.readouterr().err
    assert main(["evaluate", "heads", "--study", str(tmp_path / "study.html")]) == 2
    assert "second with --driver" in capsys.readouterr().err
    assert main(["evaluate", "self", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_methods_of_bundles_are_drivers(fakes, tmp_path, monkeypatch):
    from dataclasses import replace

    from mien.apps.instruments import build_drivers
    from mien.methods import MaskNetworks, StyleMaskConfig
    from mien.pipelines import Reenactor

    asked = []

    def load(place, device):
        asked.append(place)
        masks = MaskNetworks(StyleMaskConfig(widths=(8, 8, 8))).requires_grad_(False)
        return Reenactor(replace(fakes.random_bundle(), masks=masks), device, fakes.PaintedTracker())

    monkeypatch.setattr("mien.pipelines.load", load)
    monkeypatch.setattr("mien.pipelines.baselines.baseline_model", lambda model, kind: model)
    words = ["stylemask", "stylemask/2", "runs/other@stylemask/1", "mine=runs/other@directions", "sefa"]
    drivers = build_drivers("runs/own@stylemask", words, "cpu")
    assert [driver.name for driver in drivers] == [
        "own@stylemask", "stylemask", "stylemask/2", "other@stylemask/1", "mine", "sefa",
    ]  # fmt: skip
    assert asked == ["runs/own"] * 3 + ["runs/other"] * 2 + ["runs/own"]
    assert [driver._method for driver in drivers] == ["stylemask"] * 4 + ["directions"] * 2
    assert [len(driver.model.bundle.masks.networks) for driver in drivers[:5]] == [3, 3, 2, 1, 3]
    with pytest.raises(InputError, match="only StyleMask"):
        build_drivers("own", ["directions/3"], "cpu")
    with pytest.raises(InputError, match="these networks know 3"):
        build_drivers("own", ["stylemask/4"], "cpu")
    with pytest.raises(BundleError, match="no feature refinement"):
        build_drivers("own", ["stylemask-refined/2"], "cpu")
    tuned = build_drivers("own", ["tuned", "tuned/7"], "cpu")[1:]
    assert [driver.name for driver in tuned] == ["tuned", "tuned/7"]
    assert [(driver._method, driver._tuning.steps) for driver in tuned] == [("directions", 200), ("directions", 7)]
    (tmp_path / "odd@stylemask").mkdir()
    monkeypatch.chdir(tmp_path)
    build_drivers("odd@stylemask", [], "cpu")
    assert asked[-1] == "odd@stylemask", "a folder of that name is meant as it is"


def test_study_is_tallied(capsys, tmp_path):
    key = {"study": "s", "trials": {"0": {"label": "0", "left": "a", "right": "b"}}}
    (tmp_path / "s.key.json").write_text(json.dumps(key))
    (tmp_path / "one.json").write_text(json.dumps({"study": "s", "choices": {"0": "right"}}))
    assert main(["evaluate", "tally", str(tmp_path / "s.key.json"), str(tmp_path / "one.json")]) == 0
    assert "a against b" in capsys.readouterr().out
    assert main(["evaluate", "tally", str(tmp_path / "one.json"), str(tmp_path / "one.json")]) == 2


FOREIGN = """
class Still:
    name, framing = "{name}", "source"
    def reenact(self, source, drivers):
        return [source[::-1] for _ in drivers]
def make():
    return Still()
def wrong():
    return object()
"""


@pytest.fixture
def data_of_any_folder(data_pack, monkeypatch) -> None:
    """The data pack, named so that it is found from every working folder."""
    monkeypatch.setenv("MIEN_DATA", str(data_pack.resolve()))


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A module of the user's own in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rival_of_mien.py").write_text(FOREIGN.format(name="rival"))
    return "rival_of_mien"


def test_other_programs_are_drivers(foreign):
    from mien.apps.instruments import _driver
    from mien.errors import InputError

    picture = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    assert np.array_equal(_driver(f"{foreign}:make", "cpu", "avatar").reenact(picture, [picture])[0], picture[::-1])
    for wrong in (f"{foreign}:nothing", f"{foreign}:wrong", "no_such_module_here:make"):
        with pytest.raises(InputError, match=r"[dD]river"):
            _driver(wrong, "cpu", "avatar")


@pytest.mark.slow
@pytest.mark.usefixtures("can_render", "samples")
def test_heads_from_end_to_end(data_of_any_folder, foreign, tmp_path):
    words = ["evaluate", "heads", "--pairs", "2", "--size", "64", "--driver", f"{foreign}:make", "--judge", "embedded"]
    words += ["--json", "out.json", "--html", "out.html", "--study", "study.html", "--device", "cpu"]
    assert main(words) == 0
    result = json.loads((tmp_path / "out.json").read_text())
    assert {"truth", "avatar", "rival", "copy source"} <= set(result["means"])
    assert result["means"]["avatar"]["all"]["answered"]["count"] == 2 and len(result["pairs"]) == 2
    assert str(tmp_path) not in json.dumps(result)
    assert (tmp_path / "out.html").stat().st_size > 20_000 and (tmp_path / "study.key.json").is_file()
