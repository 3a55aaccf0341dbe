from __future__ import annotations

import pytest

from detkit.training.stages import split_budget


def test_the_unclaimed_budget_is_divided_among_the_other_stages() -> None:
    assert split_budget([None, 0.3, 0.1, None]) == pytest.approx([0.3, 0.3, 0.1, 0.3])
    assert split_budget([0.5, 0.25]) == [0.5, 0.25]
    with pytest.raises(ValueError, match="budget_share add up to 1.2, expected at most 1$"):
        split_budget([0.7, 0.5])
    with pytest.raises(ValueError, match="add up to 1, expected less than 1, as 1 other stages need a share too"):
        split_budget([0.7, 0.3, None])
