"""Successive halving: after a quarter of the training, and after a half, the worse half of the detectors is stopped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from detkit.checkpoint.atomic import write_json
from detkit.comparison.folder import ComparisonFolder, read_json
from detkit.comparison.plan import Unit
from detkit.comparison.running import Runner
from detkit.comparison.statistics import known_mean

RUNGS = (0.25, 0.5)
"""Fractions of the training at which the worse half is stopped."""


def run_halving(runner: Runner, units: Sequence[Unit]) -> None:
    """Train all units up to each fraction in turn, and stop the worse half of the detectors for good.

    A detector is as good as the mean of its newest validations over its seeds. One whose training has no validation until then goes on.

    Raises:
        KeyboardInterrupt: If it is interrupted.
    """
    folder, trained = runner.folder, [unit for unit in units if unit.is_training]
    for at in RUNGS:
        alive = [unit for unit in trained if not folder.is_stopped(unit)]
        runner.run(alive, at)
        values = {name: known_mean([_value(folder, unit) for unit in part]) for name, part in _by_entry(alive).items()}
        for name in hopeless(values):
            for unit in _by_entry(alive)[name]:
                if not folder.is_trained(unit):
                    write_json(
                        folder.stopped(unit), {"at": at, "value": values[name], "best": max(v for v in values.values() if v is not None)}
                    )
                    folder.clean(unit)
            runner.say(f"{name} is stopped after {at:g} of its training: val AP {values[name]:.3f} is in the worse half")


def _by_entry(units: Sequence[Unit]) -> dict[str, list[Unit]]:
    parts: dict[str, list[Unit]] = {}
    for unit in units:
        parts.setdefault(unit.entry.name, []).append(unit)
    return parts


def _value(folder: ComparisonFolder, unit: Unit) -> float | None:
    """Return the metric of a training at its pause, or of one that is finished already, the best one."""
    if folder.is_trained(unit):
        value: float | None = folder.record(unit).get("validation", {}).get("best", {}).get("AP")
        return value
    path = folder.rung(unit)
    return read_json(path).get("value") if path.is_file() else None


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
