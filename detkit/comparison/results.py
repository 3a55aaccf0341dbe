"""The results of a comparison, computed from stored detections alone, as JSON."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detkit.comparison.folder import ComparisonFolder, read_json
from detkit.comparison.fractions import learning_curve
from detkit.comparison.masks import MaskJudge
from detkit.comparison.plan import Entry, Plan, Unit
from detkit.comparison.session import Session
from detkit.comparison.statistics import METRICS, RESAMPLES, Estimate, Samples, difference, estimate, image_weights, known_mean, samples
from detkit.evaluation.coco import coco_numbers
from detkit.evaluation.coco_curves import curves
from detkit.evaluation.evaluator import Evaluator
from detkit.evaluation.ground_truth import GroundTruth
from detkit.weights import EMBEDDED

FASTER = 1.2
"""Ratio of latencies from which one detector counts as faster than another."""


MAX_UNEVEN = 1.25
"""Ratio of the images that two runs of a detector see in equal minutes above which the machine was not equally fast."""


@dataclass(frozen=True, eq=False)
class Judged:
    """A detector with all its runs on all training images.

    Attributes:
        entry: What was compared.
        runs: Facts and numbers of each run.
        samples: The metrics of each run, with bootstrap resamples.
    """

    entry: Entry
    runs: tuple[dict[str, Any], ...]
    samples: tuple[Samples, ...]

    def estimates(self) -> dict[str, Estimate]:
        """Return the mean over the runs with its intervals, by metric."""
        return {name: estimate([run[name] for run in self.samples]) for name in self.samples[0]}


def judge(session: Session, resamples: int = RESAMPLES, progress: Callable[[str], None] = lambda name: None) -> dict[str, Any]:
    """Return the results of everything that is evaluated.

    Args:
        session: The comparison.
        resamples: Number of bootstrap resamples of the test images.
        progress: Called with the name of each run.
    """
    truth, val = ground_truth(session), ground_truth(session, "val")
    weights = image_weights(len(truth.image_ids), resamples)
    judged, masks = list[Judged](), MaskJudge(session)
    for entry in session.plan.entries:
        runs, found = [], []
        for unit in _evaluated(session, entry, 1.0):
            progress(unit.name)
            segm = masks.numbers(session.folder.table(unit, "test"), session.folder.masks(unit, "test"))
            runs.append({**run_facts(session.folder, unit, truth, val), **({} if segm is None else {"test_masks": segm})})
            found.append(samples(truth, session.folder.table(unit, "test"), weights))
        if runs:
            judged.append(Judged(entry, tuple(runs), tuple(found)))
    latency = latencies(session.folder)
    rows = [_entry_row(one, latency.get(one.entry.slug)) for one in judged]
    pairs = [_pair_row(one, other) for one, other in combinations(judged, 2)]
    advice = advise(judged, latency)
    return {
        "resamples": resamples,
        "images": len(truth.image_ids),
        "boxes": sum(not row["iscrowd"] for row in truth.annotations),
        "classes": list(truth.categories.values()),
        "entries": rows,
        "pairs": pairs,
        "best": advice.best,
        "recommended": advice.recommended,
        "command": training_command(session.plan, advice.recommended or advice.best),
        "advice": advice.sentence,
        "fractions": _learning_curves(session, truth, weights),
        "uneven": uneven_runs(rows) if session.plan.protocol.budget is not None else [],
        "stopped": [unit.name for unit in session.units() if session.folder.is_stopped(unit)],
        "missing": [unit.name for unit in session.units() if not session.folder.is_evaluated(unit) and not session.folder.is_stopped(unit)],
    }


def _learning_curves(session: Session, truth: GroundTruth, weights: NDArray[np.int32]) -> list[dict[str, Any]]:
    """Return the learning curve of each detector that was trained on several fractions of the images."""
    curves_of_all = []
    for entry in session.plan.entries if session.plan.protocol.fractions else ():
        images, runs = [], []
        for fraction in sorted(session.plan.protocol.fractions):
            found = [samples(truth, session.folder.table(unit, "test"), weights)["AP"] for unit in _evaluated(session, entry, fraction)]
            if found:
                images.append(session.parts.images_in(fraction))
                runs.append(found)
        if images:
            curves_of_all.append({"name": entry.name, **learning_curve(images, runs)})
    return curves_of_all


def ground_truth(session: Session, part: str = "test") -> GroundTruth:
    """Return the ground truth of the test or validation images."""
    data = session.parts.data[part]
    return Evaluator(data, data.class_names).ground_truth


def _evaluated(session: Session, entry: Entry, fraction: float) -> list[Unit]:
    return [
        unit
        for unit in session.units()
        if unit.entry.name == entry.name and unit.fraction == fraction and session.folder.is_evaluated(unit)
    ]


def run_facts(folder: ComparisonFolder, unit: Unit, truth: GroundTruth, val: GroundTruth) -> dict[str, Any]:
    """Return the cost of a run and its numbers on all validation and test images."""
    record, evaluation = folder.record(unit), folder.evaluation(unit)
    table = folder.table(unit, "test")
    numbers = coco_numbers(truth, curves(truth, table, "hotcoco"), "hotcoco")
    if record:
        folder.add_test(unit, {"data": truth.name, "precision": evaluation.get("precision"), **numbers.to_dict()})
    cost = {name: record.get(name) for name in ("core_minutes", "wall_minutes", "steps", "images_seen", "reason", "parameters")}
    return {
        "name": unit.name,
        "seed": unit.seed,
        "fraction": unit.fraction,
        **cost,
        "core_minutes_by_stage": record.get("core_minutes_by_stage"),
        "processor": record.get("machine", {}).get("processor"),
        "precision": evaluation.get("precision"),
        "val": _numbers_on(folder, unit, "val", val),
        "test": dict(numbers.values),
        "test_classes": [{"name": row.name, "ap": row.ap, "ap50": row.ap50, "ap75": row.ap75, "ar": row.ar} for row in numbers.classes],
        "detections": len(table),
    }


def _numbers_on(folder: ComparisonFolder, unit: Unit, part: str, truth: GroundTruth) -> dict[str, float] | None:
    """Return the COCO metrics on a part of the data; None without detections on it."""
    if not folder.detections(unit, part).is_file():
        return None
    return dict(coco_numbers(truth, curves(truth, folder.table(unit, part), "hotcoco"), "hotcoco").values)


def uneven_runs(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line for each detector whose runs saw very different numbers of images in equal core-minutes.

    A core does less in a minute while other programs use the machine, or on another processor. Then minutes are not equal work.
    """
    lines = []
    for row in rows:
        images = [run["images_seen"] for run in row["runs"] if run.get("images_seen")]
        if images and max(images) > MAX_UNEVEN * min(images):
            lines.append(f"{row['name']}: {min(images):,} to {max(images):,} images")
    return lines


