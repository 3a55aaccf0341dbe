"""Time per image of all detectors of a comparison, measured in turn in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from detkit.checkpoint.atomic import write_json
from detkit.comparison.folder import read_json
from detkit.config import Config
from detkit.data import SourceConfig, read_source
from detkit.data.media.images import read_image

IMAGES, ROUNDS = 8, 3
"""Test images, evenly spaced, and how often each is shown to each detector."""
LONGEST_SECONDS = 60.0
"""Seconds after which a detector is not measured again, so that slow ones do not hold up the others."""


class LatencyTask(Config):
    """The detectors to measure."""

    kind: Literal["latency"] = "latency"
    """Kind of the task."""
    models: dict[str, str]
    """Checkpoint, run, exported file or published name by the detector's slug."""
    images: SourceConfig
    """The test images."""
    output: str
    """File of the times."""
    device: str = "auto"
    """Device of the detectors."""
    runtime: str | None = None
    """Name of their runtime; exported files run in their own."""


def latency_task(task: LatencyTask) -> None:
    """Load all detectors, measure them in turn and write the times.

    Detectors that were measured before, and whose checkpoint is no longer here, keep their times, marked as ``earlier``.
    """
    from detkit.experiment.results import machine_facts
    from detkit.inference import load
    from detkit.inference.runtime import is_exported

    runtimes = {name: None if is_exported(model) else task.runtime for name, model in task.models.items()}
    predictors = {name: load(model, task.device, runtime=runtimes[name]) for name, model in task.models.items()}
    data = read_source(task.images)
    count = min(IMAGES, len(data))
    images = [read_image(data.records[index * len(data) // count].path) for index in range(count)]
    times = measure(predictors, images)
    rows = {}
    for name, seconds in times.items():
        predictor = predictors[name]
        facts = {"precision": predictor.precision, "device": str(predictor.device), "model": Path(task.models[name]).name}
        rows[name] = {"median": statistics.median(seconds), "low": min(seconds), "high": max(seconds), "times": len(seconds), **facts}
    earlier = {name: {**row, "earlier": True} for name, row in _measured(Path(task.output)).items() if name not in rows}
    write_json(Path(task.output), {"images": count, "detectors": {**earlier, **rows}, **machine_facts()})


def _measured(path: Path) -> dict[str, dict[str, Any]]:
    """Return the times of detectors that were measured before."""
    rows: dict[str, dict[str, Any]] = read_json(path)["detectors"] if path.is_file() else {}
    return rows


def measure(
    predictors: Mapping[str, Callable[[Any], Any]],
    images: Sequence[Any],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return the seconds of each call, from decoded pixels to detections, proposals included.

    Every detector is warmed up by one image; then each image goes to all detectors in turn, so that a change of the machine's speed
    affects all of them.
    """
    times: dict[str, list[float]] = {name: [] for name in predictors}
    for predictor in predictors.values():
        predictor(images[0])
    for _ in range(rounds):
        for image in images:
            for name, predictor in predictors.items():
                if times[name] and sum(times[name]) > LONGEST_SECONDS:
                    continue
                start = clock()
                predictor(image)
                times[name].append(clock() - start)
    return times
