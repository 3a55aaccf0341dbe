"""Results of an evaluation as text."""

from __future__ import annotations

import pytest

from detkit.checkpoint.operating_points import OperatingPoint
from detkit.cli.evaluate.text import coco_text, details_text, voc_text
from detkit.evaluation import evaluate_coco, evaluate_voc
from detkit.evaluation.details import Details


def truth(classes: int) -> dict[str, list[dict[str, object]]]:
    """Return one image with an object of each class, two of class 7."""
    rows = [
        {"id": n, "image_id": 1, "category_id": min(n, classes) if n <= classes else 7, "bbox": [n, 0, 9, 9]} for n in range(1, classes + 2)
    ]
    rows = [{**row, "area": 81, "iscrowd": 0} for row in rows]
    categories = [{"id": n, "name": f"class {n}"} for n in range(1, classes + 1)]
    return {"images": [{"id": 1, "file_name": "a.jpg", "width": 9000, "height": 9}], "annotations": rows, "categories": categories}


def test_of_very_many_classes_the_most_frequent_are_listed() -> None:
    for text in (coco_text(evaluate_coco(truth(300), [])), voc_text(evaluate_voc(truth(300), []))):
        assert len(text.splitlines()) < 50
        assert "\nand 270 less frequent classes; --json has them" in text
        assert "class 7  " in text


@pytest.mark.parametrize("classes", [41, 100, 300])
def test_no_table_is_longer_than_its_limit(classes: int) -> None:
    points = tuple(OperatingPoint(f"class {index}", 0.5, 0.5, 0.5, 0.5) for index in range(classes + 1))
    details = Details(points, {}, (), ())
    text = details_text(details)
    assert f"\nand {classes - 30} more classes; --json has them" in text
    for table in (text, coco_text(evaluate_coco(truth(classes), []))):
        assert max(len(part.splitlines()) for part in table.split("\n\n")) <= 40


def test_few_classes_are_all_listed() -> None:
    text = coco_text(evaluate_coco(truth(40), []))
    assert sum(line.startswith("class ") and not line.startswith("class  ") for line in text.splitlines()) == 40
    assert "less frequent" not in text


def test_masks_have_columns_of_their_own() -> None:
    labeled = truth(7)
    for row in labeled["annotations"][:2]:
        x, y, width, height = row["bbox"]  # type: ignore[misc]
        row["segmentation"] = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    results = [{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": labeled["annotations"][0]["segmentation"]}]
    text = coco_text(evaluate_coco(labeled, results))
    assert text.splitlines()[0].split() == ["COCO", "boxes", "masks"]
    assert text.splitlines()[1].split()[:3] == ["AP", "0.143", "0.500"]
    assert "\n\nmasks; 6 objects without a mask left out\nclass" in text
    assert text.splitlines()[-7].split() == ["class", "1", "1", "1.000", "1.000", "1.000", "1.000"]
