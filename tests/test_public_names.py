"""The inventory of public names: what `__all__` of the package and of its rooms promises.

A name that comes or goes must be entered in public_names.txt; `python tests/test_public_names.py` writes it anew.
"""

import importlib
import pkgutil
import tomllib
from pathlib import Path

import mien

INVENTORY = Path(__file__).with_name("public_names.txt")
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def _rooms() -> list[str]:
    return ["mien", *sorted(f"mien.{m.name}" for m in pkgutil.iter_modules(mien.__path__) if m.ispkg)]


def _names() -> list[str]:
    return [
        f"{room}.{name}" for room in _rooms() for name in sorted(getattr(importlib.import_module(room), "__all__", ()))
    ]


def test_inventory_is_up_to_date():
    written = INVENTORY.read_text(encoding="utf-8").split()
    assert set(_names()) - set(written) == set(), "new names that the inventory lacks"
    assert set(written) - set(_names()) == set(), "names that were promised and are gone"


def test_every_promised_name_is_there_and_documented():
    for promised in _names():
        room, _, name = promised.rpartition(".")
        value = getattr(importlib.import_module(room), name)
        assert not callable(value) or value.__doc__, f"{promised} has no docstring"


def test_unknown_names_are_refused():
    assert not hasattr(mien, "no_such_name")


def test_version_agrees_with_the_distribution():
    assert mien.__version__ == tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["version"]


if __name__ == "__main__":
    INVENTORY.write_text("\n".join(_names()) + "\n", encoding="utf-8")
