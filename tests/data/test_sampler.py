from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest

from detkit.data.sampler import BatchPlan, RankBatches, SampleKey, aspect_groups, repeat_factors


def stream(plan: BatchPlan, steps: int) -> list[SampleKey]:
    return [key for step in range(steps) for key in plan.batch(step)]


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize(("count", "batch_size"), [(1, 1), (1, 4), (5, 16), (7, 3), (16, 4), (50, 8), (51, 8), (49, 50)])
def test_epochs_contain_every_image_once_and_are_consecutive(count: int, batch_size: int, grouped: bool) -> None:
    groups = np.arange(count) % 3 // 2 if grouped else None
    keys = stream(BatchPlan(count, batch_size, seed=4, groups=groups), steps=6 * count // batch_size + 8)
    epochs = [key.epoch for key in keys]
    assert epochs == sorted(epochs)
    for epoch in range(4):
        assert sorted(key.record for key in keys if key.epoch == epoch) == list(range(count))


def test_only_border_and_remainder_batches_mix_groups() -> None:
    groups = np.arange(103) % 3 // 2
    plan = BatchPlan(103, 8, seed=0, groups=groups)
    for epoch in range(5):
        steps = [step for step in range(80) if {key.epoch for key in plan.batch(step)} == {epoch}]
        mixed = [step for step in steps if len({groups[key.record] for key in plan.batch(step)}) > 1]
        assert len(steps) >= 11
        assert len(mixed) <= 1
        assert all(step == steps[-1] for step in mixed)


def test_epochs_and_seeds_differ_and_steps_are_independent() -> None:
    groups = np.arange(40) % 2
    plan = BatchPlan(40, 4, seed=7, groups=groups, repeats=np.linspace(1, 2.5, 40))
    again = BatchPlan(40, 4, seed=7, groups=groups, repeats=np.linspace(1, 2.5, 40))
    forward = [plan.batch(step) for step in range(60)]
    assert [again.batch(step) for step in (59, 3, 31, 0)] == [forward[step] for step in (59, 3, 31, 0)]
    orders = [[key.record for key in stream(BatchPlan(40, 40, seed=seed), 2)] for seed in (7, 8, -7)]
    assert len({tuple(order[:40]) for order in orders} | {tuple(order[40:]) for order in orders}) == 6


def test_epoch_of_step() -> None:
    plan = BatchPlan(10, 4)
    assert [plan.epoch_of(step) for step in range(6)] == [0, 0, 0, 1, 1, 2]
    assert plan.steps_per_epoch == 3
    assert BatchPlan(2, 8).steps_per_epoch == 1
    repeated = BatchPlan(10, 1, repeats=np.full(10, 1.5))
    assert [repeated.epoch_of(step) for step in range(40)] == [repeated.batch(step)[0].epoch for step in range(40)]
    assert repeated.steps_per_epoch == 15


def test_repetitions_are_rounded_per_epoch_and_numbered() -> None:
    repeats = np.array([1.0, 2.0, 1.25, 0.0, 3.5])
    keys = stream(BatchPlan(5, 1, seed=1, repeats=repeats), 800)
    whole = [key for key in keys if key.epoch < 80]
    assert len(set(whole)) == len(whole)
    for record, expected in enumerate(repeats):
        counts = Counter(key.epoch for key in whole if key.record == record)
        assert all(n in {int(np.floor(expected)), int(np.ceil(expected))} for n in counts.values())
        assert sum(counts.values()) / 80 == pytest.approx(expected, abs=0.2)
        assert {key.copy for key in whole if key.record == record} == set(range(int(np.ceil(expected))))


def test_processes_share_each_batch() -> None:
    plan = BatchPlan(11, 6, groups=np.arange(11) % 2)
    ranks = [list(RankBatches(plan, 2, 9, rank, 3)) for rank in range(3)]
    for number, step in enumerate(range(2, 9)):
        parts = [rank[number] for rank in ranks]
        assert [len(part) for part in parts] == [2, 2, 2]
        assert [part[index] for index in range(2) for part in parts] == plan.batch(step)
    assert len(RankBatches(plan, 2, 9)) == 7


def test_repeat_factors_are_those_of_lvis() -> None:
    labels, images = np.array([0, 0, 0, 1, 0, 0, 0]), np.array([0, 0, 1, 1, 2, 3, 4])
    factors = repeat_factors(labels, images, 8, threshold=0.5)
    assert factors.tolist() == pytest.approx([1, np.sqrt(0.5 * 8), 1, 1, 1, 1, 1, 1])
    assert repeat_factors(labels[:0], images[:0], 3, 0.5).tolist() == [1, 1, 1]


def test_aspect_groups() -> None:
    assert aspect_groups(np.array([[4, 3], [3, 4], [5, 5]])).tolist() == [1, 0, 0]


def test_large_data_sets_start_quickly_at_any_step() -> None:
    plan = BatchPlan(118_000, 16, groups=np.arange(118_000) % 3 // 2, repeats=np.full(118_000, 1.2))
    start = time.process_time()
    assert len(plan.batch(90_000)) == 16
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchPlan(0, 4), "expected at least one image, got none; is the data set, or this split of it, empty?"),
        (lambda: BatchPlan(4, 0), "batch_size: expected at least 1, got 0"),
        (lambda: BatchPlan(4, 1, groups=np.zeros(3, np.int64)), "groups: expected 4 numbers, one per image, got 3"),
        (
            lambda: BatchPlan(2, 1, repeats=np.array([0.5, 0.5])),
            "repeats: expected finite numbers, none negative and at least one of 1 or more",
        ),
        (lambda: RankBatches(BatchPlan(4, 3), world=2), "a global batch of 3 images cannot be shared equally by 2 processes"),
        (lambda: RankBatches(BatchPlan(4, 2), rank=2, world=2), "rank: expected 0 to 1, got 2"),
        (lambda: RankBatches(BatchPlan(4, 2), 5, 4), "expected 0 <= start_step <= stop_step, got 5 and 4"),
    ],
)
def test_invalid_arguments(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        make()
