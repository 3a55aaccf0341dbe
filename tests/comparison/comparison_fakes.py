"""A small labeled data set for the tests of comparisons, and a process that trains nothing."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np

from detkit.comparison.detections import write_detections
from detkit.comparison.folder import ComparisonFolder
from detkit.comparison.latency import LatencyTask
from detkit.comparison.plan import Plan, Protocol
from detkit.comparison.things import build_plan
from detkit.comparison.work import EvaluationTask, TrainTask, results_task
from detkit.config import Config
from detkit.evaluation.mask_runs import box_runs

CLASSES = ("cell", "Zelle β")


def write_data(folder: Path, images: int = 12, splits: tuple[str, ...] = (), masks: bool = False) -> Path:
    """COCO files with one box of each class in every image; with splits, one file each; with masks, three quarters of each box are one."""
    random = np.random.default_rng(0)
    for number, split in enumerate(splits or ("",)):
        rows, boxes = [], []
        for index in range(images):
            image_id = 1 + index + 1000 * number
            name = f"{split}{image_id}.png"
            (folder / "images" / split).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / "images" / split / name), random.integers(0, 255, (64, 96, 3), np.uint8))
            rows.append({"id": image_id, "file_name": name, "height": 64, "width": 96})
            for category in (1, 2):
                box = [float(v) for v in (5 + 40 * (category - 1), 5 + index % 7, 30, 40)]
                row = {"id": len(boxes) + 1, "image_id": image_id, "category_id": category, "bbox": box, "area": 1200.0, "iscrowd": 0}
                x, y, right, bottom = box[0], box[1], box[0] + 30, box[1] + 30
                boxes.append({**row, **({"segmentation": [[x, y, right, y, right, bottom, x, bottom]]} if masks else {})})
        content = {"images": rows, "annotations": boxes, "categories": [{"id": n, "name": name} for n, name in enumerate(CLASSES, 1)]}
        path = folder / ("annotations" if split else "") / (f"instances_{split}.json" if split else "instances.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content), "utf-8")
    return folder


def plan_for(data: Path, *words: str, **protocol: Any) -> Plan:
    """The plan of a comparison on the data."""
    return build_plan(words or ("ssd_lite0_bccd", "detr_lite0_bccd"), Protocol(data=str(data), **{"steps": 2, "seeds": 2, **protocol}))


class FakeProcess:
    """Pretends to train and to evaluate: finds every object, with a quality that depends on the name of the detector.

    Attributes:
        quality: Shift of the boxes in pixels, by the beginning of the name of a unit.
        fails: Names of units whose training fails.
        log: What was started, in order.
        masks: Whether the detections have masks, which fill their boxes.
    """

    quality: ClassVar[dict[str, float]] = {}
    fails: ClassVar[tuple[str, ...]] = ()
    log: ClassVar[list[tuple[str, str]]] = []
    masks: ClassVar[bool] = False

    def __init__(self, task: Config, output: Path) -> None:
        self.task, self.output = task, output
        type(self).log.append((str(task.kind), output.parent.name))  # type: ignore[attr-defined]
        self.code: int | None = None

    def poll(self) -> int | None:
        if self.code is None:
            self.code = self.work()
        return self.code

    def stop(self) -> None:
        self.code = 143

    def kill(self) -> None:
        self.code = -9

    def work(self) -> int:
        name = self.output.parent.name
        if isinstance(self.task, TrainTask):
            if name.startswith(self.fails or ("\0",)):
                self.output.write_text("a line\nerror: no such luck\n", "utf-8")
                return 2
            return self.train(self.task, name)
        if isinstance(self.task, LatencyTask):
            rows = {slug: {"median": 0.02, "low": 0.01, "high": 0.05} for slug in self.task.models}
            Path(self.task.output).write_text(json.dumps({"images": 1, "detectors": rows}), "utf-8")
            return 0
        assert isinstance(self.task, EvaluationTask)
        results_task(self.task) if self.task.kind == "results" else self.evaluate(self.task, name)
        return 0

    def train(self, task: TrainTask, name: str) -> int:
        run = Path(str(task.experiment.output))
        run.mkdir(parents=True, exist_ok=True)
        value = 1 - self.shift(name) / 40
        rows = [{"step": 1, "evaluation": {"AP": value}}]
        (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
        (run / "config.json").write_text(task.experiment.to_json(), "utf-8")
        if task.pause_at is not None:
            (run / "last.state").write_bytes(b"state")
            return 143
        numbers = {"AP": value}
        result = {"name": name, "seed": task.experiment.seed, "reason": "budget", "steps": 2, "images_seen": 8, "core_minutes": 1.5}
        result |= {"validation": {"best_step": 2, "best": numbers, "last": numbers}, "parameters": 1000, "wall_minutes": 1.0}
        (run / "results.json").write_text(json.dumps(result), "utf-8")
        (run / "best.safetensors").write_bytes(b"weights")
        return 0

    def shift(self, name: str) -> float:
        return next((value for start, value in self.quality.items() if name.startswith(start)), 0.0)

    def evaluate(self, task: EvaluationTask, name: str) -> None:
        from detkit.data import read_source
        from detkit.evaluation.dataset_truth import image_numbers

        folder, random = Path(task.output), np.random.default_rng(zlib.crc32(name.encode()))
        for part, source in task.parts.items():
            data = read_source(source)
            numbers = image_numbers(data)
            rows, masks = [], []
            for record in data.records:
                for box, label in zip(record.targets.boxes.tolist(), record.targets.labels.tolist(), strict=True):
                    x = box[0] + self.shift(name) * random.uniform(0.5, 1.5)
                    sides = box[2] - box[0], box[3] - box[1]
                    rows.append([numbers[record.image_id], x, box[1], *sides, random.uniform(0.5, 1), data.category_ids[label]])
                    masks.append(box_runs((x, box[1], *sides), record.size))
            write_detections(folder / f"{part}.npz", np.array(rows, np.float64).reshape(-1, 7), masks if self.masks else None)
        (folder / "evaluation.json").write_text(json.dumps({"precision": "fp32"}), "utf-8")


def fresh(**values: Any) -> type[FakeProcess]:
    """A class of processes with a log of its own."""
    return type("Fresh", (FakeProcess,), {"log": [], **values})


def folder_in(path: Path) -> ComparisonFolder:
    """The folder of a comparison."""
    return ComparisonFolder(path / "comparison")
