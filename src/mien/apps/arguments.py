"""From words on the command line to values of the library."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal

import tyro

from mien.errors import InputError

Output = Annotated[str, tyro.conf.arg(aliases=["-o"], metavar="PATH")]
Tracker = Literal["embedded", "mediapipe"]
MethodChoice = Literal["auto", "directions", "one-shot", "stylemask", "stylemask-refined"]


def read_face(text: str) -> str | int:
    """ "left", "right", "largest", or a number counted from the left, starting at 0."""
    if text in ("left", "right", "largest"):
        return text
    if text.isdecimal():
        return int(text)
    raise InputError(f"a face is left, right, largest or its number from the left (0, 1, …), not {text!r}")


def read_source_face(text: str) -> str | int | None:
    """Like `read_face`, "all" for everybody, and None for nothing: the only prominent face."""
    return text or None if text in ("", "all") else read_face(text)


def read_driver_face(text: str) -> str | int:
    """Like `read_face`, or "matching": for each source face its own."""
    return text if text == "matching" else read_face(text)


def read_reference(text: str) -> str | int:
    """ "neutral", "first", the number of a frame counted from 0, or the path of a picture."""
    return int(text) if text.isdecimal() else text


STRENGTH_PART = re.compile(r"[a-z_0-9]+=[^=\s]+")


def joined_strength(words: Sequence[str]) -> list[str]:
    """The words with those after --strength made one: "pose=1 mouth=1.2" becomes "pose=1,mouth=1.2"."""
    joined: list[str] = []
    for word in words:
        is_part = STRENGTH_PART.fullmatch(word) and len(joined) > 1 and joined[-2] == "--strength"
        if is_part and "=" in joined[-1]:
            joined[-1] += f",{word}"
        else:
            joined.append(word)
    return joined


def read_strength(text: str) -> float | dict[str, float]:
    """ "0.8", or "pose=0.5,mouth=1.2" for groups and single coordinates."""
    try:
        if "=" not in text:
            return float(text)
        return {name.strip(): float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError as error:
        raise InputError(f"a strength is a number or NAME=NUMBER,…, not {text!r}") from error


def read_range(name: str, text: str) -> tuple[float, float]:
    """ "15" is (15, 15) and "-30:30" is (-30, 30)."""
    start, colon, end = text.partition(":")
    try:
        return float(start), float(end if colon else start)
    except ValueError as error:
        raise InputError(f"--{name.replace('_', '-')} is a number or START:END, not {text!r}") from error


def read_rate(text: str) -> Fraction:
    """ "25", "29.97" or "30000/1001" frames per second."""
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"a rate is a number or a fraction such as 30000/1001, not {text!r}") from error
    if not 0 < rate <= 1000:
        raise InputError(f"a rate is between 0 and 1000 frames per second, not {text}")
    return rate


def is_debugging() -> bool:
    """Whether tracebacks are wanted (MIEN_DEBUG=1)."""
    return os.environ.get("MIEN_DEBUG", "") not in ("", "0")
