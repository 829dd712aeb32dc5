"""A report as values, and as one HTML page that needs no other file."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.errors import OutputError


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers as text. `best` says for each column whether "low" or "high" wins, "" where nothing does; rows named in
    `reference` (by their first cell) never win."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    note: str = ""
    best: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawing: SVG text made by `mien.benchmark.plots`."""

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Rows of pictures side by side under common headings.

    Attributes:
        columns: heading of each column.
        rows: caption and pictures uint8 (S, S, 3); None where there is none.
        side_px: side at which they are shown and stored.
    """

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, Sequence[np.ndarray | None]]]
    note: str = ""
    side_px: int = 176


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run has to say.

    Attributes:
        title: of the page.
        about: what was measured and with what, name → words.
        parts: in the order in which they are shown.
        data: everything as plain values, for the JSON file.
    """

    title: str
    about: Mapping[str, str]
    parts: Sequence[Table | Figure | Gallery] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tables(self) -> list[Table]:
        """Its tables."""
        return [part for part in self.parts if isinstance(part, Table)]


def write_json(report: Report, path: Path) -> None:
    """Writes `about` and `data`; the file appears only when it is whole, and holds no NaN.

    Raises:
        OutputError: cannot be written there.
    """
    text = json.dumps({"title": report.title, "about": dict(report.about), **report.data}, indent=1, allow_nan=False)
    write_text(path, text + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file that appears only when it is whole.

    Raises:
        OutputError: cannot be written there.
    """
    try:
        handle, partial = tempfile.mkstemp(dir=path.parent, suffix=path.suffix)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(partial, 0o644)
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write there ({error.strerror})") from error


def page(report: Report) -> str:
    """The report as one HTML page with its pictures inside."""
    parts = "\n".join(_PARTS[type(part)](part) for part in report.parts)
    about = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in report.about.items())
    body = f"<h1>{escape(report.title)}</h1>\n{parts}\n<section><h2>What was measured</h2><dl>{about}</dl></section>"
    return document(report.title, body)


def document(title: str, body: str, script: str = "") -> str:
    """A whole HTML page in the style of the reports."""
    tail = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body><main>{body}</main>{tail}</body></html>\n"
    )


STYLE = """
:root { color-scheme: light; --ink: #1c2430; --soft: #5b6675; --rule: #d9dee5; --win: #0b6b3a; }
body { margin: 0; background: #f6f7f9; color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 26px; margin: 8px 0 20px; } h2 { font-size: 18px; margin: 0 0 6px; }
section { background: #fff; border: 1px solid var(--rule); border-radius: 8px; padding: 16px 18px; margin: 16px 0; }
.scroll { overflow-x: auto; } p { color: var(--soft); margin: 4px 0 10px; max-width: 90ch; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 5px 11px; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; white-space: normal; max-width: 8.5em; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; }
td.win { color: var(--win); font-weight: 700; } tr.reference td { color: var(--soft); font-style: italic; }
.gallery td, .gallery th { padding: 4px; text-align: center; border: 0; white-space: normal; }
.gallery td:first-child { text-align: left; font-size: 12px; color: var(--soft); max-width: 120px; }
img { display: block; border-radius: 4px; } .none { color: var(--soft); font-size: 12px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; } svg { max-width: 100%; height: auto; }
"""


def escape(text: str) -> str:
    """Text that stands in HTML for itself."""
    return html.escape(text, quote=True)


def data_uri(picture: np.ndarray, side: int | None = None) -> str:
    """A uint8 (H, W, 3) picture as a `data:` address, JPEG; brought to `side` pixels if that is less."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    if side is not None and side < image.width:
        image = image.resize((side, round(image.height * side / image.width)), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def winners(table: Table) -> set[tuple[int, int]]:
    """(row, column) of the best number of each column that has a direction, ties included; rows that only serve as a
    reference, and cells without a number, do not take part."""
    found = set()
    for column, direction in enumerate(table.best):
        rows = [(i, value) for i, row in enumerate(table.rows) if (value := _number(row[column])) is not None]
        rows = [(i, value) for i, value in rows if table.rows[i][0] not in table.reference]
        if direction and len(rows) > 1:
            best = (min if direction == "low" else max)(value for _, value in rows)
            found |= {(i, column) for i, value in rows if value == best}
    return found


def _number(cell: str) -> float | None:
    try:
        return float(cell.split(" ")[0].rstrip("%"))
    except ValueError:
        return None


def _table(table: Table) -> str:
    best = winners(table)
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    lines = []
    for i, row in enumerate(table.rows):
        cells = (f"<td{' class=win' * ((i, j) in best)}>{escape(cell)}</td>" for j, cell in enumerate(row))
        lines.append(f"<tr{' class=reference' * (row[0] in table.reference)}>{''.join(cells)}</tr>")
    rows = "\n".join(lines)
    return _section(table, f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")


def _figure(figure: Figure) -> str:
    return _section(figure, figure.svg)


def _gallery(gallery: Gallery) -> str:
    side = gallery.side_px
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *gallery.columns))
    rows = []
    for caption, pictures in gallery.rows:
        cells = (
            '<td class="none">no result</td>'
            if picture is None
            else f'<td><img width={side} height={side} alt="" src="{data_uri(picture, side)}"></td>'
            for picture in pictures
        )
        rows.append(f"<tr><td>{escape(caption)}</td>{''.join(cells)}</tr>")
    body = "\n".join(rows)
    return _section(gallery, f'<table class="gallery"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>')


def _section(part: Table | Figure | Gallery, body: str) -> str:
    note = f"<p>{escape(part.note)}</p>" if part.note else ""
    return f'<section><h2>{escape(part.title)}</h2>{note}<div class="scroll">{body}</div></section>'


_PARTS: Mapping[type, Any] = {Table: _table, Figure: _figure, Gallery: _gallery}
