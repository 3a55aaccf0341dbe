"""Results of an evaluation as text."""

from __future__ import annotations

from detkit.cli.evaluate.text import coco_text, voc_text
from detkit.evaluation import evaluate_coco, evaluate_voc


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


def test_few_classes_are_all_listed() -> None:
    text = coco_text(evaluate_coco(truth(80), []))
    assert sum(line.startswith("class ") and not line.startswith("class  ") for line in text.splitlines()) == 80
    assert "less frequent" not in text
