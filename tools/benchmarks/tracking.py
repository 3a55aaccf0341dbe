"""Accuracy of trackers on generated clips, and their speed: ``tools/benchmark.py tracking``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from benchmarks.timing import Report
from detkit.arrays import Doubles, Integers
from detkit.cli.report import table
from detkit.evaluation.tracks import TrackNumbers, TrackRows, combine, evaluate_sequence
from detkit.evaluation.tracks.clips import Clip, DetectorErrors, make_clip
from detkit.structures.detection import DetectionArrays
from detkit.tracking import ExternalTracker, Tracker
from detkit.tracking.external import external_names

OURS: dict[str, dict[str, Any]] = {
    "sort": {},
    "sort, observation-centric": {"observation_centric": True},
    "sort, all classes": {"class_aware": False},
    "bytetrack": {},
    "bytetrack, observation-centric": {"observation_centric": True},
    "bytetrack, all classes": {"class_aware": False},
}
"""Settings of our trackers by name."""
METRICS = ("IDF1", "HOTA", "MOTA", "IDSW")
MISSED = (0.0, 0.1, 0.3)
MILLISECONDS = {"": 2.0, "observation-centric": 4.0}
"""Longest median time of an update with 100 objects."""
_RESAMPLES, _COMBINED = 10_000, 500
"""Bootstrap resamples of means, and of metrics of all clips together."""
_NEEDS_MODELS = "trackers:mcbyte"
"""Without the masks of other models, it is trackers:botsort with other thresholds."""


def tracking(clips: int, frames: int, rounds: int) -> Report:
    """Judge all trackers on the same clips and detections, at several fractions of missed detections, and time ours."""
    made = [make_clip(seed, frames=frames) for seed in range(clips)]
    names = (*OURS, *_others())
    rows = [row for missed in MISSED for row in _judged(names, made, missed)]
    times = _times(rounds)
    title = f"Trackers on {clips} generated clips of {frames} frames with 20 photographed objects; simulated detections"
    return Report(
        title,
        notes=[_accuracy_table(rows), _differences(rows), "", "Time of update with 100 objects on one core:", _time_table(times)],
        numbers={
            "packages": {name: metadata.version(name) for name in ("scipy", "numpy", *(("trackers", "supervision") if _others() else ()))},
            "detector": {"missed": MISSED, "jitter": DetectorErrors().jitter, "false_alarms": DetectorErrors().false_alarms},
            "confused": DetectorErrors().confused,
            "trackers": rows,
            "update_milliseconds": times,
        },
    )


def _others() -> tuple[str, ...]:
    """Return the trackers of the package trackers; none if it is not installed."""
    try:
        return tuple(name for name in external_names() if name != _NEEDS_MODELS)
    except ImportError:
        return ()


def _tracker(name: str) -> Any:
    return ExternalTracker(name) if name not in OURS else Tracker(name.split(",")[0], **OURS[name])


def _judged(names: Sequence[str], clips: Sequence[Clip], missed: float) -> list[dict[str, Any]]:
    """Return the metrics of each tracker, of all clips together and of each, with intervals over the clips."""
    errors = DetectorErrors(missed=missed)
    inputs = [(clip.truth(), clip.detections(errors, seed)) for seed, clip in enumerate(clips)]
    rows = []
    for name in names:
        numbers = [evaluate_sequence(truth, _tracked(_tracker(name), found), frames=len(found)) for truth, found in inputs]
        together = combine(numbers).as_dict()
        each = {metric: [row.as_dict()[metric] for row in numbers] for metric in METRICS}
        intervals = {metric: _interval(numbers, metric) for metric in METRICS[:2]}
        rows.append(
            {
                "tracker": name,
                "missed": missed,
                **{metric: together[metric] for metric in METRICS},
                "intervals": intervals,
                "mostly_tracked": sum(int(row.clear.mostly_tracked) for row in numbers),
                "clips": each,
            }
        )
    return rows


def _tracked(tracker: Any, frames: Sequence[DetectionArrays]) -> TrackRows:
    """Return the tracks of a clip of 30 frames a second."""
    found = [tracker.update(detections, number / 30) for number, detections in enumerate(frames)]
    counts = [len(tracks) for tracks in found]
    ids: Integers = np.concatenate([tracks.ids for tracks in found])
    boxes: Doubles = np.concatenate([tracks.boxes for tracks in found]).astype(np.float64)
    scores: Doubles = np.concatenate([tracks.scores for tracks in found]).astype(np.float64)
    return TrackRows(np.repeat(np.arange(1, len(found) + 1), counts), ids, boxes, scores, np.ones(len(ids), np.int64))


def _interval(numbers: Sequence[TrackNumbers], metric: str) -> list[float]:
    """Return the 95 % interval of a metric of all clips together, from a bootstrap over the clips."""
    random = np.random.default_rng(0)
    drawn = random.integers(0, len(numbers), (_COMBINED, len(numbers)))
    values = [_metric([numbers[index] for index in row], metric) for row in drawn.tolist()]
    return np.percentile(values, [2.5, 97.5]).tolist()


def _metric(numbers: Sequence[TrackNumbers], metric: str) -> float:
    parts: Any = [row.identity for row in numbers] if metric == "IDF1" else [row.hota for row in numbers]
    return float(type(parts[0]).sum(parts).as_dict()[metric])


def _accuracy_table(rows: Sequence[dict[str, Any]]) -> str:
    header = ("missed", "tracker", "IDF1", "95 %", "HOTA", "MOTA", "id switches")
    lines = []
    for row in rows:
        low, high = row["intervals"]["IDF1"]
        numbers = [f"{row[metric]:.3f}" for metric in ("IDF1", "HOTA", "MOTA")]
        lines.append((f"{row['missed']:.0%}", row["tracker"], numbers[0], f"{low:.3f} to {high:.3f}", *numbers[1:], str(int(row["IDSW"]))))
    return table(lines, header, {"missed", "IDF1", "HOTA", "MOTA", "id switches"})


def _differences(rows: Sequence[dict[str, Any]]) -> str:
    """Return the IDF1 of each tracker minus that of sort with 30 % missed, clip by clip, with a 95 % interval."""
    most = [row for row in rows if row["missed"] == MISSED[-1]]
    base = np.array(most[0]["clips"]["IDF1"])
    random = np.random.default_rng(0)
    drawn = random.integers(0, len(base), (_RESAMPLES, len(base)))
    lines = ["", f"IDF1 minus that of {most[0]['tracker']}, mean over the clips, {MISSED[-1]:.0%} missed (95 %):"]
    for row in most[1:]:
        difference = np.array(row["clips"]["IDF1"]) - base
        low, high = np.percentile(difference[drawn].mean(1), [2.5, 97.5])
        lines.append(f"  {row['tracker']}: {difference.mean():+.3f} ({low:+.3f} to {high:+.3f})")
    return "\n".join(lines)


def _times(rounds: int) -> list[dict[str, Any]]:
    """Time the updates of our trackers with 100 detections on 100 tracks or more; the process's own time, in milliseconds."""
    frames = crowd()
    result = []
    for name, settings in OURS.items():
        times = []
        for _ in range(rounds):
            tracker = Tracker(name.split(",")[0], **settings)
            times += [_milliseconds(lambda tracker=tracker, row=row: tracker.update(row)) for row in frames][10:]
        target = MILLISECONDS["observation-centric" if settings.get("observation_centric") else ""]
        quick = {"median": statistics.median(times), "p95": float(np.percentile(times, 95)), "longest": max(times)}
        result.append({"tracker": name, **quick, "target": target})
    return result