def latencies(folder: ComparisonFolder) -> dict[str, dict[str, Any]]:
    """Return the times per image that were measured together, by slug; empty if there are none."""
    if not folder.latency.is_file():
        return {}
    rows: dict[str, dict[str, Any]] = read_json(folder.latency).get("detectors", {})
    return rows


def _entry_row(one: Judged, latency: Mapping[str, Any] | None) -> dict[str, Any]:
    entry = one.entry
    means = {name: _mean([run["test"][name] for run in one.runs]) for name in one.runs[0]["test"]}
    of_masks = [run["test_masks"]["values"] for run in one.runs if "test_masks" in run]
    masks = {name: _mean([values[name] for values in of_masks]) for name in of_masks[0]} if len(of_masks) == len(one.runs) else None
    return {
        "name": entry.name,
        "slug": entry.slug,
        "title": entry.title,
        "year": entry.year,
        "kind": entry.kind,
        "trials": entry.trials,
        "test": means,
        "test_masks": masks,
        "estimates": {name: value.to_dict() for name, value in one.estimates().items()},
        "val": _mean([(run["val"] or {}).get("AP") for run in one.runs]),
        "latency": None if latency is None else dict(latency),
        "runs": list(one.runs),
    }


def _mean(values: Sequence[float | None]) -> float:
    mean = known_mean(values)
    return math.nan if mean is None else mean


