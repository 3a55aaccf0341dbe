"""Masks in a report: their numbers in its analysis, and their areas on its images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from detkit.arrays import ImageArray
from detkit.drawing.canvas import Canvas
from detkit.drawing.palette import Color
from detkit.evaluation.analysis.analysis import Analysis
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.numbers import CocoNumbers
from detkit.report.sources import ImageSource
from detkit.structures.masks import Masks
from detkit.structures.run_lengths import mask_array

if TYPE_CHECKING:
    from detkit.evaluation.evaluator import Evaluator

TRUE: Color = (46, 176, 80)
"""Color of the outlines of labeled masks, that of true boxes in a report."""
DETECTED: Color = (38, 132, 255)
"""Color of detected masks."""


@dataclass(frozen=True, eq=False)
class EvaluatedMasks:
    """The masks of an evaluation.

    Attributes:
        numbers: Their metrics.
        truth: The ground truth with the masks of its objects.
        rows: The detections with masks; see :data:`detkit.evaluation.segm.MaskRows`.
    """

    numbers: CocoNumbers
    truth: GroundTruth
    rows: Sequence[Mapping[str, Any]]

    @classmethod
    def of(cls, evaluator: Evaluator) -> EvaluatedMasks | None:
        """Return the masks of an evaluator; None if its detections or its objects have none."""
        segm = evaluator.numbers().segm if evaluator.has_masks else None
        return None if segm is None else cls(segm, evaluator.mask_truth, evaluator.mask_rows())


def with_masks(analysis: Analysis, images: ImageSource, masks: EvaluatedMasks | None) -> tuple[Analysis, ImageSource]:
    """Return an analysis with the metrics of masks, and its images with the masks on them; unchanged without masks.

    Labeled masks are green outlines. Those of detections from the score of the analysis on are blue areas.
    """
    if masks is None:
        return analysis, images
    analysis = replace(analysis, numbers=replace(analysis.numbers, segm=masks.numbers))
    reader = images.reader
    if reader is None:
        return analysis, images
    true, detected = defaultdict[int, list[Any]](list), defaultdict[int, list[Any]](list)
    for row, mask in zip(masks.truth.annotations, masks.truth.masks or (), strict=True):
        if mask is not None:
            true[row["image_id"]].append(mask.runs)
    for row in masks.rows:
        if row["score"] >= analysis.score:
            detected[row["image_id"]].append(row["segmentation"])
    return analysis, replace(images, reader=lambda image_id: _drawn(reader(image_id), true[image_id], detected[image_id]))


def _drawn(image: ImageArray, true: Sequence[Any], detected: Sequence[Any]) -> ImageArray:
    canvas = Canvas(image)
    for runs in detected:
        mask = Masks.of([(mask_array(runs), 0, 0)])
        canvas.fill(mask, 0, DETECTED)
        canvas.outline(mask, 0, DETECTED)
    for runs in true:
        canvas.outline(Masks.of([(mask_array(runs), 0, 0)]), 0, TRUE)
    return np.asarray(canvas.array())
