from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "inference"))

from bright import image, predictor

from detkit.inference import ImagePyramid


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"scales": ()}, "scales: expected factors up to 16 on the detector's own size, or short sides of at least 32 pixels; got none"),
        ({"scales": (1, 20)}, "short sides of at least 32 pixels; got 20"),
        ({"scales": (0,)}, "got 0"),
        ({"scales": (-1,)}, "got -1"),
        ({"scales": (float("nan"),)}, "got nan"),
        ({"scales": (float("inf"),)}, "got inf"),
        ({"scales": (0.5, 800)}, "but not both; got 0.5 800"),
        ({"sizes": ((0, 10),)}, "sizes: expected one range for each of 3 scales, got 1"),
        ({"scales": (1,), "sizes": ((10, 5),)}, "sizes: expected ranges (from, below) with 0 <= from < below, got (10, 5)"),
        ({"merge": "soft"}, "merge 'soft': expected one of hard, linear, gaussian, fusion"),
        ({"merge_iou": 2}, "merge_iou: expected a number from 0 to 1, got 2"),
        ({"min_score": -0.1}, "min_score: expected a number from 0 to 1, got -0.1"),
        ({"window_overlap": 1.0}, "window_overlap: expected a number from 0 to below 1, got 1"),
        ({"sigma": 0.0}, "sigma: expected a number above 0, got 0"),
    ],
)
def test_invalid_arguments(numbers: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        ImagePyramid(predictor(60), **numbers)


def test_invalid_image() -> None:
    pyramid = ImagePyramid(predictor(60))
    with pytest.raises(ValueError, match="expected an array of uint8"):
        pyramid(image() / 255)
    with pytest.raises(FileNotFoundError):
        pyramid("missing.jpg")
