"""The scores at which a detector works best: found by the validation of a training, kept in its checkpoints, used by detection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from detkit.checkpoint import load_checkpoint, read_header
from detkit.checkpoint.operating_points import OperatingPoint, OperatingPoints
from detkit.data import SourceConfig, read_source
from detkit.data.synthetic import make_sample
from detkit.structures import Detections
from detkit.training import validation
from detkit.training.config import TrainingConfig
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.run import Run
from detkit.training.stages import GradientStage, run_stages
from detkit.training.validation import EvaluationConfig, Validation

MakeRun = Callable[..., Run]
STAGES = [GradientStage(TrainingConfig(steps=4, evaluations=2, precision="fp32"), SGDConfig(lr=0.1), CosineConfig())]


def points(score: float) -> OperatingPoints | None:
    return OperatingPoints.of((OperatingPoint("all", score, 0.5, 0.5, 0.5),), "val", 3)


def test_the_best_and_the_newest_checkpoint_have_their_own(toy_run: MakeRun) -> None:
    run = toy_run()

    def evaluate(model: torch.nn.Module, step: int) -> dict[str, float]:
        run.operating_points = points(0.1 * step)
        return {"AP": 1.0 / step}

    run.data = replace(run.data, evaluate=evaluate)
    run_stages(run, STAGES)
    assert load_checkpoint(run.folder.best).operating_points == points(0.2)
    assert load_checkpoint(run.folder.last).operating_points == points(0.4)
    run.folder.last.unlink()
    again = toy_run(evaluate=evaluate)
    run_stages(again, STAGES, resume=True)  # nothing is left to do, and the checkpoint is written again from the state
    assert load_checkpoint(again.folder.last).operating_points == points(0.4)
    assert load_checkpoint(again.folder.best).operating_points == points(0.2)


def test_without_points_the_header_has_none(toy_run: MakeRun) -> None:
    run = toy_run(evaluate=lambda model, step: {"AP": 0.5})
    run_stages(run, STAGES)
    assert "operating_points" not in read_header(run.folder.best)


def test_a_validation_finds_the_score_with_the_best_f1(toy_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_sample(tmp_path / "data", images=2, val_images=4, seed=1)
    data = read_source(config.val or SourceConfig())
    run = toy_run()
    run.header = {**run.header, "class_names": data.class_names}

    def detect_records(predictor: object, data: Any, threads: int) -> Any:
        for record in data.records:
            boxes = record.targets.boxes
            wrong = Detections(boxes + 500, torch.full((len(boxes),), 0.1), record.targets.labels)
            right = Detections(boxes, torch.full((len(boxes),), 0.142), record.targets.labels)
            yield record, Detections.cat([right, wrong])

    monkeypatch.setattr(validation, "detect_records", detect_records)
    monkeypatch.setattr(validation, "Predictor", lambda *args, **more: SimpleNamespace(max_detections=None, cut_images=0))
    validate = Validation.build(data, EvaluationConfig(drawn_images=0), run)
    validate(run.detector, 3)
    assert run.operating_points is not None
    assert run.operating_points.overall == OperatingPoint("all", pytest.approx(0.142), 1.0, 1.0, 1.0)
    assert run.operating_points.images == 4
    assert run.operating_points.data == data.name
    assert run.operating_points.classes.keys() <= set(data.class_names)
