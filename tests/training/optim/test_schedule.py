from __future__ import annotations

import pytest

from detkit.training.optim.schedule import CosineConfig, MultistepConfig


def test_multistep_drops_at_its_milestones() -> None:
    schedule = MultistepConfig(warmup_steps=0, milestones=(0.5, 0.75), drop_factor=0.1)
    factors = [schedule.factor(step, step / 8) for step in range(8)]
    assert factors == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_cosine_falls_to_its_final_value() -> None:
    schedule = CosineConfig(warmup_steps=0, final_factor=0.2)
    assert schedule.factor(0, 0.0) == pytest.approx(1)
    assert schedule.factor(5, 0.5) == pytest.approx(0.6)
    assert schedule.factor(10, 1.0) == pytest.approx(0.2)


def test_warmup_rises_linearly_and_ends_with_the_shorter_of_its_limits() -> None:
    long = MultistepConfig(warmup_steps=10, warmup_fraction=1.0, warmup_start=0.0)
    assert [long.factor(step, step / 1000) for step in (0, 5, 10, 20)] == pytest.approx([0, 0.5, 1, 1])
    short = MultistepConfig(warmup_steps=1000, warmup_fraction=0.1, warmup_start=0.0)
    assert [short.factor(step, step / 100) for step in (0, 5, 10, 20)] == pytest.approx([0, 0.5, 1, 1])