def _pair_row(one: Judged, other: Judged) -> dict[str, Any]:
    row: dict[str, Any] = {"one": one.entry.name, "other": other.entry.name}
    for name in METRICS:
        value, wins = difference([run[name] for run in one.samples], [run[name] for run in other.samples])
        row[name] = {**value.to_dict(), "wins": wins, "certain": value.is_certain}
    return row


@dataclass(frozen=True)
class Advice:
    """What to take.

    Attributes:
        best: Name of the detector with the highest AP; None if there is none.
        recommended: Name of the detector to take; None if the data does not decide.
        sentence: The advice in one sentence.
    """

    best: str | None
    recommended: str | None
    sentence: str


def advise(judged: Sequence[Judged], latency: Mapping[str, Mapping[str, Any]]) -> Advice:
    """Return advice that the intervals support: the best detector, or the fastest of those that do not differ from it significantly."""
    known = [one for one in judged if math.isfinite(one.estimates()["AP"].mean)]
    if not known:
        return Advice(None, None, "No detector has an AP on these images, so there is nothing to recommend.")
    ranked = sorted(known, key=lambda one: -one.estimates()["AP"].mean)
    best = ranked[0]
    if len(ranked) == 1:
        return Advice(best.entry.name, None, f"Only {best.entry.name} was evaluated, so there is nothing to compare it with.")
    gaps = [(other, difference([r["AP"] for r in best.samples], [r["AP"] for r in other.samples])[0]) for other in ranked[1:]]
    tied = [other for other, gap in gaps if not gap.is_certain]
    if not tied:
        other, gap = gaps[0]
        low, high = gap.interval
        margin = f"{gap.mean:.3f} ({low:.3f} to {high:.3f}) over {other.entry.name}"
        sentence = f"Take {best.entry.name}: its AP is higher than that of every other, by {margin}."
        return Advice(best.entry.name, best.entry.name, sentence)
    return _among_tied(best, tied, latency)


def _among_tied(best: Judged, tied: Sequence[Judged], latency: Mapping[str, Mapping[str, Any]]) -> Advice:
    names = [one.entry.name for one in tied]
    listed = " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names) if len(names) < 5 else f"{len(names)} others"
    unclear = f"{best.entry.name} has the highest AP, but these images and seeds cannot tell it from {listed}"
    times = {one.entry.name: latency[one.entry.slug]["median"] for one in (best, *tied) if _is_together(latency, one)}
    if len(times) == len(tied) + 1:
        fastest = min(times, key=lambda name: times[name])
        others = sorted(time for name, time in times.items() if name != fastest)
        if others[0] >= FASTER * times[fastest]:
            text = f"{unclear}; of these take {fastest}, the fastest with {1000 * times[fastest]:.0f} ms an image."
            return Advice(best.entry.name, fastest, text)
    return Advice(best.entry.name, None, f"{unclear}; more test images or more seeds would.")


def _is_together(latency: Mapping[str, Mapping[str, Any]], one: Judged) -> bool:
    """Whether a detector was measured in the same process as the newest ones."""
    return one.entry.slug in latency and not latency[one.entry.slug].get("earlier")


_INIT_KEYS = {
    "imagenet": ("weights=none",),
    "coco": (f"weights={EMBEDDED}",),
    "scratch": ("weights=none", "model.backbone.weights=none", "model.backbone.frozen_stages=0"),
}


def training_command(plan: Plan, name: str | None) -> str:
    """Return the command that trains a detector on the same data for as long as it is configured; empty for what was not trained."""
    entry = next((entry for entry in plan.entries if entry.name == name), None)
    if entry is None or entry.kind != "config":
        return ""
    protocol = plan.protocol
    words = ["detkit", "train", entry.source, "--data", protocol.data]
    words += ["--images", protocol.images] if protocol.images else []
    keys = [f"model.backbone.name={protocol.backbone}"] if protocol.backbone else []
    return shlex.join([*words, *keys, *_INIT_KEYS.get(protocol.init or "", ()), *protocol.overrides, *entry.overrides])
