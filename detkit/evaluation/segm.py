"""Ground truth and results for COCO's metrics of masks (``segm``): the averages are those of boxes, with the IoU of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.mask_runs import Runs, box_runs, image_size, mask_runs, read_segmentation

WITHOUT_MASK = "objects without a mask, ignored where their boxes are"

MaskRows = Sequence[Mapping[str, Any]]
"""Detections for the metrics of masks: ``image_id``, ``category_id``, ``score``, and as ``segmentation`` compressed run lengths."""


def has_segmentations(rows: Any) -> bool:
    """Whether COCO results have masks, by their first row."""
    return bool(len(rows)) and isinstance(rows[0], Mapping) and "segmentation" in rows[0]


def mask_truth(truth: GroundTruth) -> GroundTruth | None:
    """Return ground truth whose annotations have masks as ``segmentation``, and areas of masks; None if no object has a mask.

    An object without a mask becomes a crowd that covers its box, so that detections of it are neither correct nor wrong.
    """
    if truth.masks is None or not any(mask is not None for mask in truth.masks):
        return None
    annotations, missing = [], 0
    for row, mask in zip(truth.annotations, truth.masks, strict=True):
        if mask is not None:
            annotations.append({**row, "segmentation": mask.runs, "area": mask.area})
        else:
            missing += not row["iscrowd"]
            size = image_size(truth.sizes, row["image_id"], truth.name)
            annotations.append({**row, "segmentation": box_runs(row["bbox"], size), "iscrowd": 1})
    left_out = {**truth.left_out, **({WITHOUT_MASK: missing} if missing else {})}
    return replace(truth, annotations=annotations, masks=None, left_out=left_out)


def mask_rows(rows: Sequence[Mapping[str, Any]], truth: GroundTruth, name: str = "results") -> MaskRows:
    """Return checked COCO results with masks as compressed run lengths, without their boxes.

    pycocotools takes the area of the box, where there is one, for the size of a detection. That of its mask is meant here, as in the
    results files of COCO's servers and in Detectron2, so boxes are left out.

    Raises:
        ValueError: If a row has no mask, or one of another image size.
    """
    converted = []
    for index, row in enumerate(rows):
        where, size = f"{name}[{index}].segmentation", image_size(truth.sizes, row["image_id"], truth.name)
        segmentation = read_segmentation(row.get("segmentation"), where)
        runs: Runs | None = None if segmentation is None else mask_runs(segmentation, size, where)
        if runs is None:
            raise ValueError(f"{where}: expected a mask, as polygons or run lengths, as in other rows, got {row.get('segmentation')!r}")
        converted.append({**{key: row[key] for key in ("image_id", "category_id", "score")}, "segmentation": runs})
    return converted
