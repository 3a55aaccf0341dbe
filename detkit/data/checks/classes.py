"""Checks of the list of classes, and of how often each class occurs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from detkit.arrays import Integers
from detkit.data.checks import rules
from detkit.data.checks.findings import Finding
from detkit.data.records import DetectionData

RARE = 10
"""Number of objects below which a class can be rare."""
RARE_SHARE = 0.2
"""Fraction of the objects of the most frequent class up to which it then is; in a small data set all classes have few objects."""
IMBALANCE = 0.01
"""Fraction of the objects of the most frequent class below which another class is much less frequent."""
_SEPARATORS = re.compile(r"[\s_\-]+")


def class_findings(parts: Mapping[str, DetectionData], train: str) -> Iterator[Finding]:
    """Find names that may be one class, and classes that are missing, rare or much less frequent than others.

    Args:
        parts: The parts, which have the same classes.
        train: Name of the part to learn from, if there is one.
    """
    yield from _similar(next(iter(parts.values())).class_names)
    counts = {part: _counts(data) for part, data in parts.items()}
    learned = counts[train] > 0 if train in parts else np.ones(len(next(iter(parts.values())).class_names), np.bool_)
    for part, data in parts.items():
        if not counts[part].any():
            texts = [f"{len(data):,} images"]
            yield Finding.of_texts(rules.NO_TRAINING_OBJECTS if part == train else rules.NO_OBJECTS, part, texts, len(data))
            continue
        absent = counts[part] == 0
        missing = np.flatnonzero(absent if part == train else absent & learned)
        if len(missing):
            rule = rules.MISSING_CLASS if part == train else rules.UNMEASURED_CLASS
            yield Finding.of_texts(rule, part, [data.class_names[label] for label in missing.tolist()])
        if part == train:
            yield from _frequencies(part, data.class_names, counts[part])


def _counts(data: DetectionData) -> Integers:
    """Return the number of boxes of each class that are no crowds."""
    counts: Integers = np.bincount(data.records.labels[~data.records.is_crowd], minlength=len(data.class_names))
    return counts


def _similar(names: tuple[str, ...]) -> Iterator[Finding]:
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_SEPARATORS.sub("", name).casefold(), []).append(name)
    similar = [" and ".join(map(repr, group)) for group in groups.values() if len(group) > 1]
    if similar:
        yield Finding.of_texts(rules.SIMILAR_CLASSES, "", similar)


def _frequencies(part: str, names: tuple[str, ...], counts: Integers) -> Iterator[Finding]:
    most = int(counts.argmax())
    rare = (counts > 0) & (counts < RARE) & (counts <= RARE_SHARE * counts[most])
    infrequent = ~rare & (counts > 0) & (counts < IMBALANCE * counts[most])
    for rule, flags, than in ((rules.RARE_CLASS, rare, ""), (rules.CLASS_IMBALANCE, infrequent, f", {names[most]} {counts[most]:,}")):
        labels = np.flatnonzero(flags)
        labels = labels[np.argsort(counts[labels], kind="stable")]
        if len(labels):
            yield Finding.of_texts(rule, part, [f"{names[label]}: {counts[label]:,}{than}" for label in labels.tolist()])
