from __future__ import annotations

import math

import pytest

from detkit.config import ConfigError
from detkit.training.optim.schedule import CosineConfig, FlatCosineConfig, MultistepConfig


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


def _published(step: int, total: int, warmup: int, flat: int, no_augmentation: int) -> float:
    """Return the factor of DEIM's ``flat_cosine_schedule`` with a minimum of half the learning rate."""
    if step <= warmup:
        return (step / warmup) ** 2
    if step <= flat:
        return 1.0
    if step >= total - no_augmentation:
        return 0.5
    return 0.5 + 0.5 * 0.5 * (1 + math.cos(math.pi * (step - flat) / (total - flat - no_augmentation)))


@pytest.mark.parametrize(("epochs", "flat", "no_augmentation"), [(132, 64, 12), (58, 29, 8), (10, 10, 0), (10, 2, 0), (10, 6, 4)])
def test_flat_cosine_equals_the_published_formula(epochs: int, flat: int, no_augmentation: int) -> None:
    per_epoch, warmup = 50, 90
    total = epochs * per_epoch
    schedule = FlatCosineConfig(
        warmup_steps=warmup, warmup_fraction=1.0, flat_until=flat / epochs, cosine_until=(epochs - no_augmentation) / epochs
    )
    factors = [schedule.factor(step, step / total) for step in range(total + 1)]
    assert factors == pytest.approx(
        [_published(step, total, warmup, flat * per_epoch, no_augmentation * per_epoch) for step in range(total + 1)]
    )
    assert factors[0] == 0
    assert factors[-1] == pytest.approx(1.0 if flat == epochs else 0.5)


def test_flat_cosine_phases_are_in_order() -> None:
    with pytest.raises(ConfigError, match=r"expected flat_until <= cosine_until, got 0\.5 and 0\.4"):
        FlatCosineConfig(flat_until=0.5, cosine_until=0.4)


def test_a_linear_warmup_and_a_constant_rate_are_those_of_rt_detr() -> None:
    duration = 500  # LinearWarmup of RT-DETR's code: min(1, (step + 1) / duration); its only milestone is after the end of the run
    schedule = MultistepConfig(warmup_steps=duration - 1, warmup_fraction=1.0, warmup_start=1 / duration, milestones=())
    factors = [schedule.factor(step, step / 10_000) for step in range(10_000)]
    assert factors == pytest.approx([min(1.0, (step + 1) / duration) for step in range(10_000)])
