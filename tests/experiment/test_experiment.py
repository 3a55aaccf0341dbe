from __future__ import annotations

import json
from pathlib import Path

import pytest

from detkit.config import ConfigError, apply_overrides
from detkit.experiment import Experiment, GradientStageConfig
from detkit.experiment.results import TrainResult, machine_facts, write_results
from detkit.experiment.resume import check_resumable, resumed_config
from detkit.training.config import EarlyStoppingConfig, EMAConfig, TrainingConfig
from detkit.training.folder import RunFolder
from detkit.training.optim.optimizer import AdamWConfig
from detkit.training.optim.schedule import CosineConfig


def full() -> Experiment:
    """Return a config in which every union has its non-default member."""
    training = TrainingConfig(budget=3.5, schedule_by="budget", ema=EMAConfig(), early_stopping=EarlyStoppingConfig())
    stages = (GradientStageConfig(frozen=("neck",), optimizer=AdamWConfig(lr=1e-3)), GradientStageConfig(schedule=CosineConfig()))
    return Experiment(name="full", optimizer=AdamWConfig(), schedule=CosineConfig(), training=training, stages=stages, seed=7)


@pytest.mark.parametrize("config", [Experiment(), full()])
def test_an_experiment_round_trips_through_json(config: Experiment) -> None:
    again = Experiment.from_json(config.to_json())
    assert again == config
    assert type(again.optimizer) is type(config.optimizer)
    assert type(again.model) is type(config.model)


def test_overrides_reach_every_group() -> None:
    overrides = ["optimizer=adamw", "optimizer.lr=0.002", "training.ema.decay=0.9", "data=folder", "model.backbone.name=resnet18"]
    config = apply_overrides(Experiment(), [*overrides, "model.backbone.weights=none", "stages.0.frozen=neck,rpn", "schedule=cosine"])
    assert isinstance(config.optimizer, AdamWConfig)
    assert config.optimizer.lr == 0.002
    assert config.training.ema == EMAConfig(decay=0.9)
    assert config.data.train.path == "folder"
    assert config.model.backbone.weights is None
    assert config.stages[0].frozen == ("neck", "rpn")


def test_a_stage_uses_the_experiments_settings_by_default() -> None:
    first, second = (stage.build(full()) for stage in full().stages)
    assert first.optimizer == AdamWConfig(lr=1e-3)
    assert second.optimizer == AdamWConfig()
    assert second.training.budget == 3.5
    assert first.frozen == ("neck",)


def test_settings_that_may_change_on_resume(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.config.write_text(full().to_json())
    more = resumed_config(folder, None, ["training.budget=9", "loader.workers=0", "evaluation.drawn_images=2"])
    assert more.training.budget == 9
    with pytest.raises(ConfigError, match=r"cannot change: seed = 8 \(the run has 7\)"):
        resumed_config(folder, None, ["seed=8"])
    with pytest.raises(ConfigError, match="optimizer.kind = sgd"):
        check_resumable(folder, full().replace(optimizer=Experiment().optimizer))


def test_results_are_json_without_nan(tmp_path: Path) -> None:
    numbers = {"AP": 0.5, "APl": float("nan")}
    facts = {"revision": None, **machine_facts()}
    result = TrainResult(tmp_path, "finished", False, 3, 12, 1.25, numbers, numbers, 3, tmp_path / "best.safetensors", facts)
    write_results(tmp_path / "results.json", full().to_json(), result)
    text = (tmp_path / "results.json").read_text()
    row = json.loads(text)
    assert "NaN" not in text
    assert row["validation"]["best"] == {"AP": 0.5, "APl": None}
    assert row["name"] == "full"
    assert row["versions"]["detkit"]
    assert Experiment.from_json(json.dumps(row["config"])) == full()
