from __future__ import annotations

import numpy as np

from detkit.drawing.curves import SIZE, draw_curves
from detkit.drawing.palette import color_of


def test_curve_positions() -> None:
    image = draw_curves({"low": [(1, 0.0), (10, 0.0), (100, 0.0)], "high": [(1, 0.9), (100, 0.9)]}, "title", "number")
    assert image.shape == (*SIZE, 3)
    rows = [np.flatnonzero((image[:, 360] == color_of(number)).all(1)) for number in (0, 1)]
    assert rows[0].min() > 400  # 0 is at the bottom
    assert rows[1].max() < 120


def test_empty_curves_give_only_axes() -> None:
    for points in ([], [(1.0, float("nan"))], [(1.0, 0.5)]):
        assert draw_curves({"recall": points}, "title", "number").shape == (*SIZE, 3)
    assert draw_curves({}, "title", "number").std() > 0
