"""The table and the cross-talk picture of the documentation, from the numbers of `mien evaluate linearity`.

    mien evaluate linearity --json benchmarks/results/linearity.json
    python benchmarks/make_linearity_tables.py

Writes results/linearity.md, which `make_tables.py` puts into docs/results.md, and docs/images/crosstalk_JUDGE.svg.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.benchmark.plots import matrix
from mien.face3d.motion import ANGLE_NAMES

RESULTS = Path(__file__).parent / "results"
IMAGES = Path(__file__).parents[1] / "docs" / "images"


def readable(values: list[list[float | None]]) -> list[list[float]]:
    """Numbers with not-a-number where a judge says nothing."""
    return [[float("nan") if value is None else value for value in row] for row in values]


def kept_columns(talk: Mapping[str, Any]) -> list[int]:
    """The columns in which something was read."""
    values = readable(talk["share_of_range"])
    return [j for j in range(len(talk["read"])) if any(row[j] == row[j] for row in values)]


def table(data: Mapping[str, Any]) -> str:
    """One row for each coordinate, slope, r and the largest change of another coordinate for each judge."""
    judges = list(data["lines"])
    heads = ["coordinate", *(f"{what}, {judge}" for judge in judges for what in ("slope", "r", "most cross-talk"))]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row, name in enumerate(data["cross_talk"][judges[0]]["swept"]):
        cells = [name]
        for judge in judges:
            line, talk = data["lines"][judge].get(name), data["cross_talk"][judge]
            others = [
                (abs(value), talk["read"][j])
                for j, value in enumerate(readable(talk["share_of_range"])[row])
                if talk["read"][j] != name and value == value
            ]
            if line is None or line["r"] is None:
                cells += ["–"] * 3
                continue
            most, which = max(others)
            cells += [f"{line['slope']:.2f}", f"{line['r']:.3f}", f"{most:.2f} ({which})"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Reads results/linearity.json and writes everything made from it."""
    data = json.loads((RESULTS / "linearity.json").read_text(encoding="utf-8"))
    caption = f"{data['about']['protocol']}. Slope 1: the whole way. Most cross-talk: largest change of another "
    caption += "coordinate over the sweep, as a share of its range. The judges' own errors are in these numbers."
    (RESULTS / "linearity.md").write_text(f"# Linearity\n\n{table(data)}\n\n{caption}\n", encoding="utf-8")
    for judge, talk in data["cross_talk"].items():
        kept = [j for j, name in enumerate(talk["read"]) if j in kept_columns(talk) or name in ANGLE_NAMES]
        values = [[row[j] for j in kept] for row in readable(talk["share_of_range"])]
        svg = matrix(values, talk["swept"], [talk["read"][j] for j in kept])
        (IMAGES / f"crosstalk_{judge.split()[0]}.svg").write_text(svg + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
