"""Successive halving: after a quarter of the training, and after a half, the worse half of the detectors is stopped."""

from __future__ import annotations

import math
from collections.abc import Mapping

from detkit.comparison.folder import metrics_rows
from detkit.comparison.plan import Unit
from detkit.training.folder import RunFolder

RUNGS = (0.25, 0.5)
"""Fractions of the training at which the worse half is stopped."""


def last_value(run: RunFolder, unit: Unit) -> float | None:
    """Return the best metric of a run's newest evaluation; None if there was none."""
    experiment = unit.entry.experiment
    name = "AP" if experiment is None else experiment.training.best_metric
    values = [row["evaluation"].get(name) for row in metrics_rows(run) if "evaluation" in row]
    return values[-1] if values else None


def hopeless(values: Mapping[str, float | None]) -> tuple[str, ...]:
    """Return the names of the worse half, without those that have no value yet.

    The better half is kept, the middle one of an odd number too. With equal values at the limit, all of them are kept.
    """
    known = sorted((value for value in values.values() if value is not None and math.isfinite(value)), reverse=True)
    if len(values) < 2 or not known:
        return ()
    kept = math.ceil(len(values) / 2)
    limit = known[min(kept, len(known)) - 1]
    return tuple(name for name, value in values.items() if value is not None and math.isfinite(value) and value < limit)
