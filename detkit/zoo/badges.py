"""Badges of models: how far each is verified, and the figures that its config states.

Badges follow from facts: whether a result of the config is in docs/results, whether a test compares its network with another
implementation, and whether an AP is published for it. ``python docs/make_zoo.py`` derives them and writes ``badges.json``; a test compares
both.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from detkit.zoo import ZooEntry

MEASURED, PARITY, PUBLISHED, NOT_RUN = "measured here", "parity proved", "published figure only", "not yet run"
BADGES = (MEASURED, PARITY, PUBLISHED, NOT_RUN)
"""All badges, best first; a model has the first that its facts give it."""

FILE = Path(__file__).with_name("badges.json")
_MEASURED = re.compile(r"(?<![A-Za-z])(?:(test|val|validation) )?(?<!mask )(AP|top-1|mIoU) (0?\.\d+)")
_PUBLISHED = re.compile(r"\bm?AP (\d+\.\d)")


@dataclass(frozen=True)
class Figure:
    """A result: the metric, its value in percent, and the split that the config names; empty if it names none."""

    metric: str
    value: float
    split: str = ""


def derive(*, measured: bool, parity: bool, published: bool) -> str:
    """Return the badge that facts give: a result of ours, an equal network in a test, a published AP."""
    return MEASURED if measured else PARITY if parity else PUBLISHED if published else NOT_RUN


def badge_of_config(entry: ZooEntry) -> str:
    """Return the badge of a config; what configs of other packages state is a published figure."""
    return _badges("configs").get(entry.name) or derive(
        measured=False, parity=False, published=entry.measured or published_figure(entry) is not None
    )


def badge_of_weights(name: str) -> str:
    """Return the badge of published weights."""
    return _badges("weights").get(name, NOT_RUN)


def measured_figure(entry: ZooEntry) -> Figure | None:
    """Return the first result that a config states as measured with it; None if it was not run."""
    match = _MEASURED.search(entry.result) if entry.measured else None
    return Figure(match[2], 100 * float(match[3]), match[1] or "") if match else None


def published_figure(entry: ZooEntry) -> Figure | None:
    """Return the first AP that a config which was not run quotes from others; None if it quotes none."""
    match = None if entry.measured else _PUBLISHED.search(entry.result)
    return Figure("AP", float(match[1])) if match else None


@cache
def _badges(kind: Literal["configs", "weights"]) -> dict[str, str]:
    content: dict[str, dict[str, str]] = json.loads(FILE.read_text("utf-8"))
    return content[kind]
