from __future__ import annotations

from collections import Counter
from typing import Any

from detkit.evaluation.analysis import analyze
from detkit.evaluation.analysis.analysis import Analysis
from detkit.evaluation.analysis.cases import Case
from detkit.evaluation.ground_truth import GroundTruth

A, B, C, FAR = [0, 0, 10, 10], [50, 50, 10, 10], [100, 0, 10, 10], [200, 200, 10, 10]
NEAR_B = [50, 57, 10, 10]
CAT, DOG = 1, 2


def analysis(objects: list[tuple[int, list[int]]], detections: list[tuple[int, list[int], float]], score: float = 0.5) -> Analysis:
    rows = [{"image_id": 1, "category_id": category, "bbox": box} for category, box in objects]
    categories = [{"id": CAT, "name": "Kätzchen"}, {"id": DOG, "name": "dog"}]
    truth = GroundTruth.of({"images": [{"id": 1, "file_name": "1.jpg"}, {"id": 2}], "categories": categories, "annotations": rows})
    results = [{"image_id": 1, "category_id": category, "bbox": box, "score": value} for category, box, value in detections]
    return analyze(truth, results, score=score, resamples=10)


def kinds(found: Analysis) -> list[str]:
    return [case.kind for case in found.cases]


def cells(found: Analysis) -> dict[tuple[int | None, int | None], int]:
    return {(cell.true_class, cell.detected_class): cell.count for cell in found.confusion.cells}


def test_each_kind_of_mistake_and_its_cells() -> None:
    found = analysis(
        [(CAT, A), (DOG, B), (CAT, C), (CAT, FAR)],
        [(CAT, A, 0.9), (CAT, A, 0.8), (DOG, NEAR_B, 0.75), (DOG, C, 0.7), (DOG, [150, 150, 9, 9], 0.6), (CAT, FAR, 0.4)],
    )
    assert kinds(found) == ["correct", "duplicate", "poor localization", "wrong class", "false alarm", "miss"]
    assert cells(found) == {(CAT, CAT): 1, (CAT, DOG): 1, (CAT, None): 1, (DOG, None): 1, (None, CAT): 1, (None, DOG): 2}
    assert found.confusion.matrix().tolist() == [[1, 1, 1], [0, 0, 1], [1, 2, 0]]
    assert found.confusion.names == ("Kätzchen", "dog")
    wrong = found.cases[3]
    assert wrong == Case("wrong class", 1, CAT, DOG, 0.7, 1.0, (100.0, 0.0, 110.0, 10.0), (100.0, 0.0, 110.0, 10.0), 3, 2)
    assert found.cases[5] == Case("miss", 1, CAT, None, None, None, None, (200.0, 200.0, 210.0, 210.0), None, 3)
    (image,) = found.images
    assert (image.name, image.objects, image.correct, image.wrong, image.missed) == ("1.jpg", 4, 1, 4, 3)


def test_every_cell_leads_to_its_cases() -> None:
    found = analysis([(CAT, A), (DOG, B)], [(DOG, NEAR_B, 0.9), (CAT, FAR, 0.8)])
    by_cell = {
        (cell.true_class, cell.detected_class): [found.cases[position].kind for position in cell.cases] for cell in found.confusion.cells
    }
    assert by_cell == {
        (CAT, None): ["miss"],
        (DOG, None): ["poor localization"],  # the object is not listed as a miss in addition
        (None, DOG): ["poor localization"],
        (None, CAT): ["false alarm"],
    }


def test_detection_of_another_class_on_a_detected_object_is_wrong_but_the_object_is_counted_once() -> None:
    found = analysis([(CAT, A)], [(DOG, A, 0.9), (CAT, A, 0.8)])
    assert kinds(found) == ["wrong class", "correct"]
    assert cells(found) == {(CAT, CAT): 1, (None, DOG): 1}


def test_objects_and_detections_are_counted_once_in_the_matrix(difficult_scene: Any) -> None:
    truth, results = difficult_scene(images=20, detections=400, detected=0.8)
    found = analyze(truth, results, resamples=10)
    matrix = found.confusion.matrix()
    objects, _ = truth.boxes_by_class()
    assert matrix[:-1].sum(1).tolist() == [objects[category_id] for category_id in truth.categories]
    detections = [case for case in found.cases if case.detection is not None]
    by_class = Counter(case.detected_class for case in detections)
    assert matrix[:, :-1].sum(0).tolist() == [by_class[category_id] for category_id in truth.categories]
    assert len({case.detection for case in detections}) == len(detections)
    assert min(case.score for case in detections if case.score is not None) >= found.score
    assert sum(matrix[index, index] for index in range(4)) == sum(case.kind == "correct" for case in found.cases)
    assert set(Counter(kinds(found))) == {"correct", "miss", "false alarm", "wrong class", "duplicate", "poor localization"}
    scores = [case.score for case in detections]
    assert scores == sorted(scores, key=lambda score: -(score or 0))
    for case in found.cases:
        if case.kind in {"wrong class", "poor localization"} and case.iou is not None:
            assert (case.kind == "wrong class") == (case.iou >= 0.5) == (case.true_class != case.detected_class)
