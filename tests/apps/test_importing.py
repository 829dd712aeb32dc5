"""`mien import` as a command, and what the other commands make of imported bundles."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mien.apps.cli import main
from mien.checkpoints import load_bundle, rosinality, save_bundle
from mien.checkpoints.published import MODELS
from mien.images import read_image, write_image
from mien.stylegan2 import Generator, GeneratorConfig

TINY = GeneratorConfig(resolution=8, latent_dim=8, style_dim=8, channel_base=64, channel_max=8, mapping_layers=2)


def test_the_list(capsys):
    assert main(["import", "--list"]) == 0
    shown = capsys.readouterr().out
    assert all(file.file in shown for model in MODELS for file in model.files)
    assert main(["import"]) == 0
    assert "--list" in capsys.readouterr().out


def test_a_generator_alone_is_imported_and_said_to_be_alone(tmp_path, capsys):
    torch.save(rosinality.export(Generator(TINY)), tmp_path / "g.pt")
    words = ["import", "ffhq", str(tmp_path / "out"), "--generator", str(tmp_path / "g.pt"), "--licence", "mine"]
    assert main([*words, "--tracker", "none"]) == 0
    shown = capsys.readouterr()
    assert "out: generator;" in shown.out and shown.err.count("cannot run") == 4
    assert load_bundle(tmp_path / "out").card["licence"] == "mine"
    assert main(["track", "bob.mp4", "-o", "o.npz", "--bundle", str(tmp_path / "out")]) == 2
    assert "has no tracker" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ffqh", "out"], "did you mean ffhq?"),
        (["ffhq", "out", "--licence", "mine"], "--generator"),
        (["ffhq", "out", "--generator", "none.pt"], "--licence"),
        (["ffhq", "out", "--generator", "none.pt", "--licence", "mine"], "none.pt"),
        (["ffhq", "out", "--generator", "page.pt", "--licence", "mine"], "web page"),
    ],
)
def test_mistakes_give_one_line_and_write_nothing(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.pt").write_text("<!doctype html><title>quota exceeded</title>")
    assert main(["import", *words]) == 2
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1 and shown.startswith("mien: ")
    assert [path.name for path in tmp_path.iterdir()] == ["page.pt"]


def test_edit_offers_the_coordinates_of_the_bundle(fakes, loaded, tmp_path, capsys):
    names = tuple(f"knob_{i}" if i else "frames" for i in range(26))
    bundle = fakes.random_bundle()
    save_bundle(dataclasses.replace(bundle, motion=dataclasses.replace(bundle.motion, names=names)), tmp_path / "knobs")
    with pytest.raises(SystemExit):
        main(["edit", "--bundle", str(tmp_path / "knobs"), "--help"])
    shown = capsys.readouterr().out
    assert "--knob-7" in shown and "--mouth-smile" not in shown


def test_tuning_and_method_reach_the_model(fakes, monkeypatch, tmp_path):
    model, seen = fakes.random_model(), []
    monkeypatch.setattr(model, "tune", lambda identity, config, progress: seen.append(config.steps) or model)
    monkeypatch.setattr("mien.pipelines.load", lambda *_: model)
    for name in ("anna", "bob"):
        write_image(tmp_path / f"{name}.png", fakes.paint((40, 32), smile=0.2))
    anna, bob, out = (str(tmp_path / f"{name}.png") for name in ("anna", "bob", "out"))
    assert main(["reenact", anna, bob, "-o", out, "--tune", "--method", "directions"]) == 0
    assert main(["edit", anna, "--yaw", "5", "-o", out, "--tune"]) == 0
    assert main(["reenact", anna, bob, "-o", out, "--method", "stylemask"]) == 2
    assert seen == [200, 200] and read_image(out).shape == (fakes.SIZE, fakes.SIZE, 3)
