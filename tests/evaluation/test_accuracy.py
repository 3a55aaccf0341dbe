from __future__ import annotations

import numpy as np
import pytest

from detkit.evaluation.accuracy import accuracy


def test_top_1_top_5_and_the_mean_over_classes() -> None:
    guesses = [[0, 1], [0, 2], [1, 0], [3, 4, 5, 6, 1, 2], [3, 4, 5, 6, 0, 1]]
    found = accuracy([0, 0, 0, 1, 1], guesses, 7)
    assert found.values == pytest.approx({"top1": 2 / 5, "top5": 4 / 5, "balanced": (2 / 3 + 0) / 2})
    assert found.counts.tolist() == [3, 2, 0, 0, 0, 0, 0]
    assert found.by_class[:2] == pytest.approx([2 / 3, 0])
    assert np.isnan(found.by_class[2:]).all()
    assert found.confusion[0].tolist() == [2, 1, 0, 0, 0, 0, 0]
    assert found.confusion[1].tolist() == [0, 0, 0, 2, 0, 0, 0]


def test_no_images() -> None:
    with pytest.raises(ValueError, match="expected as many guesses as labels, and at least one, got 0 and 0"):
        accuracy([], [], 3)
