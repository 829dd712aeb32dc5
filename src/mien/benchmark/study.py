"""A user study on one page: results of two drivers side by side, shuffled; and the tally of what people chose.

The page does not say who made which picture. Choices are kept in the browser and saved as a file by the participant;
the key, which stays with whoever runs the study, tells them apart.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.benchmark.report import Table, data_uri, document, escape
from mien.errors import InputError

SIDES = ("left", "right")
CHOICES = (*SIDES, "equal")
QUESTION = "Which of the two shows the person above better, moved as the driver is?"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One question of a study.

    Attributes:
        label: what it is about, such as the number of a pair.
        context: pictures everybody sees, heading → uint8 (S, S, 3).
        results: driver → its picture, uint8 (S, S, 3); two or more.
    """

    label: str
    context: Mapping[str, np.ndarray]
    results: Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as files.

    Attributes:
        html: the page.
        key: which driver stands on which side of each question; to be kept from participants.
    """

    html: str
    key: dict[str, Any]


def make_study(trials: Sequence[Trial], name: str, question: str = QUESTION, seed: int = 0) -> Study:
    """The page of a study: every pair of drivers of every trial, order and sides drawn by `seed`.

    Args:
        name: of the study; answers to another one are refused by the tally.

    Raises:
        InputError: no trial has results of two drivers.
    """
    rng = np.random.default_rng(seed)
    asked = [(trial, pair) for trial in trials for pair in _pairs(list(trial.results))]
    if not asked:
        raise InputError("a study needs results of two drivers to the same question")
    cards, key = [], {}
    for number, index in enumerate(rng.permutation(len(asked)).tolist()):
        trial, pair = asked[index]
        left, right = pair if rng.random() < 0.5 else pair[::-1]
        key[str(number)] = {"label": trial.label, "left": left, "right": right}
        cards.append(_card(number, trial, (left, right)))
    body = (
        f"<h1>{escape(name)}</h1><section><p>{escape(question)}</p>"
        f'<p><span id="done">0</span> of {len(cards)} answered. Your choices leave this page only in the file that '
        'you save: <button id="save">Save my answers</button></p></section>' + "\n".join(cards)
    )
    html = document(name, body, _SCRIPT.replace("NAME", json.dumps(name).replace("<", "\\u003c")))
    return Study(html=html, key={"study": name, "question": question, "trials": key})


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    return [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]


def _card(number: int, trial: Trial, sides: tuple[str, str]) -> str:
    context = "".join(_captioned(heading, picture, 160) for heading, picture in trial.context.items())
    pictures = "".join(
        f'<label>{_captioned("", trial.results[driver], 256)}<input type="radio" name="t{number}" value="{side}"> '
        f"{side}</label>"
        for side, driver in zip(SIDES, sides, strict=True)
    )
    equal = f'<label><input type="radio" name="t{number}" value="equal"> no difference</label>'
    row = '<div style="display:flex;gap:14px;flex-wrap:wrap;align-items:flex-end;margin:8px 0">'
    return f"<section><h2>{number + 1}</h2>{row}{context}</div>{row}{pictures}{equal}</div></section>"


def _captioned(heading: str, picture: np.ndarray, side: int) -> str:
    caption = f"<figcaption>{escape(heading)}</figcaption>" if heading else ""
    image = f'<img width={side} height={side} alt="{escape(heading)}" src="{data_uri(picture, side)}">'
    return f'<figure style="margin:0">{caption}{image}</figure>'


_SCRIPT = """
const count = () => {
  document.getElementById("done").textContent = document.querySelectorAll("input:checked").length;
};
document.addEventListener("change", count);
document.getElementById("save").addEventListener("click", () => {
  const choices = {};
  document.querySelectorAll("input:checked").forEach(i => { choices[i.name.slice(1)] = i.value; });
  const text = JSON.stringify({study: NAME, choices: choices});
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], {type: "application/json"}));
  link.download = "answers.json";
  link.click();
});
count();
"""


@dataclass(frozen=True, kw_only=True)
class Preference:
    """How two drivers did against each other.

    Attributes:
        first, second: their names.
        wins: of the first.
        losses: of the first.
        equal: answers that saw no difference.
    """

    first: str
    second: str
    wins: int
    losses: int
    equal: int

    @property
    def share(self) -> float:
        """Share of answers for the first, those without a difference counted half."""
        return (self.wins + self.equal / 2) / (self.wins + self.losses + self.equal)

    @property
    def p_value(self) -> float:
        """Two-sided sign test of wins against losses, ties left out: chance of a split at least as uneven by coin
        tosses; 1 without any."""
        n = self.wins + self.losses
        tail = sum(math.comb(n, k) for k in range(min(self.wins, self.losses) + 1))
        return min(1.0, 2 * tail / 2**n)


def tally(key: Mapping[str, Any], answers: Iterable[Mapping[str, Any]]) -> list[Preference]:
    """Counts the answers of any number of participants; one row for each pair of drivers, in the order of the key.

    Raises:
        InputError: answers to another study, to unknown questions, or unknown choices; or none at all.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    for answer in answers:
        if answer.get("study") != key["study"]:
            raise InputError(f"these answers belong to the study {answer.get('study')!r}, not to {key['study']!r}")
        for number, choice in dict(answer.get("choices", {})).items():
            trial = key["trials"].get(str(number))
            if trial is None or choice not in CHOICES:
                raise InputError(f"the study has no question {number!r} with the choice {choice!r}")
            pair = min((trial["left"], trial["right"]), (trial["right"], trial["left"]))
            row = counts.setdefault(pair, [0, 0, 0])
            row[2 if choice == "equal" else int(trial[choice] != pair[0])] += 1
    if not counts:
        raise InputError("there is no answer to count")
    return [
        Preference(first=first, second=second, wins=wins, losses=losses, equal=equal)
        for (first, second), (wins, losses, equal) in sorted(counts.items())
    ]


def tally_table(preferences: Sequence[Preference]) -> Table:
    """The tally as a table."""
    rows = [
        [
            f"{p.first} against {p.second}",
            str(p.wins),
            str(p.losses),
            str(p.equal),
            f"{p.share:.0%}",
            f"{p.p_value:.3f}",
        ]
        for p in preferences
    ]
    columns = ("drivers", "for the first", "for the second", "no difference", "share of the first", "p, sign test")
    return Table(title="Choices", columns=columns, rows=rows)


def read_answers(path: Path) -> dict[str, Any]:
    """A key or a file of answers.

    Raises:
        InputError: it cannot be read, or is neither.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no answers there ({error})") from error
    if not isinstance(content, dict) or "study" not in content or not {"choices", "trials"} & content.keys():
        raise InputError(f"{path}: neither the key of a study nor answers to one")
    return content
