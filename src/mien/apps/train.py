"""`mien train RECIPE --preset NAME`: every recipe of `mien.training.recipes`, with its own options."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import typing
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import tyro

from mien.apps.screen import say
from mien.errors import InputError


def run(words: Sequence[str]) -> None:
    """Parse the words after `mien train` and run the recipe; a run found in its folder is continued."""
    recipes = _recipes()
    if not words or words[0] in ("-h", "--help"):
        _show(recipes)
        return
    name, rest = words[0].replace("-", "_"), list(words[1:])
    if name not in recipes:
        raise InputError(f"unknown recipe {words[0]!r}; known: {', '.join(recipes)}")
    recipe = importlib.import_module(f"mien.training.recipes.{name}")
    preset, rest = _take_preset(recipe, rest)
    config, run_config = _parse(recipe, name, preset, rest)
    done = recipe.train(config, run_config)
    if done.fabric.global_rank == 0:
        say(f"{run_config.out}: step {done.step} of {done.config.steps}")


def _recipes() -> list[str]:
    import mien.training.recipes as folder

    return sorted(module.name for module in pkgutil.iter_modules(folder.__path__) if not module.name.startswith("_"))


def _show(recipes: Sequence[str]) -> None:
    say("usage: mien train RECIPE [--preset NAME] [options]      (mien train RECIPE --help lists them)\n")
    for name in recipes:
        recipe = importlib.import_module(f"mien.training.recipes.{name}")
        first = (recipe.__doc__ or "").strip().splitlines()[0]
        say(f"  {name:<14}{first}\n  {'':<14}presets: {', '.join(recipe.PRESETS)}")


def _take_preset(recipe: ModuleType, words: list[str]) -> tuple[str, list[str]]:
    """The preset decides the defaults of all other options, so it is read first. Without it: the first preset."""
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--preset=") else [word])]
    preset = next(iter(recipe.PRESETS))
    if "--preset" in words:
        index = words.index("--preset")
        preset = words[index + 1] if index + 1 < len(words) else ""
        words = words[:index] + words[index + 2 :]
    if preset not in recipe.PRESETS:
        raise InputError(f"unknown preset {preset!r}; known: {', '.join(recipe.PRESETS)}")
    return preset, words


def _parse(recipe: ModuleType, name: str, preset: str, words: Sequence[str]) -> tuple[Any, Any]:
    """The recipe's configuration and the run's, with the preset's values as defaults."""
    hints = typing.get_type_hints(recipe.train)
    config_class, run_class = (hints[key] for key in list(hints)[:2])
    values = {**_required(config_class), **recipe.PRESETS[preset]}
    defaults = {"out": Path("runs") / f"{name}-{preset}", "steps": recipe.STEPS[preset]}

    def options(config, run):
        return config, run

    options.__annotations__ = {"config": config_class, "run": run_class}
    options.__defaults__ = (config_class(**values), run_class(**defaults))
    prog, about = f"mien train {name} --preset {preset}", (recipe.__doc__ or "").strip()
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(options, args=words, prog=prog, description=about, config=config)


def _required(config_class: type) -> dict[str, Any]:
    """Fields that no preset can know, such as where the data lies: they must be given."""
    return {
        field.name: tyro.MISSING
        for field in dataclasses.fields(config_class)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
