from __future__ import annotations

import pytest

from detkit.config import Config, ConfigError
from detkit.training.config import EMAConfig, TrainingConfig
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig
from detkit.training.optim.schedule import CosineConfig, MultistepConfig


def test_a_run_without_limits_has_twelve_epochs() -> None:
    assert TrainingConfig().total_steps(100, 4) == 300
    assert TrainingConfig(steps=50, epochs=12).total_steps(100, 4) == 50
    assert TrainingConfig(epochs=0.5).total_steps(100, 4) == 12
    assert TrainingConfig(budget=3).total_steps(100, 4) is None
    assert TrainingConfig(budget=3).follows_budget
    assert not TrainingConfig(budget=3, epochs=12).follows_budget


@pytest.mark.parametrize("config", [SGDConfig(lr=0.1), AdamWConfig(), MultistepConfig(), CosineConfig(), TrainingConfig(ema=EMAConfig())])
def test_configs_round_trip_through_json(config: Config) -> None:
    assert type(config).from_json(config.to_json()) == config


def test_schedule_by_budget_needs_a_budget() -> None:
    with pytest.raises(ConfigError, match="needs training.budget"):
        TrainingConfig(schedule_by="budget")
