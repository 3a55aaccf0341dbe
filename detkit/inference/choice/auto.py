"""The fastest runtime of a detector on this machine, measured once and remembered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from detkit.data.media.images import read_image
from detkit.data.media.sample import sample_photograph
from detkit.inference.choice.choose import cache_entry, missing_packages
from detkit.inference.choice.measure import milliseconds
from detkit.inference.choice.names import ENDINGS, TORCH, Wanted

_log = logging.getLogger(__name__)

Open = Callable[[str], Callable[[Any], Any]]
"""Opens a detector in a runtime, as a predictor."""


def fastest(wanted: Wanted, threads: int, open_predictor: Open) -> str:
    """Return the name of the runtime that is fastest here, of those that are installed and agree with PyTorch.

    The choice is remembered in the cache with its times, by precision and number of threads; remove the entry's folder to measure again.

    Args:
        wanted: The detector.
        threads: Number of threads.
        open_predictor: Opens the detector in a runtime; it raises an error for those that cannot run it.
    """
    entry, key = cache_entry(wanted), f"fastest, {wanted.precision}, {threads} threads"
    known = entry.record().get(key)
    if isinstance(known, dict) and _is_usable(known):
        _log.info("runtime: %s", _line(known, f"measured before, see {entry.folder}"))
        return str(known["runtime"])
    predictors, reasons = {TORCH: open_predictor(TORCH)}, {}
    for name in ENDINGS:
        try:
            predictors[name] = _opened(name, open_predictor)
        except (ValueError, ImportError, OSError) as error:
            reasons[name] = str(error)
    for name, reason in reasons.items():
        _log.info("runtime %s is not considered: %s", name, reason)
    if len(predictors) == 1:
        return TORCH
    times = milliseconds(predictors, [read_image(sample_photograph())])
    choice = {"runtime": min(times, key=times.__getitem__), "milliseconds": {name: round(time, 3) for name, time in times.items()}}
    entry.remember(key, choice)
    _log.info("runtime: %s", _line(choice, f"remembered in {entry.folder}"))
    return str(choice["runtime"])


def _opened(name: str, open_predictor: Open) -> Callable[[Any], Any]:
    missing = missing_packages(name)
    if missing:
        raise ImportError(f"{' and '.join(missing)} not installed")
    return open_predictor(name)


def _is_usable(choice: Mapping[str, Any]) -> bool:
    """Whether a remembered choice is complete, and what it names is still installed."""
    if not isinstance(choice.get("milliseconds"), dict):
        return False
    name = choice.get("runtime")
    return name == TORCH or (name in ENDINGS and not missing_packages(name))


def _line(choice: Mapping[str, Any], where: str) -> str:
    times = ", ".join(f"{name} {time:.1f}" for name, time in choice["milliseconds"].items())
    return f"{choice['runtime']}, the fastest on this machine ({times} ms per image; {where})"
