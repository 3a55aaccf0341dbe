"""COCO results files and their ground truth, and the JSON files of a run."""

from __future__ import annotations

import json
import math
from pathlib import Path
from random import Random
from typing import Any

from detkit.config import load_config
from detkit.evaluation.files import evaluate_coco_files, evaluate_voc_files
from detkit.experiment import Experiment

from .case import Case, expect
from .labels import coco_content
from .mutate import dump_json, mutate_value


def results_content() -> list[dict[str, Any]]:
    """Return valid results for :func:`~fuzzing.labels.coco_content`."""
    return [
        {"image_id": 1, "category_id": 3, "bbox": [1, 2, 10, 12], "score": 0.9},
        {"image_id": 2, "category_id": 7, "bbox": [3, 2, 20, 9.5], "score": 1},
        {"image_id": 2, "category_id": 3, "bbox": [0.0, 0, 5, 5], "score": 0.25},
    ]


def results(rng: Random, folder: Path) -> Case:
    """A results file with its ground truth, one of which is changed."""
    truth, found = folder / "truth.json", folder / "results.json"
    changed = rng.random() < 0.7
    truth.write_bytes(dump_json(rng, coco_content() if changed else mutate_value(rng, coco_content())))
    found.write_bytes(dump_json(rng, mutate_value(rng, results_content()) if changed else results_content()))
    rule = rng.choice(("hotcoco", "pycocotools", "voc"))
    return Case(lambda: _evaluate(truth, found, rule), (truth.name, found.name))


def _evaluate(truth: Path, found: Path, rule: Any) -> None:
    values = evaluate_voc_files(truth, found).values if rule == "voc" else list(evaluate_coco_files(truth, found, rule).values.values())
    expect(all(math.isnan(value) or -1e-9 <= value <= 1 + 1e-9 for value in values), f"metrics outside of 0 to 1: {values}")


def config(rng: Random, folder: Path) -> Case:
    """The ``config.json`` of a run."""
    path = folder / "config.json"
    path.write_bytes(dump_json(rng, mutate_value(rng, json.loads(Experiment().to_json()))))
    return Case(lambda: _round_trip(path), (path.name,))


def _round_trip(path: Path) -> None:
    read = load_config(path, Experiment)
    expect(Experiment.from_json(read.to_json()) == read, "a config that its own JSON does not restore")
