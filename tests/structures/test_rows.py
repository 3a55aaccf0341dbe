from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from detkit.structures import Batch, Detections, Masks, Proposals, Rows, Targets
from detkit.structures.detection import DetectionArrays


def targets() -> Targets:
    boxes = torch.tensor([[0.0, 0.0, 10.0, 20.0], [5.0, 5.0, 6.0, 7.0], [1.0, 2.0, 3.0, 4.0]])
    return Targets.of(boxes, torch.tensor([0, 2, 1]), is_crowd=torch.tensor([False, True, False]))


@pytest.mark.parametrize("kind", [Targets, Proposals, Detections])
def test_empty_rows_have_every_field(kind: type[Rows]) -> None:
    rows = kind.empty()
    assert len(rows) == 0
    assert rows.boxes.shape == (0, 4)
    assert len(kind.cat([])) == 0
    assert len(kind.cat([rows, rows])) == 0
    assert len(rows.checked(num_classes=3)) == 0


def test_indexing_selects_every_field() -> None:
    rows = targets()
    by_mask, by_index, by_slice = rows[torch.tensor([False, True, True])], rows[torch.tensor([1, 2])], rows[1:]
    for selected in (by_mask, by_index, by_slice, rows[[1, 2]]):
        assert_close(selected.boxes, rows.boxes[1:])
        assert selected.labels.tolist() == [2, 1]
        assert selected.is_crowd.tolist() == [True, False]


def test_cat_keeps_order() -> None:
    rows = targets()
    joined = Targets.cat([rows[2:], rows[:2]])
    assert joined.labels.tolist() == [1, 0, 2]
    assert_close(joined.areas, torch.tensor([4.0, 200.0, 2.0]))


def test_resized_scales_boxes_and_areas_by_axis() -> None:
    rows = targets().resized((100, 200), (50, 400))
    assert_close(rows.boxes[0], torch.tensor([0.0, 0.0, 20.0, 10.0]))
    assert_close(rows.areas[0], torch.tensor(200.0))
    assert_close(targets().boxes[0], torch.tensor([0.0, 0.0, 10.0, 20.0]))


def test_the_constructor_checks_shape_and_dtype() -> None:
    with pytest.raises(ValueError, match=r"Detections.scores: expected shape \(2,\), got \(3,\)"):
        Detections(torch.zeros(2, 4), torch.zeros(3), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(TypeError, match="Detections.labels: expected torch.int64, got torch.int32"):
        Detections(torch.zeros(2, 4), torch.zeros(2), torch.zeros(2, dtype=torch.int32))
    with pytest.raises(ValueError, match="boxes: expected shape"):
        Proposals(torch.zeros(2, 5), torch.zeros(2))


@pytest.mark.parametrize(
    ("box", "label", "message"),
    [
        ([0.0, 0.0, math.nan, 1.0], 0, "a.xml: box 0: expected finite"),
        ([5.0, 0.0, 4.0, 1.0], 0, "x2 >= x1"),
        ([0.0, 0.0, 4.0, math.inf], 0, "finite"),
        ([0.0, 0.0, 4.0, 1.0], 3, "a.xml: label 3: expected 0 to 2 for 3 classes"),
        ([0.0, 0.0, 4.0, 1.0], -1, "label -1"),
    ],
)
def test_checked_reports_invalid_values(box: list[float], label: int, message: str) -> None:
    rows = Targets.of(torch.tensor([box]), torch.tensor([label]))
    with pytest.raises(ValueError, match=message):
        rows.checked(num_classes=3, source="a.xml")


def test_batch_checks_its_sizes_and_seeds() -> None:
    batch = Batch(torch.zeros(2, 3, 32, 64), ((30, 60), (32, 64)))
    assert len(batch) == 2
    assert batch.padded_size == (32, 64)
    with pytest.raises(ValueError, match="B = 1 sizes"):
        Batch(torch.zeros(2, 3, 32, 64), ((30, 60),))
    with pytest.raises(ValueError, match="one per image, got 1"):
        Batch(torch.zeros(2, 3, 32, 64), ((30, 60), (32, 64)), seeds=(1,))


def test_replace_rejects_unknown_fields() -> None:
    rows = targets()
    assert rows.replace(labels=torch.tensor([0, 0, 0])).labels.tolist() == [0, 0, 0]
    with pytest.raises(TypeError, match="Targets has no field label; its fields are boxes, labels, is_crowd"):
        rows.replace(label=torch.tensor([0, 0, 0]))


@pytest.mark.parametrize("kind", ["tensors", "arrays"])
def test_cat_of_rows_without_masks(kind: str) -> None:
    """Rows without pixels have none afterwards; probabilities that only some have are an error, and no rows need none."""
    plain = Detections(torch.rand(2, 4), torch.rand(2), torch.zeros(2, dtype=torch.int64))
    pixels = plain.replace(masks=Masks.of([(np.ones((2, 3), np.bool_), 0, 0)] * 2))
    grids = plain.replace(mask_probabilities=torch.rand(2, 3, 3))

    def cat(*parts: Detections) -> Any:
        return Detections.cat(parts) if kind == "tensors" else DetectionArrays.cat([part.numpy() for part in parts])

    assert cat(plain, plain).masks is None
    assert cat(pixels, plain).masks.present.tolist() == [True, True, False, False]
    assert cat(plain, pixels).masks.areas.tolist() == [0, 0, 6, 6]
    assert cat(grids, plain[:0]).mask_probabilities.shape == (2, 3, 3)
    with pytest.raises(ValueError, match=r"cat: 1 of 2 groups of rows lack mask_probabilities: expected it in all or in none"):
        cat(plain, grids)
