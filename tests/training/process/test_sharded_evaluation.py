"""An evaluation divided among processes has exactly the metrics of one process; threads stand for the processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from detkit.data import DetectionData, ImageRecord
from detkit.structures import Detections, Targets
from detkit.training import validation
from detkit.training.process.distributed import Processes
from detkit.training.run import EvaluationStopped, Run
from detkit.training.validation import EvaluationConfig, Validation

MakeRun = Callable[..., Run]


@dataclass
class Exchange:
    """Values that the threads of a group exchange."""

    world: int
    values: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.barrier, self.values = threading.Barrier(self.world), [None] * self.world


@dataclass(frozen=True)
class ThreadProcesses(Processes):
    """Processes that exchange their values within this one."""

    exchange: Exchange = field(default_factory=lambda: Exchange(1))

    def gather(self, value: Any) -> list[Any]:
        self.exchange.values[self.rank] = value
        self.exchange.barrier.wait(60)
        values = list(self.exchange.values)
        self.exchange.barrier.wait(60)
        return values

    def broadcast(self, value: Any) -> Any:
        return self.gather(value)[0]


def make_data(count: int) -> DetectionData:
    """Return images whose objects are at random; every third image, and the first one, has none."""
    records, random = [], np.random.default_rng(0)
    for index in range(count):
        corners = torch.from_numpy(random.uniform(0, 60, (0 if index % 3 == 0 else index % 4 + 1, 2))).float()
        boxes = torch.cat([corners, corners + 30], 1)
        records.append(ImageRecord(Path(f"{index}.png"), index + 1, (100, 100), Targets.of(boxes, torch.arange(len(boxes)) % 2)))
    return DetectionData.of("toy", ["red", "green"], records)


def detect_records(predictor: object, data: DetectionData, threads: int) -> Any:
    """Yield the objects of each image, moved, with scores of which many are equal; none on every fifth image."""
    for record in data.records:
        random = torch.Generator().manual_seed(int(record.image_id))
        boxes = record.targets.boxes + 4 * torch.randn(record.targets.boxes.shape, generator=random).abs()
        keep = slice(0, 0) if record.image_id % 5 == 0 else slice(None)
        scores = (torch.rand(len(boxes), generator=random) * 3).floor() / 3 + 0.1
        yield record, Detections(boxes[keep], scores[keep].sort(descending=True).values, record.targets.labels[keep])


@pytest.fixture
def evaluate(toy_run: MakeRun, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, int], list[tuple[dict[str, float], Run]]]:
    """Return a function that evaluates images in processes, and returns the metrics and the run of each."""
    monkeypatch.setattr(validation, "detect_records", detect_records)
    monkeypatch.setattr(validation, "Predictor", lambda *args, **more: SimpleNamespace(max_detections=None, cut_images=0))

    def one(count: int, processes: Processes) -> tuple[dict[str, float], Run]:
        run = toy_run(f"run-{processes.world}-{processes.rank}", processes=processes)
        run.header = {**run.header, "class_names": ("red", "green")}
        return Validation.build(make_data(count), EvaluationConfig(drawn_images=0), run)(run.detector, 3), run

    def in_processes(count: int, world: int) -> list[tuple[dict[str, float], Run]]:
        exchange = Exchange(world)
        with ThreadPoolExecutor(world) as pool:
            return list(pool.map(lambda rank: one(count, ThreadProcesses(rank, rank, world, exchange=exchange)), range(world)))

    return in_processes


@pytest.mark.parametrize(("count", "world"), [(13, 2), (13, 3), (12, 3), (1, 2), (2, 3)])
def test_the_metrics_are_exactly_those_of_one_process(
    count: int, world: int, evaluate: Callable[[int, int], list[tuple[dict[str, float], Run]]]
) -> None:
    """Also if the images cannot be divided evenly, if they have no objects, and if there are fewer than processes."""
    ((alone, run),) = evaluate(count, 1)
    several = evaluate(count, world)
    for metrics, _ in several:
        np.testing.assert_equal(metrics, alone)  # NaN equals NaN: data without objects has no AP
    assert several[0][1].operating_points == run.operating_points
    kept, expected = several[0][1].detections, run.detections
    assert kept is not None
    assert expected is not None
    assert kept.images == expected.images
    for name in ("counts", "boxes", "scores", "labels"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(expected, name))
    assert (alone["AP"] > 0) == (count > 1)


def test_an_evaluation_that_one_process_stops_is_stopped_in_all(evaluate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(predictor: object, data: DetectionData, threads: int) -> Any:
        for record, detections in detect_records(predictor, data, threads):
            if record.image_id == 4:
                return
            yield record, detections

    monkeypatch.setattr(validation, "detect_records", stopped)
    with pytest.raises(EvaluationStopped):
        evaluate(5, 2)


def test_the_images_are_divided_without_gaps() -> None:
    data = make_data(7)
    parts = [data.take(range(rank, 7, 3)) for rank in range(3)]
    assert sorted(record.image_id for part in parts for record in part.records) == list(range(1, 8))