def crowd(objects: int = 100, frames: int = 120, missed: float = 0.1) -> list[DetectionArrays]:
    """Return detections of objects that move through a square of 2000 px, some of them missed in each frame and one false alarm."""
    random = np.random.default_rng(0)
    centers, speeds = random.uniform(0, 2000, (objects, 2)), random.normal(0, 4, (objects, 2))
    sizes, labels = random.uniform(30, 90, (objects, 2)), random.integers(0, 80, objects)
    result = []
    for frame in range(frames):
        seen = np.flatnonzero(random.random(objects) >= (missed if frame % 2 else 0))
        center = centers + frame * speeds
        boxes = np.concatenate([center - sizes / 2, center + sizes / 2], axis=1) + random.normal(0, 1, (objects, 4))
        result.append(DetectionArrays(boxes[seen].astype(np.float32), random.uniform(0.65, 1, len(seen)).astype(np.float32), labels[seen]))
    return result


def _milliseconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return 1000 * (time.process_time() - start)


def _time_table(times: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            row["tracker"],
            *(f"{row[name]:.2f}" for name in ("median", "p95", "longest")),
            f"{row['target']:g} ms: {'reached' if row['median'] <= row['target'] else 'MISSED'}",
        )
        for row in times
    ]
    return table(rows, ("tracker", "median ms", "95 % ms", "longest ms", "target"), {"median ms", "95 % ms", "longest ms"})
