from __future__ import annotations

import numpy as np
import pytest

from detkit.evaluation.accuracy import accuracy


def test_top1_top5_and_balanced_accuracy() -> None:
    predictions = [[0, 1], [0, 2], [1, 0], [3, 4, 5, 6, 1, 2], [3, 4, 5, 6, 0, 1]]
    result = accuracy([0, 0, 0, 1, 1], predictions, 7)
    assert result.values == pytest.approx({"top1": 2 / 5, "top5": 4 / 5, "balanced": (2 / 3 + 0) / 2})
    assert result.counts.tolist() == [3, 2, 0, 0, 0, 0, 0]
    assert result.by_class[:2] == pytest.approx([2 / 3, 0])
    assert np.isnan(result.by_class[2:]).all()
    assert result.confusion[0].tolist() == [2, 1, 0, 0, 0, 0, 0]
    assert result.confusion[1].tolist() == [0, 0, 0, 2, 0, 0, 0]


def test_no_images_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected equally many predictions and labels, at least one, got 0 and 0"):
        accuracy([], [], 3)
