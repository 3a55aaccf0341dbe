"""Gates for continuous integration: how much worse than the first detector any other may be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from detkit.comparison.statistics import known_mean
from detkit.evaluation.numbers import COCO_NAMES
from detkit.registry import did_you_mean

_METRICS = {name.lower(): name for name in COCO_NAMES}
_OF_CLASSES = {"ap": "ap", "ap50": "ap50", "ap75": "ap75", "ar100": "ar"}
"""Metrics of single classes, and their keys in the results."""
_NEXT = re.compile(rf",(?=(?:{'|'.join(sorted(_METRICS, key=len, reverse=True))})(?::[^=]*)?=)", re.IGNORECASE)


@dataclass(frozen=True)
class Gate:
    """A limit for the difference of a metric from the first detector.

    Attributes:
        metric: Name of the metric, a key of ``COCO_NAMES``.
        class_name: The class; None for the mean over all classes.
        limit: Smallest accepted difference.
    """

    metric: str
    class_name: str | None
    limit: float

    @property
    def name(self) -> str:
        """The gate as typed."""
        return f"{self.metric.lower()}{'' if self.class_name is None else f':{self.class_name}'}={self.limit:g}"


def parse_gates(text: str) -> tuple[Gate, ...]:
    """Parse ``ap=-0.005,ap50:person=-0.01``; class names may contain commas.

    Raises:
        ValueError: If a part is anything else.
    """
    return tuple(_parse(part) for part in _NEXT.split(text))


def _parse(part: str) -> Gate:
    name, equals, limit = part.rpartition("=")
    metric, colon, class_name = name.partition(":")
    key = metric.strip().lower()
    if not equals or not name:
        raise ValueError(f"--gate {part!r}: expected METRIC=LIMIT or METRIC:CLASS=LIMIT, such as ap=-0.005 or ap50:person=-0.01")
    if key not in _METRICS:
        raise ValueError(f"--gate {part!r}: unknown metric {metric!r}: {did_you_mean(key, list(_METRICS))}")
    if colon and key not in _OF_CLASSES:
        raise ValueError(f"--gate {part!r}: {metric} is not measured for single classes; expected one of {', '.join(_OF_CLASSES)}")
    if colon and not class_name:
        raise ValueError(f"--gate {part!r}: expected a class after the colon, such as ap50:person=-0.01")
    try:
        value = float(limit)
    except ValueError:
        value = float("nan")
    if value != value:
        raise ValueError(f"--gate {part!r}: expected a number after =, such as -0.005; got {limit!r}")
    return Gate(_METRICS[key], class_name if colon else None, value)


def check_classes(gates: Sequence[Gate], names: Sequence[str]) -> None:
    """Check, before anything is trained, that the data has the classes of the gates.

    Raises:
        ValueError: If it does not.
    """
    for gate in gates:
        if gate.class_name is not None and gate.class_name not in names:
            hint = did_you_mean(gate.class_name, list(names))
            raise ValueError(f"--gate {gate.name}: the data has no class {gate.class_name!r}: {hint}")


def check_gates(gates: Sequence[Gate], results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a line for each gate and detector that fails; empty if all pass.

    The first detector of the comparison is the baseline.

    Raises:
        ValueError: If a class does not exist, fewer than two detectors have results, or a metric does not exist on these images.
    """
    baseline, *others = results["entries"]
    if not others:
        raise ValueError("--gate: expected at least two detectors with results, the first of which is the baseline; got one")
    check_classes(gates, results["classes"])
    return tuple(line for gate in gates for other in others if (line := _failure(gate, baseline, other)))


def _failure(gate: Gate, baseline: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    before, after = _value(gate, baseline), _value(gate, other)
    if before is None or after is None:
        raise ValueError(f"--gate {gate.name}: the test images have no objects for this metric; remove it, or test on other images")
    change = after - before
    if change >= gate.limit:
        return ""
    return f"gate {gate.name} failed: {other['name']} has {after:.4f}, {baseline['name']} {before:.4f}: a difference of {change:+.4f}"


def _value(gate: Gate, row: Mapping[str, Any]) -> float | None:
    if gate.class_name is None:
        values = [row["test"].get(gate.metric)]
    else:
        key = _OF_CLASSES[gate.metric.lower()]
        values = [part[key] for run in row["runs"] for part in run["test_classes"] if part["name"] == gate.class_name]
    return known_mean(values)
