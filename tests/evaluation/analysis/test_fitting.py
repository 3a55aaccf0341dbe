"""Operating points found on labeled images; on real detections, their intervals hold for images that were not used to find them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detkit.data import DetectionData, SourceConfig, read_source, split_by_image
from detkit.evaluation.analysis.fitting import class_detections, fit_operating_points
from detkit.evaluation.analysis.target import Target
from detkit.evaluation.analysis.thresholds import ClassDetections, PointCounts, best_score, operating_points
from detkit.evaluation.evaluator import Evaluator
from detkit.evaluation.ground_truth import GroundTruth

HELD_OUT = Path(__file__).parent / "fixtures" / "held_out_detections.npz"
"""Detections in rows of image id, 4 x (x, y, width, height), 10,000 x score, category id.

Of the BCCD images that D-FINE (``dfine_lite0_bccd``) was not trained on, with scores from .1 on, and of the COCO photographs that the
detector inside the package was not trained on, from .05 on: ``detkit evaluate runs/dfine_lite0_bccd-1 --data data/bccd --split test
--results FILE``, the same with val, and ``detkit evaluate --data coco_sample --val-fraction 0.15 --results FILE``.
"""
PRECISION = Target("precision", 0.9)


def scene() -> tuple[GroundTruth, np.ndarray]:
    """Return 40 images with a cat, a dog in every second one, a crowd of dogs, and a detection of a cat and of a dog in each."""
    images = range(1, 41)
    boxes = [(i, 1, 0) for i in images] + [(i, 2, 0) for i in images if i % 2] + [(1, 2, 1)]
    annotations = [
        {"image_id": i, "category_id": c, "bbox": [200.0 * crowd + 20 * c, 0, 10, 10], "area": 100.0, "iscrowd": crowd, "difficult": 0}
        for i, c, crowd in boxes
    ]
    truth = GroundTruth("scene", tuple(images), {1: "cat", 2: "dog", 3: "bird"}, [{"id": n, **row} for n, row in enumerate(annotations, 1)])
    rows = [[i, 20 * c, 0, 10, 10, 0.9 - 0.3 * (c - 1) + i / 1000, c] for i in images for c in (1, 2)]
    return truth, np.array([*rows, [1, 240, 0, 10, 10, 0.99, 2]], np.float64)  # the last one is in the crowd


def test_a_class_that_does_not_reach_the_target_has_no_score() -> None:
    points = fit_operating_points(*scene(), PRECISION, data="made", split="val", resamples=200)
    assert list(points.classes) == ["cat"]
    assert points.unreached == ("dog",), "a class without objects is not named"
    assert points.overall_reached
    assert (points.target, points.split, points.images, points.rule) == ("precision=0.9", "val", 40, PRECISION.rule)
    assert points.overall.score == points.score_of("dog") > 0.63, "all dogs, of which half are wrong, are below the score of all classes"


def test_objects_and_detections_are_counted_by_image() -> None:
    cat, dog, bird = class_detections(*scene())
    assert (cat.objects.sum(), dog.objects.sum(), bird.objects.sum()) == (40, 20, 0)
    assert (len(dog.scores), int(dog.correct.sum())) == (40, 20), "the detection in the crowd does not count"
    assert dog.objects[dog.image[dog.correct]].tolist() == [1] * 20


def test_all_classes_together_have_the_best_f1_if_they_do_not_reach_the_target() -> None:
    truth, rows = scene()
    points = fit_operating_points(truth, rows[rows[:, 6] == 2], PRECISION, data="made", resamples=200)
    assert not points.overall_reached
    assert points.classes == {}
    with pytest.raises(ValueError, match="none of the 2 detections is correct"):
        fit_operating_points(truth, np.array([[2, 40, 0, 10, 10, 0.5, 2], [2, 90, 0, 10, 10, 0.5, 1]]), PRECISION, data="made")


def detections(data: DetectionData, rows: np.ndarray) -> tuple[ClassDetections, ...]:
    """Return the detections of each class of the data, from rows of the file."""
    table = rows.astype(np.float64) / [1, 4, 4, 4, 4, 1e4, 1]
    evaluator = Evaluator(data, data.class_names)
    numbers = {image: number for number, image in enumerate(sorted(data.records.image_ids, key=int), 1)} if "coco" in data.name else {}
    if numbers:
        table[:, 0] = [numbers[int(image)] for image in table[:, 0]]
    return class_detections(evaluator.ground_truth, table)


def joined(parts: list[tuple[ClassDetections, ...]]) -> list[ClassDetections]:
    """Return the detections of two sets of images as those of one."""
    (first, second), found = parts, []
    for one, other in zip(first, second, strict=True):
        columns = {key: np.concatenate([getattr(one, key), getattr(other, key)]) for key in ("scores", "correct", "objects")}
        found.append(replace(one, image=np.concatenate([one.image, other.image + len(one.objects)]), **columns))
    return found


def part(detections: ClassDetections, images: np.ndarray) -> ClassDetections:
    """Return the detections of some images."""
    index = np.full(len(detections.objects), -1)
    index[images] = np.arange(len(images))
    rows = index[detections.image] >= 0
    columns = index[detections.image[rows]], detections.scores[rows], detections.correct[rows]
    return ClassDetections(detections.name, *columns, detections.objects[images])


def held_out_precisions(classes: list[ClassDetections], halves: int) -> list[tuple[float, tuple[float, float]]]:
    """Return, for each class that reaches the target on one half, the precision on the other half and the interval that was found."""
    found, rng = [], np.random.default_rng(0)
    for _ in range(halves):
        first, second = np.array_split(rng.permutation(len(classes[0].objects)), 2)
        parts = [(one, part(one, first)) for one in classes]
        fitted = [(one, own, score) for one, own in parts if (score := best_score(own, PRECISION)) is not None]
        points = operating_points([(own, score) for _, own, score in fitted], resamples=400)
        for (one, _, score), point in zip(fitted, points, strict=True):
            counts = PointCounts.at(part(one, second), score)
            kept = int(counts.correct.sum() + counts.wrong.sum())
            assert point.evidence is not None
            if kept:
                found.append((float(counts.correct.sum() / kept), point.evidence.intervals["precision"]))
    return found


@pytest.mark.slow
def test_precision_on_other_images_is_in_its_interval(shared: Path) -> None:
    stored = np.load(HELD_OUT)
    bccd = [detections(read_source(SourceConfig(path=str(shared / "data/bccd"), split=s)), stored[f"bccd_{s}"]) for s in ("test", "val")]
    coco = split_by_image(read_source(SourceConfig(path=str(shared / "data/coco_sample"))), 0.15, 0)[1]
    cells = held_out_precisions(joined(bccd), halves=10)
    things = held_out_precisions(list(detections(coco, stored["coco"])), halves=10)
    for found, expected in ((cells, 30), (things, 15)):
        assert len(found) >= expected
        assert np.mean([low <= precision <= high for precision, (low, high) in found]) >= 0.9
    assert np.mean([precision for precision, _ in cells]) >= 0.9, "with enough images, the target is met on other images"
