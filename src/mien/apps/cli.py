"""The `mien` command: finds the subcommand, turns errors into one line and an exit code.

Exit codes: 0 done · 1 a fault of the program · 2 something the user can mend · 130 interrupted · 143 terminated.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from mien import __version__
from mien.apps.arguments import is_debugging
from mien.apps.screen import complain, say
from mien.errors import MienError

COMMANDS = {
    "reenact": "move the person of a photo like the person of a video",
    "edit": "put the person of a photo into another pose or expression",
    "track": "measure a face in every frame of a video",
    "render": "render people who do not exist: contact sheets and training sets",
    "fit": "take portraits apart into people who can be rendered",
    "prepare": "turn videos of VoxCeleb into a training set",
    "train": "train a network from zero",
    "evaluate": "measure bundles and other drivers against the truth",
    "bundle": "collect finished training runs into a bundle",
    "import": "make a bundle of weights that others published",
}
MODULES = {"import": "importing"}
"""Commands whose module cannot have their name."""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    Args:
        words: arguments after the program's name; None takes them from the command line.
    """
    words = list(sys.argv[1:] if words is None else words)
    if not words or words[0] in ("-h", "--help", "help"):
        _show_help()
        return 0 if words else 2
    if words[0] in ("--version", "-V"):
        say(f"mien {__version__}")
        return 0
    if words[0] not in COMMANDS:
        close = difflib.get_close_matches(words[0], COMMANDS, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; commands: {', '.join(COMMANDS)}"
        complain(f"unknown command {words[0]!r}{hint}")
        return 2
    return _guarded(words[0], words[1:])


def _guarded(command: str, words: Sequence[str]) -> int:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("mien").setLevel(logging.INFO)
    try:
        previous = signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # not the main thread
        previous = None
    try:
        importlib.import_module(f"mien.apps.{MODULES.get(command, command)}").run(words)
        return 0
    except MienError as error:
        if is_debugging():
            raise
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        complain("interrupted; no half-written file is left")
        return 130
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _terminate(number: int, frame: FrameType | None) -> None:
    """Leave through the normal way out, so that unfinished files are removed."""
    raise SystemExit(128 + number)


def _show_help() -> None:
    say(f"mien {__version__}: neural face reenactment\n\nusage: mien COMMAND [options]\n")
    for name, summary in COMMANDS.items():
        say(f"  {name:<10}{summary}")
    say("\nmien COMMAND --help explains a command.")


if __name__ == "__main__":
    raise SystemExit(main())
