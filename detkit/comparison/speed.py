"""Speed of one detector in several runtimes and precisions, measured in turn in one process."""

from __future__ import annotations

import copy
import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from detkit.arrays import ImageArray
from detkit.inference import Predictor, load
from detkit.inference.exported.runtime import ExportedRuntime
from detkit.inference.sources import checkpoint_path
from detkit.inference.torch_runtime import TorchRuntime
from detkit.weights import embedded_onnx_path, require_embedded_path

LONGEST_SECONDS = 60.0
"""Seconds after which a side is not measured again, so that a slow one does not hold up the others."""
STAGES = ("preprocessing", "network", "postprocessing")
_PEAK = """
import json, sys
from detkit.inference import load
from detkit.machine import peak_memory
options = json.loads(sys.argv[1])
predictor = load(options.pop("model"), options.pop("device"), options.pop("precision"), **options)
predictor(sys.argv[2])
print("peak", (peak_memory() or [0])[0])
"""


@dataclass(frozen=True)
class Side:
    """A runtime with a precision."""

    runtime: str
    precision: str

    def __str__(self) -> str:
        return f"{self.runtime} {self.precision}"


@dataclass
class Speed:
    """The figures of one side.

    Attributes:
        seconds: Seconds of each call with one image, from decoded pixels to detections.
        stages: Seconds of each part of these calls.
        batches: Images per second by batch size.
        file_bytes: Size of the file that runs.
        peak_bytes: Peak memory of a process that loads the detector and detects once; None if the system does not report it.
        ap: COCO's AP on labeled images, if it was evaluated.
    """

    seconds: list[float] = field(default_factory=list)
    stages: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STAGES})
    batches: dict[int, float] = field(default_factory=dict)
    file_bytes: int | None = None
    peak_bytes: int | None = None
    ap: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures for JSON, with percentiles in milliseconds."""
        shares = {name: round(1000 * statistics.median(values), 3) for name, values in self.stages.items() if values}
        times = {f"p{percent}_ms": round(1000 * percentile(self.seconds, percent), 3) for percent in (50, 95)}
        return {**times, **asdict(self), "stages": shares}


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that is at least as large as this percentage of the values; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else math.nan


def open_sides(
    model: str | Path, sides: Sequence[Side], device: str, options: Mapping[str, Any]
) -> tuple[dict[Side, Predictor], dict[Side, str]]:
    """Load a detector in every runtime and precision.

    Args:
        model: What :func:`detkit.load` takes.
        sides: Runtimes and precisions.
        device: Name of the device.
        options: Further options of :func:`detkit.load`.

    Returns:
        The predictors, and the reasons why others cannot run.
    """
    opened: dict[Side, Predictor] = {}
    reasons: dict[Side, str] = {}
    for side in sides:
        try:
            opened[side] = load(model, device, side.precision, runtime=side.runtime, min_score=0.0, **options)
        except (ValueError, ImportError, OSError) as error:
            reasons[side] = str(error)
    return opened, reasons


def measure(predictors: Mapping[Side, Predictor], image: ImageArray, rounds: int, batch_sizes: Sequence[int] = ()) -> dict[Side, Speed]:
    """Time predictors in turn, round by round, so that a change of the machine's speed affects all of them.

    Args:
        predictors: The predictors.
        image: ``(H, W, 3)`` uint8 RGB.
        rounds: Timed calls of each with one image.
        batch_sizes: Numbers of images that run together, each timed a quarter as often.
    """
    speeds = {side: Speed() for side in predictors}
    for predictor in predictors.values():
        for _ in range(2):
            predictor(image)
    for _ in range(rounds):
        for side, predictor in predictors.items():
            if sum(speeds[side].seconds) < LONGEST_SECONDS:
                _time_once(predictor, image, speeds[side])
    for size in batch_sizes:
        for side, seconds in _batches(predictors, image, size, max(3, rounds // 4)).items():
            speeds[side].batches[size] = size / seconds
    return speeds


def _time_once(predictor: Predictor, image: ImageArray, speed: Speed) -> None:
    with _timed_network(predictor) as network:
        start = _now(predictor)
        prepared = predictor.prepare(image)
        middle = _now(predictor)
        predictor.detect([prepared])
        end = _now(predictor)
    speed.seconds.append(end - start)
    parts = (middle - start, sum(network), end - middle - sum(network))
    for name, seconds in zip(STAGES, parts, strict=True):
        speed.stages[name].append(seconds)


@contextmanager
def _timed_network(predictor: Predictor) -> Iterator[list[float]]:
    """Time the calls of the network alone: of :meth:`Detector.raw`, or of the library that runs a file, with the NMS inside it."""
    runtime, seconds = predictor.runtime, list[float]()
    owner, name = (runtime.detector, "raw") if isinstance(runtime, TorchRuntime) else (runtime, "run")
    function: Callable[..., Any] | None = getattr(owner, name, None)
    if function is None:
        yield seconds
        return

    def timed(*arguments: Any, **options: Any) -> Any:
        start = _now(predictor)
        result = function(*arguments, **options)
        seconds.append(_now(predictor) - start)
        return result

    owner.__dict__[name] = timed
    try:
        yield seconds
    finally:
        del owner.__dict__[name]


def _now(predictor: Predictor) -> float:
    if getattr(predictor.device, "type", "cpu") == "cuda":
        torch.cuda.synchronize(predictor.device)
    return time.perf_counter()


def _batches(predictors: Mapping[Side, Predictor], image: ImageArray, size: int, rounds: int) -> dict[Side, float]:
    """Return the median seconds of a batch."""
    together = {side: _with_batch_size(predictor, size) for side, predictor in predictors.items()}
    times: dict[Side, list[float]] = {side: [] for side in together}
    for number in range(rounds + 1):  # the first round warms up
        for side, predictor in together.items():
            if sum(times[side]) < LONGEST_SECONDS:
                start = _now(predictor)
                predictor([image] * size)
                times[side] += [_now(predictor) - start] if number else []
    return {side: statistics.median(seconds) for side, seconds in times.items()}


def _with_batch_size(predictor: Predictor, size: int) -> Predictor:
    other = copy.copy(predictor)
    other.batch_size = size
    return other


def file_bytes(model: str | Path, predictor: Predictor) -> int | None:
    """Return the size of the files that a predictor runs."""
    runtime = predictor.runtime
    if isinstance(runtime, ExportedRuntime):
        weights = runtime.path.with_suffix({".xml": ".bin"}.get(runtime.path.suffix, runtime.path.suffix))
        if runtime.path == embedded_onnx_path():
            weights = require_embedded_path()
        return sum(path.stat().st_size for path in {runtime.path, weights})
    checkpoint = checkpoint_path(model)
    return None if checkpoint is None else checkpoint.stat().st_size


def peak_bytes(model: str | Path, side: Side, device: str, options: Mapping[str, Any], image: Path) -> int | None:
    """Return the peak memory of a new process that loads a detector and detects once; None if it fails or is not reported."""
    given = {"model": str(model), "device": device, "min_score": 0.0, **asdict(side), **options}
    command = [sys.executable, "-c", _PEAK, json.dumps(given), str(image)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    words = run.stdout.split()
    return (int(words[-1]) or None) if run.returncode == 0 and words else None
