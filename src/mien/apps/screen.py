"""What the user sees: progress, notices, one line of result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

Update = Callable[[int, int | None], None]


def say(text: str) -> None:
    """One line of result on standard output."""
    Console(soft_wrap=True, highlight=False, markup=False).print(text)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on standard output: the first column to the left, numbers to the right; never narrower than its cells."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, name in enumerate(columns):
        table.add_column(name.replace(", ", ",\n"), justify="right" if index else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    console = console if console.is_terminal else Console(highlight=False, markup=False, width=400)
    console.print(table)


def warn(notices: Iterable[str]) -> None:
    """Notices on standard error, one line each."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    for notice in notices:
        console.print(f"note: {notice}", style="yellow")


def complain(text: str) -> None:
    """An error on standard error, in one line."""
    one_line = " ".join(text.split())
    Console(stderr=True, soft_wrap=True, highlight=False, markup=False).print(f"mien: {one_line}", style="red")


@contextmanager
def progress_bar(title: str) -> Iterator[Update]:
    """A bar on standard error; yields the callback that moves it. It vanishes at the end and off terminals."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)

        def update(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        yield update


@contextmanager
def step_bar(title: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for named steps on standard error; yields the callback (step, its number from 0, number of steps)."""
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=None)

        def update(step: str, done: int, total: int) -> None:
            progress.update(task, description=step, completed=done, total=total)

        yield update
