"""Validation of a model with masks: segm AP next to box AP, kept and drawn masks, and data without masks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.data import DetectionData, SourceConfig, read_source
from detkit.structures import Detections, Masks
from detkit.training.kept_detections import LAST, KeptDetections, keep
from detkit.training.validation import EvaluationConfig, Validation

SIZE = (80, 100)


def dataset(folder: Path, masks: bool = True) -> DetectionData:
    """Three images, the last without objects."""
    outline = {"segmentation": [[10, 10, 50, 10, 50, 60, 10, 60]]} if masks else {}
    row = {"category_id": 1, "bbox": [10, 10, 40, 50], "area": 2000, "iscrowd": 0, **outline}
    names = [f"{number}.png" for number in (1, 2, 3)]
    content = {
        "images": [{"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]} for number, name in enumerate(names, 1)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{**row, "id": number, "image_id": number} for number in (1, 2)],
    }
    (folder / "truth.json").write_text(json.dumps(content))
    for name in names:
        Image.new("RGB", SIZE[::-1]).save(folder / name)
    return read_source(SourceConfig(path=str(folder / "truth.json")))


def validation(folder: Path, data: DetectionData) -> Validation:
    run: Any = SimpleNamespace(header={"class_names": ("cat",)}, folder=SimpleNamespace(images=folder / "drawn", path=folder))
    return Validation(data, EvaluationConfig(drawn_images=3), run, predicts_masks=True)


def half_right() -> dict[int, Detections]:
    """The boxes are right, one mask covers 3 of 5 parts of its object, the other 4 of 5."""
    box, score, label = torch.tensor([[10.0, 10, 50, 60]]), torch.tensor([0.9]), torch.tensor([0])
    masks = [Masks.of([(np.ones((height, 40), bool), 10, 10)]) for height in (30, 40)]
    found = {number: Detections(box, score, label, masks=mask) for number, mask in enumerate(masks, 1)}
    return {**found, 3: Detections.empty().replace(masks=Masks.none(0))}


def test_masks_have_metrics_of_their_own(tmp_path: Path) -> None:
    made = validation(tmp_path, dataset(tmp_path))
    numbers = made._metrics([list(half_right().items())], 5)
    assert tuple(numbers) == made.names
    assert numbers["AP"] == pytest.approx(1)
    assert numbers["segm_AP50"] == pytest.approx(1)
    assert numbers["segm_AP75"] == pytest.approx(0.5 * 51 / 101)  # the mask that is wrong has the first rank
    drawn = np.array(Image.open(next((tmp_path / "drawn").glob("validation_1*"))))
    assert (drawn != 0).any()
    keep(made.run.detections, tmp_path, best=False)
    kept = KeptDetections.read(tmp_path / LAST).by_image([1, 2, 3])
    assert [rows.masks.areas.tolist() for rows in kept] == [[1200], [1600], []]  # type: ignore[union-attr]


def test_nothing_detected_is_an_ap_of_0(tmp_path: Path) -> None:
    numbers = validation(tmp_path, dataset(tmp_path))._metrics([[(number, half_right()[3]) for number in (1, 2, 3)]], 5)
    assert (numbers["AP"], numbers["segm_AP"]) == (0, 0)


def test_data_without_masks_has_the_metrics_of_boxes(tmp_path: Path) -> None:
    made = validation(tmp_path, dataset(tmp_path, masks=False))
    found = {number: rows.replace(masks=None) for number, rows in half_right().items()}
    numbers = made._metrics([list(found.items())], 5)
    assert not made.has_masks
    assert tuple(numbers) == made.names
    assert "segm_AP" not in numbers
