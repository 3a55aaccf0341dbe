from __future__ import annotations

import pytest

from detkit.training.progress import Progress


def test_progress_by_steps_spreads_evaluations_evenly() -> None:
    progress = Progress(10, None, by_budget=False)
    due = []
    for step in range(11):
        progress.update(step, 0.0)
        due.append(progress.evaluations_due(3))
    assert due == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert progress.is_over(10, 0.0)
    assert not progress.is_over(9, 1e9)


def test_progress_by_budget_reserves_time_for_the_last_evaluation() -> None:
    progress = Progress(None, 10.0, by_budget=True)
    progress.update(1, 5.0)
    assert progress.fraction == pytest.approx(5 / 9.5)
    progress.reserve_evaluation(2.0)
    assert not progress.is_over(1, 7.7)
    assert progress.is_over(1, 7.8)
    progress.update(1, 5.0)
    assert progress.fraction == pytest.approx(5 / 7.8)
    progress.update(2, 5.0)
    progress.update(3, 5.5)
    assert not progress.is_over(3, 7.2)
    assert progress.is_over(3, 7.4)  # a step takes half a minute and no longer fits
