"""``key=value`` as typed on a command line."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from detkit.config import apply_overrides
from detkit.experiment import Experiment
from detkit.zoo import load

from .case import Case, expect
from .mutate import ODD_TEXTS, odd_text

CONFIGS = ("quickstart", "yolox_nano", "rcnn_alexnet", "detr_r50")
BRACKETS = (
    "(" * 3000,
    "[" * 300,
    "[[1,2],[3]]",
    "(1,)",
    "{'a': 1}",
    "1,2,3",
    "()",
    "lambda: 0",
    "__import__('os')",
    "9" * 5000,
    "1e999",
    "-" * 9000 + "1",
)


@cache
def _base(name: str) -> Experiment:
    return load(name)


def overrides(rng: Random, folder: Path) -> Case:
    """One to three overrides of a config that ships, with changed keys and odd values."""
    base = _base(rng.choice(CONFIGS))
    keys = _flat(json.loads(base.to_json()))
    words = [f"{_key(rng, keys)}{rng.choice(('=', '=', '=', '=', ' = ', '', '=='))}{_value(rng)}" for _ in range(rng.choice((1, 1, 2, 3)))]
    named = [part for word in words for part in word.partition("=")[0].split(".") if part.strip()]
    return Case(lambda: _apply(base, words), ("override", "expected", *named))


def _apply(base: Experiment, words: list[str]) -> None:
    changed = apply_overrides(base, words)
    expect(Experiment.from_json(changed.to_json()) == changed, f"a config that its own JSON does not restore, by {words!r:.300}")


def _flat(value: Any, prefix: str = "") -> list[str]:
    """Return all keys, those of groups and members of tuples included."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [key for name, item in items for key in _flat(item, f"{prefix}.{name}" if prefix else str(name))]
    return [prefix, *inner] if prefix else inner


def _key(rng: Random, keys: list[str]) -> str:
    key = rng.choice(keys)
    kind = rng.random()
    if kind < 0.1:
        return key + rng.choice((".0", ".kind", ".x", ".0.0", ".-1", ".²", "."))
    if kind < 0.2:
        at = rng.randrange(len(key))
        return key[:at] + rng.choice(("", "x", ".", " ")) + key[at + 1 :]
    return key if kind < 0.97 else str(rng.choice(ODD_TEXTS))[:200]


def _value(rng: Random) -> str:
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(("1", "2", "0.5", "1e-3", "true", "none", "2,3", "(0.5,)", "auto", "16,32,64"))
    return rng.choice(BRACKETS) if kind < 0.5 else odd_text(rng)
