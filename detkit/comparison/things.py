"""Resolve the words of a comparison: configs, runs, checkpoints, exported files, results files and their variants."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from detkit import weights, zoo
from detkit.comparison.plan import Entry, Plan, Protocol
from detkit.comparison.protocol import under_protocol
from detkit.comparison.suites import member
from detkit.config import load_config
from detkit.experiment.config import Experiment
from detkit.json_text import parse_json
from detkit.registry import did_you_mean

_KEY = re.compile(r":(?=[A-Za-z_][\w.]*=)")
_LONGEST_SLUG = 80


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the things to compare, and the ``key=value`` words that apply to all of them."""
    things = [word for word in words if "=" not in word or Path(word).exists() or _KEY.search(word)]
    return things, [word for word in words if word not in things]


def build_plan(words: Sequence[str], protocol: Protocol, suite: Sequence[str] = ()) -> Plan:
    """Resolve the things to compare.

    Args:
        words: Names and paths, variants as ``name:key=value``.
        protocol: The conditions, applied to every config.
        suite: Configs of a suite, which come first and are validated as their :class:`~detkit.comparison.suites.Member` says.

    Raises:
        ValueError: If there is nothing to compare, a thing is named twice, or a config cannot follow the protocol.
        FileNotFoundError: If a name is unknown.
    """
    if not words and not suite:
        raise ValueError("nothing to compare: name configs, runs, checkpoints or results files, or give --suite classics")
    entries: list[Entry] = []
    for word, of_suite in [*((word, True) for word in suite), *((word, False) for word in words)]:
        entries.append(_entry(word, protocol, [entry.slug for entry in entries], of_suite))
    names = [entry.name for entry in entries]
    if len(set(names)) < len(names):  # files of the same name in two folders
        entries = [entry if names.count(entry.name) == 1 else entry.replace(name=_full_name(entry)) for entry in entries]
        names = [entry.name for entry in entries]
    if duplicates := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{duplicates[0]} is named more than once; to train a config in two ways, add :key=value to one of them")
    return Plan(protocol=protocol, entries=tuple(entries))


def _full_name(entry: Entry) -> str:
    return ":".join([entry.source, *entry.overrides])


def _entry(word: str, protocol: Protocol, used: Sequence[str], of_suite: bool) -> Entry:
    source, *overrides = [word] if Path(word).exists() else _KEY.split(word)
    kind = kind_of(source)
    if overrides and kind != "config":
        raise ValueError(f"{word}: only a config has keys; {source} is evaluated as it is, so remove {', '.join(overrides)}")
    name = source if kind == "config" and source in zoo.names() else _short(source)
    name = ":".join([name, *overrides])
    slug = _unused(re.sub(r"[^\w.+-]+", "_", name).strip("_")[:_LONGEST_SLUG] or "detector", used)
    known = member(source)
    if of_suite and known is not None:
        overrides = list(known.validation)
    facts: dict[str, Any] = {} if known is None else {"year": known.year, "title": known.title, "trials": known.trials}
    experiment = under_protocol(_load(source), protocol, overrides, slug) if kind == "config" else None
    return Entry(name=name, slug=slug, source=source, kind=kind, overrides=tuple(overrides), experiment=experiment, **facts)


def kind_of(source: str) -> Literal["config", "detector", "results"]:
    """Return how a thing takes part.

    A name that is both a config and published weights is the config, which is trained.

    Raises:
        FileNotFoundError: If there is no such config, file or published detector.
    """
    path = Path(source)
    if source in zoo.names() and not path.exists():
        return "config"
    published = [weights.EMBEDDED, *(entry.name for entry in weights.catalog())]
    if not path.exists() and source not in published:
        nearby = [str(file) for file in path.parent.glob("*")] if path.parent.is_dir() else []
        hint = did_you_mean(source, [*zoo.names(), *published, *nearby])
        expected = "expected a config or a detector from `detkit models list`, a run, a checkpoint, an exported file or COCO results"
        raise FileNotFoundError(f"compare {source}: no such config or file; {hint if hint.startswith('did you mean') else expected}")
    if path.suffix == ".py":
        return "config"
    if path.suffix == ".json" and path.is_file():
        return _kind_of_json(path)
    return "detector"


def _kind_of_json(path: Path) -> Literal["config", "results"]:
    content = parse_json(path.read_bytes(), str(path))
    if isinstance(content, list):
        return "results"
    if isinstance(content, dict) and "model" in content and "images" not in content:
        return "config"
    raise ValueError(f"{path}: expected a config or a list of COCO results, got other JSON; give labels with --data")


def _load(source: str) -> Experiment:
    return zoo.load(source) if source in zoo.names() and not Path(source).exists() else load_config(source, Experiment)


def _short(source: str) -> str:
    """Return the name of a file or folder; the checkpoint of a run has the run's name."""
    path = Path(source)
    stem = path.parent.name if path.name in {"best.safetensors", "last.safetensors"} else path.stem if path.is_file() else path.name
    return stem or source


def _unused(slug: str, used: Sequence[str]) -> str:
    candidates = (slug if number == 1 else f"{slug}-{number}" for number in range(1, len(used) + 2))
    return next(name for name in candidates if name not in used)
