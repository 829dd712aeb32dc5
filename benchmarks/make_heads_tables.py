"""From `mien evaluate heads --json` to tables for docs/results.md: results/heads_NAME.json → heads_NAME.md.

    python benchmarks/make_heads_tables.py && python benchmarks/make_tables.py

A driver has up to three rows: all pairs, those that another person drives, and those of large pose. Where two trackers
or networks measure, the first number is the bundle's own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
GROUPS = {"all": "", "cross": "… another person drives", "large pose": "… large pose"}
OWN, OTHER = "tracker of avatar", "MediaPipe"
COLUMNS: dict[str, tuple[tuple[str, ...], float, int]] = {
    "angles °, own / MediaPipe": ((f"angle/{OWN}", f"angle/{OTHER}"), 1, 2),
    "expression %, own / MediaPipe": ((f"expression/{OWN}", f"expression/{OTHER}"), 100, 1),
    "gaze %": ((f"gaze/{OWN}",), 100, 1),
    "identity to the truth, own / reid-0095": (("identity_truth/own identity net", "identity_truth/reid-0095"), 1, 2),
    "to the source": (("identity_source/own identity net", "identity_source/reid-0095"), 1, 2),
    "SSIM": (("ssim",), 1, 2),
    "L1": (("l1",), 1, 3),
    "found": ((f"found/{OTHER}",), 1, 2),
}
"""Heading → names of the scores, factor, digits."""
LEFT_OUT = ("copy driver",)


def cell(scores: dict[str, Any], heading: str) -> str:
    """The means of one group of pairs, as they stand under a heading."""
    names, factor, digits = COLUMNS[heading]
    means = [(scores.get(name) or {}).get("mean") for name in names]
    return " / ".join("–" if mean is None else f"{mean * factor:.{digits}f}" for mean in means)


def table(data: dict[str, Any]) -> str:
    """All drivers of one file."""
    lines = ["| | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for driver, groups in data["means"].items():
        if driver in LEFT_OUT:
            continue
        for group, label in GROUPS.items():
            if group == "all" or driver not in ("truth", "copy source"):
                cells = [cell(groups[group], heading) for heading in COLUMNS]
                lines.append("| " + " | ".join([label or driver, *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Write a table beside every file of results."""
    for file in sorted(RESULTS.glob("heads_*.json")):
        data = json.loads(file.read_text(encoding="utf-8"))
        text = f"# {data['title']}\n\n{table(data)}\n\n{data['about']['protocol']}.\n"
        file.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
