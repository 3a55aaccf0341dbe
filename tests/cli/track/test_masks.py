"""``detkit track`` with a detector that has masks: they are written with the tracks, and drawn in their colors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bright import MaskedDetector, predictor
from videos import film

import detkit.inference
from detkit.cli.main import main
from detkit.data.media.video import Video
from detkit.drawing.masks import FILL
from detkit.drawing.palette import color_of
from detkit.structures.run_lengths import mask_array


def test_tracks_have_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any, **options: Any) -> Any:
        made = predictor(60, **options)
        return type(made)(MaskedDetector(), made.preprocess, made.class_names, "cpu", "fp32", reference=True, **options)

    monkeypatch.setattr(detkit.inference, "load", load)
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "a.mp4", frames=4)
    assert main(["track", "a.mp4", "--model", "bright", "--json", "a.json", "--output", "drawn", "--trail", "0"]) == 0
    (source,) = json.loads(Path("a.json").read_text())["sources"]
    assert [len(frame["tracks"]) for frame in source["frames"]] == [0, 2, 2, 2]
    for frame in source["frames"]:
        for row in frame["tracks"]:
            mask, (x1, y1, x2, y2) = mask_array(row["mask"]), row["box"]
            assert mask.shape == (60, 80)
            assert mask.sum() == pytest.approx((x2 - x1) * (y2 - y1), rel=0.35)  # the film is compressed
    drawn = list(Video(Path("drawn/a.mp4")).frames())[-1].pixels
    green = next(row for row in source["frames"][-1]["tracks"] if row["class"] == "green")
    x, y = round((green["box"][0] + green["box"][2]) / 2), round(green["box"][3]) - 3
    scale = drawn.shape[0] // 60
    expected = (1 - FILL) * np.array([0, 255, 0]) + FILL * np.array(color_of(green["track"] - 1))
    assert np.abs(drawn[y * scale, x * scale] - expected).max() < 45  # compressed
