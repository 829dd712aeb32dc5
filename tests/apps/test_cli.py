from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mien
from mien.apps.cli import COMMANDS, main
from mien.images import read_image, write_image
from mien.inversion import FeatureRefiner, feature_config
from mien.media import read_video
from mien.methods import MaskNetworks, StyleMaskConfig
from mien.pipelines import Reenactor


@pytest.fixture
def anna(fakes, tmp_path) -> str:
    write_image(tmp_path / "anna.png", fakes.paint((40, 32), smile=0.2))
    return str(tmp_path / "anna.png")


@pytest.fixture
def bob(fakes, tmp_path) -> str:
    return str(fakes.write_driver(tmp_path / "bob.mp4", [0.1, 0.9, None, 0.5]))


def test_version_help_and_unknown_commands(capsys):
    assert main(["--version"]) == 0 and capsys.readouterr().out.strip() == f"mien {mien.__version__}"
    assert main(["--help"]) == 0
    helped = capsys.readouterr().out
    assert all(f"  {name} " in helped for name in COMMANDS)
    assert main([]) == 2
    capsys.readouterr()
    assert main(["reenakt"]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "did you mean reenact?" in shown.err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    try:
        code = main([command, "--help"])
    except SystemExit as leaving:
        code = leaving.code
    assert code == 0 and f"mien {command}" in capsys.readouterr().out


def test_reenact_passes_its_options_on(loaded, fakes, anna, bob, tmp_path, capsys):
    words = [
        "--grid",
        "--relative",
        "--device",
        "cpu",
        "--tracker",
        "embedded",
        "--bundle",
        "b",
        "--strength",
        "pose=0.5",
        "mouth=1.2",
        "--no-smooth",
        "--reference",
        "1",
    ]
    assert main(["reenact", anna, bob, "-o", str(tmp_path / "out.mp4"), *words]) == 0
    assert loaded[0][0] == ("b", "cpu", "embedded")
    shown = capsys.readouterr()
    assert "out.mp4: 4 frames, 1 without a face" in shown.out and "1 of 4" in shown.err
    assert read_video(tmp_path / "out.mp4").info.size == (fakes.SIZE, 2 * fakes.SIZE + 32)


def test_stylemask_drives_a_video_and_edits(fakes, anna, bob, tmp_path, monkeypatch):
    def load(*given):
        masks = MaskNetworks(StyleMaskConfig(widths=(8, 8, 8))).requires_grad_(False)
        masks.networks[1][2].bias.fill_(4.0)
        return Reenactor(replace(fakes.random_bundle(), masks=masks), tracker=fakes.PaintedTracker())

    monkeypatch.setattr("mien.pipelines.load", load)
    words = ["reenact", anna, bob, "--method", "stylemask", "--strength", "1.2"]
    films = []
    for name, more in (("all", []), ("two", ["--mask-layers", "2"]), ("one", ["--mask-layers", "1"])):
        out = str(tmp_path / f"{name}.mp4")
        assert main([*words, "-o", out, *more]) == 0
        films.append(np.stack([frame.image for frame in read_video(out)]))
    assert len(films[0]) == 4 and not np.array_equal(films[1], films[2])
    assert main([*words, "-o", str(tmp_path / "four.mp4"), "--mask-layers", "4"]) == 2
    assert main(["edit", anna, "--yaw", "5", "-o", str(tmp_path / "edit.png"), "--method", "stylemask"]) == 0


def test_one_shot_drives_a_video_and_edits(fakes, anna, bob, tmp_path, monkeypatch):
    bundle = fakes.random_bundle()
    refiner = FeatureRefiner(feature_config(bundle.generator.config, 8, width=8)).requires_grad_(False).eval()
    refiner.encoder.write.weight.fill_(0.5)
    model = Reenactor(replace(bundle, feature=refiner), tracker=fakes.PaintedTracker())
    monkeypatch.setattr("mien.pipelines.load", lambda *given: model)
    films, edits = [], []
    for method in ("directions", "one-shot"):
        out, edit = str(tmp_path / f"{method}.mp4"), str(tmp_path / f"{method}.png")
        assert main(["reenact", anna, bob, "-o", out, "--method", method]) == 0
        assert main(["edit", anna, "--yaw", "5", "-o", edit, "--method", method]) == 0
        films.append(np.stack([frame.image for frame in read_video(out)]))
        edits.append(read_image(edit))
    assert films[0].shape == films[1].shape and not np.array_equal(*films) and not np.array_equal(*edits)


def test_reenact_pastes_everybody(loaded, fakes, bob, tmp_path, capsys):
    write_image(tmp_path / "two.png", fakes.paint((10, 30), (75, 36), smile=0.2))
    words = ["reenact", str(tmp_path / "two.png"), bob, "-o", str(tmp_path / "out.mp4"), "--source-face", "all"]
    assert main(words) == 2 and "--paste" in capsys.readouterr().err
    assert main([*words, "--paste"]) == 0
    assert read_video(tmp_path / "out.mp4").info.size == (60, 120)


def test_edit_shows_what_was_asked_and_what_was_measured(loaded, anna, tmp_path, capsys):
    words = ["edit", anna, "--yaw", "-60:30", "--smile", "0:1", "-o", str(tmp_path / "o.png"), "--panels", "3"]
    assert main(words) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "yaw" in line or "mouth_smile" in line]
    assert len(rows) == 1 + 6 and "-60.0" in rows[1] and "cut to -45.0" in rows[1]
    assert main([*words, "--grid"]) == 0 and "measured" in capsys.readouterr().out
    assert main([*words, "--no-verify", "--paste"]) == 0 and "measured" not in capsys.readouterr().out


