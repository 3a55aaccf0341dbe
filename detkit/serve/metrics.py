"""Metrics in Prometheus' text format (exposition format 0.0.4)."""

from __future__ import annotations

import bisect
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

Labels = tuple[str, ...]
"""Values of the labels of a series, in the order of their names."""


class Metric:
    """A metric with labels.

    Args:
        name: Its name, with the unit at the end.
        help_text: Its meaning.
        labels: Names of its labels.
    """

    kind = "counter"

    def __init__(self, name: str, help_text: str, labels: Sequence[str] = ()) -> None:
        self.name, self.help_text, self.labels = name, help_text, tuple(labels)
        self._lock = threading.Lock()
        self._values: dict[Labels, float] = defaultdict(float)

    def add(self, *labels: str, amount: float = 1.0) -> None:
        """Add to a series."""
        with self._lock:
            self._values[labels] += amount

    def lines(self) -> Iterator[str]:
        """Yield the lines of the metric."""
        yield f"# HELP {self.name} {self.help_text}"
        yield f"# TYPE {self.name} {self.kind}"
        yield from self._samples()

    def _samples(self) -> Iterator[str]:
        with self._lock:
            values = sorted(self._values.items())
        for labels, value in values:
            yield _sample(self.name, dict(zip(self.labels, labels, strict=True)), value)


class Gauge(Metric):
    """A metric whose values are computed when they are read.

    Args:
        name: Its name.
        help_text: Its meaning.
        labels: Names of its labels.
        read: Returns the value of each series.
    """

    kind = "gauge"

    def __init__(self, name: str, help_text: str, labels: Sequence[str], read: Callable[[], Mapping[Labels, float]]) -> None:
        super().__init__(name, help_text, labels)
        self._read = read

    def _samples(self) -> Iterator[str]:
        for labels, value in self._read().items():
            yield _sample(self.name, dict(zip(self.labels, labels, strict=True)), value)


class Histogram(Metric):
    """A metric that counts values by size.

    Args:
        name: Its name, with the unit at the end.
        help_text: Its meaning.
        labels: Names of its labels.
        bounds: Upper bounds of the buckets, ascending.
    """

    kind = "histogram"

    def __init__(self, name: str, help_text: str, labels: Sequence[str], bounds: Sequence[float]) -> None:
        super().__init__(name, help_text, labels)
        self._bounds = tuple(bounds)
        self._counts: dict[Labels, list[int]] = defaultdict(lambda: [0] * (len(self._bounds) + 1))

    def observe(self, value: float, *labels: str) -> None:
        """Count a value."""
        with self._lock:
            self._counts[labels][bisect.bisect_left(self._bounds, value)] += 1
            self._values[labels] += value

    def _samples(self) -> Iterator[str]:
        with self._lock:
            rows = sorted((labels, list(counts), self._values[labels]) for labels, counts in self._counts.items())
        for labels, counts, total in rows:
            named = dict(zip(self.labels, labels, strict=True))
            running = 0
            for bound, count in zip((*map(_number, self._bounds), "+Inf"), counts, strict=True):
                running += count
                yield _sample(f"{self.name}_bucket", {**named, "le": bound}, running)
            yield _sample(f"{self.name}_sum", named, total)
            yield _sample(f"{self.name}_count", named, running)


def exposition(metrics: Sequence[Metric]) -> str:
    """Return metrics as text."""
    return "".join(f"{line}\n" for metric in metrics for line in metric.lines())


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    text = ",".join(f'{key}="{_escape(label)}"' for key, label in labels.items())
    return f"{name}{{{text}}} {_number(value)}" if text else f"{name} {_number(value)}"


def _escape(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
