"""Precision and recall of label errors that are planted into a data set, at the top of the ranking of ``detkit data label-errors``.

    python tools/label_errors.py coco_sample --cache detections.npz --json label_errors.json

The errors are of three kinds, in equal numbers: a label is removed, shifted by a quarter to a half of its sides in a random direction, or
gets another class of the data at random. Labels that were wrong before count as right, so precision is a lower bound.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from detkit.arrays import Flags, Floats, Integers
from detkit.curation.label_errors.candidates import Candidate, ErrorKind
from detkit.curation.label_errors.detected import DetectedBoxes
from detkit.curation.label_errors.find import Detected, candidates_of, detect_parts
from detkit.curation.label_errors.overlaps import iou_matrix
from detkit.curation.label_errors.planting import exchanged
from detkit.curation.parts import LabeledParts, Part, read_parts

SHARE, SHIFT = 0.1, (0.25, 0.5)
KINDS = (ErrorKind.MISSING, ErrorKind.BOX, ErrorKind.CLASS)
RANKINGS = ("detkit", "confidence", "random")
AT = (50, 100)
Hits = list[tuple[float, bool]]
"""Score of each candidate, and whether it is a planted error."""


@dataclass(frozen=True, eq=False)
class Planted:
    """Labels with errors.

    Attributes:
        part: The images with the wrong labels.
        kinds: ``(N,)`` for each of its labels the kind of its error, an index of :data:`KINDS`, -1 for none.
        removed: For each image the boxes ``(R, 4)`` and classes ``(R,)`` of the labels that were removed.
    """

    part: Part
    kinds: Integers
    removed: list[tuple[Floats, Integers]]

    def total(self, kind: ErrorKind) -> int:
        """Return the number of planted errors of a kind."""
        if kind is ErrorKind.MISSING:
            return sum(len(labels) for _, labels in self.removed)
        return int((self.kinds == KINDS.index(kind)).sum())


def plant(part: Part, random: np.random.Generator, share: float = SHARE) -> Planted:
    """Return a part with planted errors in this share of its labels; crowds stay as they are."""
    records = part.data.records
    able = np.flatnonzero(~records.is_crowd)
    chosen = random.permutation(able)[: round(share * len(able))]
    kinds = np.full(len(records.labels), -1)
    kinds[chosen] = np.arange(len(chosen)) % len(KINDS)
    boxes, labels = records.boxes.copy(), records.labels.copy()
    boxes[kinds == 1] = _shifted(boxes[kinds == 1], records.sizes[records.image_index[kinds == 1]], random)
    labels[kinds == 2] = exchanged(labels[kinds == 2], np.unique(labels[able]), random)
    gone = kinds == 0
    removed = []
    for image in range(len(records)):
        rows = np.arange(records.offsets[image], records.offsets[image + 1])
        removed.append((records.boxes[rows[gone[rows]]], records.labels[rows[gone[rows]]]))
    changed = replace(records, columns={**records.columns, "boxes": boxes, "labels": labels})
    data = replace(part.data, records=changed, coco_file=None)
    return Planted(Part(data, part.names).where(~gone), kinds[~gone], removed)


def _shifted(boxes: Floats, sizes: Integers, random: np.random.Generator) -> Floats:
    """Return boxes moved by a quarter to a half of their sides, away from the border of the image if they would be cut by half."""
    sides = boxes[:, 2:] - boxes[:, :2]
    amount, angle = random.uniform(*SHIFT, (len(boxes), 1)), random.uniform(0, 2 * np.pi, len(boxes))
    shift = amount * sides * np.stack([np.cos(angle), np.sin(angle)], 1)
    limits = sizes[:, ::-1].astype(np.float32)
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    shift = np.where((center + shift < 0) | (center + shift > limits), -shift, shift)
    moved = boxes + np.tile(shift, 2)
    result: Floats = np.clip(moved, 0, np.tile(limits, 2)).astype(np.float32)
    return result


def measure(part: Part, detected: Detected, seeds: Sequence[int]) -> dict[str, Any]:
    """Return precision and recall at the top of each ranking for each kind and for all together, means over the seeds."""
    rows: dict[tuple[str, str], list[dict[str, float]]] = {}
    for seed in seeds:
        random = np.random.default_rng(seed)
        planted = plant(part, random)
        totals = {kind: planted.total(kind) for kind in KINDS}
        for ranking, hits in _rankings(planted, detected, random).items():
            for kind in KINDS:
                rows.setdefault((ranking, kind.value), []).append(_at_the_top(hits[kind], totals[kind]))
            rows.setdefault((ranking, "all"), []).append(_at_the_top(hits[None], sum(totals.values())))
    return {ranking: {name: _means(rows[ranking, name]) for name in (*(kind.value for kind in KINDS), "all")} for ranking in RANKINGS} | {
        "planted": {kind.value: count for kind, count in totals.items()}
    }


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]}


def _at_the_top(hits: Hits, total: int) -> dict[str, float]:
    right = np.array([hit for _, hit in sorted(hits, key=lambda one: -one[0])], np.float64)
    result = {}
    for name, count in (("planted", total), *((str(count), count) for count in AT)):
        found = float(right[:count].sum())
        result |= {f"precision at {name}": found / max(count, 1), f"recall at {name}": found / max(total, 1)}
    return result


def _rankings(planted: Planted, detected: Detected, random: np.random.Generator) -> dict[str, dict[ErrorKind | None, Hits]]:
    """Return the candidates of each ranking: ours, detection scores alone, and random numbers for the same candidates as the latter."""
    parts = LabeledParts("planted", {"train": planted.part})
    ours: dict[ErrorKind | None, Hits] = {kind: [] for kind in (*KINDS, None)}
    found: dict[int, list[Candidate]] = {}
    for one in candidates_of(parts, detected, min_score=0.0).candidates:
        found.setdefault(one.image, []).append(one)
    alone: dict[ErrorKind | None, Hits] = {kind: [] for kind in (*KINDS, None)}
    for image in range(len(planted.part)):
        _add(ours, planted, image, found.get(image, []))
        _add(alone, planted, image, _by_confidence(planted.part, detected, image))
    shuffled = {kind: [(float(random.random()), hit) for _, hit in hits] for kind, hits in alone.items()}
    return {"detkit": ours, "confidence": alone, "random": shuffled}


def _add(hits: dict[ErrorKind | None, Hits], planted: Planted, image: int, candidates: Sequence[Candidate]) -> None:
    """Judge the candidates of an image: a removed label needs a box of its class with IoU .5, others the label and the kind.

    In the ranking of all kinds together (None) a label occurs once, and its kind does not matter.
    """
    boxes, labels = planted.removed[image]
    names, first, free = planted.part.data.class_names, planted.part.data.records.offsets[image], np.ones(len(labels), np.bool_)
    seen: set[int] = set()
    for one in sorted(candidates, key=lambda one: -one.score):
        if one.row is not None:
            kind = planted.kinds[first + one.row - 1]
            hits[None] += [] if one.row in seen else [(one.score, bool(kind >= 0))]
            seen.add(one.row)
            hits[one.kind].append((one.score, bool(kind == KINDS.index(one.kind))))
            continue
        ious = iou_matrix(np.array([one.suggested_box], np.float32), boxes)[0]
        right: Flags = free & (ious >= 0.5) & (np.array([names[label] for label in labels.tolist()]) == one.suggested_class)
        for kind in (ErrorKind.MISSING, None):
            hits[kind].append((one.score, bool(right.any())))
        if right.any():
            free[np.flatnonzero(right)[0]] = False


def _by_confidence(part: Part, detected: Detected, image: int) -> list[Candidate]:
    """Return what detection scores alone say: unmatched detections by their score, labels by 1 - that of the best detection of their class.

    A label is a candidate of both kinds, as this ranking does not tell them apart.
    """
    records, boxes = part.data.records, detected.boxes["train"]
    rows, own = slice(*records.offsets[image : image + 2]), slice(*boxes.offsets[image : image + 2])
    ious = iou_matrix(records.boxes[rows], boxes.boxes[own])
    same = detected.classes.of_data[records.labels[rows]][:, None] == boxes.labels[own][None]
    support = np.where(same & (ious >= 0.5), boxes.scores[own][None], 0.0).max(1, initial=0.0)
    free = np.where(same, ious, 0.0).max(0, initial=0.0) < 0.5
    common = "train", image, ""
    labels = [
        Candidate(kind, *common, row + 1, "", None, "", None, 1 - float(support[row]), None)
        for row in np.flatnonzero(~records.is_crowd[rows]).tolist()
        for kind in (ErrorKind.BOX, ErrorKind.CLASS)
    ]
    missing = []
    for one in np.flatnonzero(free).tolist():
        box = tuple(boxes.boxes[own][one].tolist())
        name = detected.classes.data_name(int(boxes.labels[own][one]))
        missing.append(Candidate(ErrorKind.MISSING, *common, None, "", None, name, box, float(boxes.scores[own][one]), None))
    return labels + missing


def label_errors(data: str, model: str, seeds: int, cache: str | None) -> dict[str, Any]:
    """Detect once, and measure both halves of the images; see the module."""
    part = next(iter(read_parts(data).parts.values()))
    parts = LabeledParts(data, {"train": part})
    detected = _detect(parts, model, cache)
    order = np.random.default_rng(7).permutation(len(part))
    result: dict[str, Any] = {"data": Path(data).name, "model": model, "share": SHARE, "shift": SHIFT, "seeds": seeds}
    for name, images in (("tuned on", order[: len(order) // 2]), ("held out", order[len(order) // 2 :])):
        half = sorted(images.tolist())
        boxes = {"train": detected.boxes["train"].take(half)}
        result[name] = {"images": len(half), **measure(part.take(half), replace(detected, boxes=boxes), range(seeds))}
    return result


def _detect(parts: LabeledParts, model: str, cache: str | None) -> Detected:
    from detkit.curation.label_errors.classes import SharedClasses
    from detkit.inference import load
    from detkit.inference.sources import known_classes

    if cache is not None and Path(cache).is_file():
        columns = np.load(cache)
        boxes = DetectedBoxes(*(columns[name] for name in ("offsets", "boxes", "scores", "labels")))
        return Detected(model, SharedClasses.of(parts.class_names, known_classes(model)), {"train": boxes})
    detected = detect_parts(parts, load(model))
    if cache is not None:
        boxes = detected.boxes["train"]
        np.savez(cache, offsets=boxes.offsets, boxes=boxes.boxes, scores=boxes.scores, labels=boxes.labels)
    return replace(detected, predictor=None)


def text(result: Mapping[str, Any]) -> str:
    """Return the result as a table in Markdown."""
    lines = []
    for half in ("tuned on", "held out"):
        planted = result[half]["planted"]
        lines += [f"{half}: {result[half]['images']} images, {sum(planted.values())} planted errors, means of {result['seeds']} seeds", ""]
        names = ("planted", *map(str, AT))
        lines.append("| kind | ranking | " + " | ".join(f"precision at {name} | recall at {name}" for name in names) + " |")
        lines.append("| --- | --- |" + " --- |" * (2 * len(names)))
        for kind in (*planted, "all"):
            for ranking in RANKINGS:
                row = result[half][ranking][kind]
                cells = [f"{row[f'{measure} at {name}']:.3f}" for name in names for measure in ("precision", "recall")]
                lines.append(f"| {kind} | {ranking} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="labeled data; the first part is used")
    parser.add_argument("--model", default="embedded", help="the detector (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="how often errors are planted (default: %(default)s)")
    parser.add_argument("--cache", metavar="FILE", help="file (.npz) that keeps the detections, or has them")
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON")
    args = parser.parse_args(words)
    result = label_errors(args.data, args.model, args.seeds, args.cache)
    print(text(result))
    if args.json:
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