def test_edit_takes_coordinates_in_degrees_and_weights(loaded, anna, tmp_path):
    assert main(["edit", anna, "--yaw", "-30:30", "-o", str(tmp_path / "sweep.mp4"), "--frames", "5"]) == 0
    assert read_video(tmp_path / "sweep.mp4").info.num_frames == 5
    assert main(["edit", anna, "--mouth-smile", "0.7", "--yaw=-10", "-o", str(tmp_path / "smile.png")]) == 0
    assert (tmp_path / "smile.png").is_file()


def test_track_writes_parameters(loaded, bob, tmp_path, capsys):
    assert main(["track", bob, "-o", str(tmp_path / "bob.params.npz")]) == 0
    assert "4 frames, a face in 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reenact", "missing.png", "{bob}", "-o", "o.mp4"], "missing.png: no such picture"),
        (["reenact", "{anna}", "missing.mp4", "-o", "o.mp4"], "missing.mp4: no such video"),
        (["reenact", "{anna}", "{bob}", "-o", "o.gif"], "unknown kind of output"),
        (["reenact", "{anna}", "{bob}", "-o", "o.mp4", "--strength", "much"], "strength"),
        (["reenact", "{anna}", "{bob}", "-o", "o.mp4", "--mask-layers", "2"], "belongs to --method stylemask"),
        (["reenact", "{anna}", "{bob}", "-o", "o.mp4", "--method", "one-shot"], "no feature refinement; train one"),
        (["edit", "{anna}", "-o", "o.png", "--yaw", "5", "--method", "one-shot"], "no feature refinement; train one"),
        (["reenact", "{anna}", "{bob}", "-o", "o.mp4", "--source-face", "7"], "no face number 7"),
        (["edit", "{anna}", "-o", "o.png"], "at least one coordinate"),
        (["edit", "{anna}", "-o", "o.png", "--yaw", "a"], "START:END"),
        (["track", "{bob}", "-o", "o.txt"], "unknown kind of output"),
        (["train", "sorcery"], "unknown recipe"),
        (["train", "tracker", "--preset", "huge"], "unknown preset 'huge'"),
    ],
)
def test_mistakes_give_one_line_and_code_2(loaded, anna, bob, tmp_path, monkeypatch, capfd, words, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(os.listdir())
    assert main([word.format(anna=anna, bob=bob) for word in words]) == 2
    shown = capfd.readouterr()
    assert message in shown.err and shown.err.count("\n") == 1 and shown.err.startswith("mien: ") and shown.out == ""
    assert sorted(os.listdir()) == before


def test_debugging_shows_the_traceback(loaded, bob, monkeypatch):
    monkeypatch.setenv("MIEN_DEBUG", "1")
    with pytest.raises(mien.MienError):
        main(["reenact", "missing.png", bob, "-o", "o.mp4"])


def _interrupting(loaded_model, number: signal.Signals, after: int) -> None:
    """Make the model's tracker send this process a signal after some frames."""
    original, left = loaded_model.tracker.estimate, [after]

    def estimate(images, boxes):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), number)
        return original(images, boxes)

    loaded_model.tracker.estimate = estimate


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_leave_nothing_half_written(fakes, anna, bob, tmp_path, monkeypatch, number, code):
    model = fakes.random_model()
    _interrupting(model, number, after=3)
    monkeypatch.setattr("mien.pipelines.load", lambda *_: model)
    before = sorted(tmp_path.iterdir())
    handler = signal.getsignal(signal.SIGTERM)
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs start with it ignored
    try:
        found = main(["reenact", anna, bob, "-o", str(tmp_path / "o.mp4"), "--batch", "1"])
    except SystemExit as leaving:
        found = leaving.code
    finally:
        signal.signal(signal.SIGINT, inherited)
    assert found == code and sorted(tmp_path.iterdir()) == before
    assert signal.getsignal(signal.SIGTERM) is handler


def test_as_a_process_it_starts_quickly_without_torch():
    code = "import sys; from mien.apps.cli import main; main(['--version']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=20).returncode == 0
    module = subprocess.run([sys.executable, "-m", "mien", "--version"], capture_output=True, text=True, timeout=20)
    assert module.stdout.strip() == f"mien {mien.__version__}"


def test_presets_are_defaults_and_required_options_are_asked_for(capsys, tmp_path):
    from mien.apps import train

    recipe = __import__("mien.training.recipes.tracker", fromlist=["train"])
    preset, rest = train._take_preset(recipe, ["--preset=tiny", "--lr", "0.5", "--out", str(tmp_path / "run")])
    config, run = train._parse(recipe, "tracker", preset, rest)
    assert config.lr == 0.5 and config.crops == recipe.PRESETS["tiny"]["crops"]
    assert run.steps == recipe.STEPS["tiny"] and run.out == Path(tmp_path / "run") and run.max_minutes is None


@pytest.mark.parametrize("recipe", ["autoencoder", "direction", "encoder", "generator", "identity", "tracker"])
def test_every_recipe_explains_its_options(recipe, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["train", recipe, "--preset", "tiny", "--help"])
    assert leaving.value.code == 0 and "--max-minutes" in capsys.readouterr().out
