"""Masks of a comparison: their AP, where a detector has masks and the test images too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from detkit.comparison.detections import Table
from detkit.comparison.session import Session
from detkit.evaluation.coco import coco_numbers
from detkit.evaluation.coco_curves import segm_curves
from detkit.evaluation.evaluator import Evaluator
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.mask_runs import Runs
from detkit.evaluation.segm import mask_truth


class MaskJudge:
    """Computes the AP of masks on the test images, whose masks are read when they are first needed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._truth: list[GroundTruth | None] = []

    def numbers(self, table: Table, runs: Sequence[Runs] | None) -> dict[str, Any] | None:
        """Return the metrics of masks as JSON; None if the detections or the test images have none.

        Args:
            table: The detections.
            runs: Their masks, in the same order; None if they have none.
        """
        truth = None if runs is None else self.truth
        if runs is None or truth is None:
            return None
        columns = zip(table[:, 0].tolist(), table[:, 6].tolist(), table[:, 5].tolist(), runs, strict=True)
        keys = ("image_id", "category_id", "score", "segmentation")
        rows = [dict(zip(keys, (int(image), int(category), score, mask), strict=True)) for image, category, score, mask in columns]
        numbers = coco_numbers(truth, segm_curves(truth, rows, "hotcoco"), "hotcoco")
        return {"values": dict(numbers.values), "classes": [{"name": row.name, "ap": row.ap, "ap50": row.ap50} for row in numbers.classes]}

    @property
    def truth(self) -> GroundTruth | None:
        """The ground truth with masks; None if no object has one."""
        if not self._truth:
            data = self._session.parts.data["test"]
            self._truth.append(mask_truth(Evaluator(data, data.class_names).mask_truth))
        return self._truth[0]
