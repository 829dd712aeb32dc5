"""The documents point at things that exist, and the README's commands and code work as written."""

import contextlib
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("README.md")])
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _blocks(language: str) -> list[str]:
    fenced = README.split("```")[1::2]
    return [text.partition("\n")[2] for text in fenced if text.partition("\n")[0] == language]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_paths_exist(page):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in link]
    paths = re.findall(r"`((?:src|tests|docs|benchmarks)/[\w./-]+)`", text)
    missing = [link for link in links if not (page.parent / link).exists()]
    missing += [path for path in paths if not (ROOT / path).exists() and "benchmarks/results/" not in path]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_modules_exist(page):
    dotted = set(re.findall(r"`mien((?:\.[a-z_0-9]+)+)", page.read_text(encoding="utf-8")))
    names = (ROOT / "src" / "mien" / "__init__.py").read_text(encoding="utf-8")

    def exists(name: str) -> bool:
        first, *rest = name.strip(".").split(".")
        module = (ROOT / "src" / "mien").joinpath(first, *rest)
        parent = module.parent
        return module.is_dir() or any(p.with_suffix(".py").is_file() for p in (module, parent)) or f'"{first}"' in names

    assert not [name for name in dotted if not exists(name)]


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"`?\bmake ([a-z-]+)", "\n".join(_blocks("")) + README))
    assert {"demo", "test"} <= targets
    assert not [
        target
        for target in targets & {"setup", "demo", "check", "test", "bench", "docs"}
        if f"\n{target}:" not in makefile
    ]


GROUPS = ("evaluate", "prepare")
"""Commands whose options depend on the next word."""


def test_commands_of_the_readme_are_understood(capsys):
    from mien.apps.cli import COMMANDS, main

    commands = [line.split("#")[0].split() for line in "\n".join(_blocks("")).splitlines() if line.startswith("mien ")]
    assert {words[1] for words in commands} == set(COMMANDS)
    for words in commands:
        with contextlib.suppress(SystemExit):
            main([*words[1 : 3 if words[1] in GROUPS else 2], "--help"])
        shown = capsys.readouterr().out
        assert not [word for word in words[2:] if word.startswith("--") and word not in shown], words


def _commands(page: Path) -> list[list[str]]:
    """Words of the commands in a page's code, lines that go on joined; without notes, and what is abbreviated with …"""
    text = "\n".join(re.findall(r"```\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)).replace("\\\n", " ")
    lines = [line.split("  #")[0] for line in text.splitlines() if line.startswith("mien ") and "…" not in line]
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("name", ["training.md"])
def test_training_commands_of_the_documents_are_understood(name):
    """Every recipe takes the options that the page gives it, values included; nothing is run."""
    from mien.apps import train

    commands = [words[2:] for words in _commands(ROOT / "docs" / name) if words[1] == "train"]
    assert len(commands) > 1
    for recipe, *words in commands:
        module = importlib.import_module(f"mien.training.recipes.{recipe}")
        preset, rest = train._take_preset(module, words)
        given = set(rest) & {"--data", "--generator"}
        config, _ = train._parse(module, recipe, preset, rest)
        assert all(getattr(config, option[2:]) is not None for option in given)


def test_code_of_the_readme_runs(samples):
    (code,) = _blocks("python")
    for name, sample in {"anna.jpg": "source_1.jpg", "bob.jpg": "source_2.jpg", "bob.mp4": "driver.mp4"}.items():
        code = code.replace(name, str(samples / sample))
    shown = []
    exec(compile(code, "README.md", "exec"), {"show": shown.append})
    assert len(shown) > 1 and len({picture.tobytes() for picture in shown}) > 1


def test_demo_runs_as_written(samples, tmp_path):
    recipe = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in recipe.splitlines() if "/mien reenact" in line]
    arguments = line.replace("demo/out.mp4", str(tmp_path / "out.mp4")).split()[1:]
    subprocess.run([sys.executable, "-m", "mien.apps.cli", *arguments], cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "out.mp4").stat().st_size > 10_000


def test_tables_of_the_results_are_those_measured():
    tables = importlib.util.spec_from_file_location("make_tables", ROOT / "benchmarks" / "make_tables.py")
    module = importlib.util.module_from_spec(tables)
    tables.loader.exec_module(module)
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert page.count("<!-- table: ") >= 5
    assert module.with_tables(page) == page, "run benchmarks/make_tables.py"
