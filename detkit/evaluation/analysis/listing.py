"""Lists of cases and of the images with most mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from detkit.evaluation.analysis.cases import Box, Case, ImageMistakes
from detkit.evaluation.analysis.judging import Judgment
from detkit.evaluation.analysis.matches import Matches
from detkit.evaluation.ground_truth import GroundTruth


def list_cases(truth: GroundTruth, matches: Matches, judgments: Mapping[int, Judgment]) -> tuple[Case, ...]:
    """Return a case for each judged detection, in their order, and then one for each object that none of them is about."""
    cases = [_detection(truth, matches, index, judgment) for index, judgment in judgments.items()]
    named = {judgment.target for judgment in judgments.values() if judgment.accounts or judgment.kind == "poor localization"}
    for row, annotation in enumerate(truth.annotations):
        if row not in named and not annotation["iscrowd"]:
            true_box = _corners(annotation["bbox"])
            cases.append(Case("miss", annotation["image_id"], annotation["category_id"], None, None, None, None, true_box, None, row))
    return tuple(cases)


def _detection(truth: GroundTruth, matches: Matches, index: int, judgment: Judgment) -> Case:
    annotation = truth.annotations[judgment.target] if judgment.target >= 0 else None
    return Case(
        judgment.kind,
        int(matches.image[index]),
        None if annotation is None else annotation["category_id"],
        int(matches.category[index]),
        float(matches.scores[index]),
        None if annotation is None else judgment.iou,
        tuple(matches.boxes[index].tolist()),
        None if annotation is None else _corners(annotation["bbox"]),
        int(matches.row[index]),
        None if annotation is None else judgment.target,
    )


def _corners(box: list[float]) -> Box:
    x, y, width, height = box
    return (x, y, x + width, y + height)


def images_with_mistakes(truth: GroundTruth, matches: Matches, score: float) -> tuple[ImageMistakes, ...]:
    """Return the images with wrong detections or missed objects at a score, the most first."""
    kept = matches.scores >= score
    correct = Counter(matches.image[kept & matches.correct].tolist())
    wrong = Counter(matches.image[kept & ~matches.correct].tolist())
    objects = Counter(row["image_id"] for row in truth.annotations if not row["iscrowd"])
    rows = [
        ImageMistakes(image_id, truth.image_name(image_id), objects[image_id], correct[image_id], wrong[image_id], missed)
        for image_id in truth.image_ids
        if (missed := objects[image_id] - correct[image_id]) or wrong[image_id]
    ]
    return tuple(sorted(rows, key=lambda row: -(row.wrong + row.missed)))
