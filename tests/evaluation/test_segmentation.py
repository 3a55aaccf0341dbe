"""mIoU and pixel accuracy against scikit-learn and a direct computation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, jaccard_score

from detkit.data.records import ImageRecord
from detkit.evaluation.segmentation import SegmentationEvaluator, SegmentationNumbers
from detkit.evaluation.segmentation_intervals import segmentation_differences, segmentation_intervals
from detkit.structures import Detections, Masks, Segmentations, Targets
from detkit.structures.label_maps import IGNORED, class_masks

SIZE = (17, 23)


@pytest.mark.oracle("scikit-learn", "IoU, pixel accuracy and mean accuracy of semantic segmentation", tolerance="1e-12 relative")
@pytest.mark.parametrize("seed", range(3))
def test_numbers_equal_those_of_scikit_learn(seed: int) -> None:
    random = np.random.default_rng(seed)
    evaluator = SegmentationEvaluator(("a", "b", "c"))
    truths, predictions = [], []
    for _ in range(4):
        truth = random.choice([0, 1, 2, 3, IGNORED], SIZE).astype(np.uint8)
        predicted = np.where(random.random(SIZE) < 0.5, truth, random.integers(0, 4, SIZE)).astype(np.uint8)
        predicted[predicted == IGNORED] = 3
        evaluator.add_maps(truth, predicted)
        truths.append(truth)
        predictions.append(predicted)
    numbers, truth, predicted = evaluator.numbers(), np.stack(truths), np.stack(predictions)
    known = truth != IGNORED
    np.testing.assert_allclose(numbers.iou, jaccard_score(truth[known], predicted[known], average=None), rtol=1e-12)
    np.testing.assert_allclose(numbers.iou, [direct_iou(truth, predicted, label) for label in range(4)], rtol=1e-12)
    expected = {
        "miou": jaccard_score(truth[known], predicted[known], average="macro"),
        "pixel_accuracy": accuracy_score(truth[known], predicted[known]),
        "mean_accuracy": balanced_accuracy_score(truth[known], predicted[known]),
    }
    assert numbers.values == pytest.approx(expected, rel=1e-12)
    assert (numbers.ignored, numbers.images, int(numbers.pixels.sum())) == (int((~known).sum()), 4, int(known.sum()))


def direct_iou(truth: np.ndarray, predicted: np.ndarray, label: int) -> float:
    both = union = 0
    for true, guess in zip(truth.flatten().tolist(), predicted.flatten().tolist(), strict=True):
        if true != IGNORED:
            both += true == label == guess
            union += label in (true, guess)
    return both / union


def test_a_class_that_nobody_names_does_not_count() -> None:
    evaluator = SegmentationEvaluator(("a", "b"))
    truth = np.zeros(SIZE, np.uint8)
    evaluator.add_maps(truth, truth)
    numbers = evaluator.numbers()
    assert numbers.iou[0] == 1
    assert np.isnan(numbers.iou[1:]).all()
    assert numbers.values == {"miou": 1, "pixel_accuracy": 1, "mean_accuracy": 1}


def test_without_known_pixels_all_numbers_are_0() -> None:
    evaluator = SegmentationEvaluator(("a",))
    evaluator.add_maps(np.full(SIZE, IGNORED, np.uint8), np.zeros(SIZE, np.uint8))
    assert set(evaluator.numbers().values.values()) == {0}


def regions(labels: np.ndarray, values: list[int]) -> Detections:
    masks = class_masks(labels, values)
    return Detections(torch.from_numpy(masks.boxes), torch.ones(len(values)), torch.tensor(values, dtype=torch.int64), masks=masks)


def test_images_are_compared_by_their_objects_masks() -> None:
    truth = np.full(SIZE, 2, np.uint8)
    truth[2:8, 3:9] = 1
    masks = class_masks(truth, [1])
    outlines = Segmentations.of_values([masks.runs(0, SIZE)])
    targets = Targets.of(torch.from_numpy(masks.boxes), torch.tensor([1])).replace(segmentations=outlines)
    evaluator = SegmentationEvaluator(("a", "b"))
    evaluator.add(ImageRecord(Path("one.png"), 1, SIZE, targets), regions(truth, [1]))
    evaluator.add(ImageRecord(Path("two.png"), 2, SIZE, Targets.empty()), regions(np.full(SIZE, 2, np.uint8), []))
    assert evaluator.numbers().values["miou"] == 1
    evaluator.add(ImageRecord(Path("three.png"), 3, SIZE, Targets.empty()), regions(truth, [1]))
    pixels = SIZE[0] * SIZE[1]
    np.testing.assert_allclose(evaluator.numbers().iou[1:], [36 / 72, (3 * pixels - 72) / (3 * pixels - 36)])


def test_a_pixel_of_a_class_that_is_not_reported_is_wrong() -> None:
    evaluator = SegmentationEvaluator(("a",), background=False)
    evaluator.add_maps(np.zeros(SIZE, np.uint8), np.full(SIZE, IGNORED, np.uint8))
    assert evaluator.numbers().values["pixel_accuracy"] == 0


def test_detections_without_masks_are_an_error() -> None:
    record = ImageRecord(Path("one.png"), 1, SIZE, Targets.empty())
    with pytest.raises(ValueError, match="got detections without masks"):
        SegmentationEvaluator(("a",)).add(record, Detections.empty())
    assert Masks.none(0).boxes.shape == (0, 4)


def evaluated(quality: float, images: int, seed: int) -> SegmentationNumbers:
    """Metrics of random images, of whose pixels this fraction is right, by image more or less."""
    random = np.random.default_rng(seed)
    evaluator = SegmentationEvaluator(("a", "b"))
    for index in range(images):
        truth = np.random.default_rng(index).integers(0, 3, SIZE).astype(np.uint8)
        right = random.random(SIZE) < quality * random.uniform(0.5, 1)
        evaluator.add_maps(truth, np.where(right, truth, (truth + 1) % 3).astype(np.uint8))
    return evaluator.numbers()


def test_intervals_are_those_of_a_bootstrap_over_images() -> None:
    numbers = evaluated(0.9, 25, 0)
    assert numbers.by_image.shape == (25, 3, 3)
    np.testing.assert_array_equal(numbers.by_image.sum(0)[0], numbers.confusion.diagonal())
    intervals = segmentation_intervals(numbers, resamples=400)
    direct = []
    for step in range(400):
        draw = np.random.default_rng((0, step)).integers(0, 25, 25)
        correct, true, predicted = numbers.by_image[draw].sum(0)
        direct.append((correct / (true + predicted - correct)).mean())
    expected = np.quantile(direct, [0.025, 0.975])
    assert (intervals["miou"].low, intervals["miou"].high) == pytest.approx(tuple(expected), rel=1e-12)
    for name, value in numbers.values.items():
        assert intervals[name].low < value < intervals[name].high


def test_differences_are_paired() -> None:
    better, worse = evaluated(0.9, 25, 0), evaluated(0.7, 25, 1)
    rows = segmentation_differences(better, worse, resamples=200)
    assert [row.name for row in rows] == ["miou", "pixel_accuracy", "mean_accuracy"]
    assert all(row.is_significant and row.low < row.value < row.high for row in rows)
    assert [(row.low, row.high) for row in segmentation_differences(better, better, resamples=50)] == [(0, 0)] * 3
    with pytest.raises(ValueError, match="expected metrics of the same images, got 25 and 24 images"):
        segmentation_differences(better, evaluated(0.9, 24, 0))


def test_no_images_have_no_interval() -> None:
    interval = segmentation_intervals(SegmentationEvaluator(("a",)).numbers())["miou"]
    assert np.isnan([interval.low, interval.high]).all()
