"""Evaluation of a detector on a dataset, with detections collected image by image."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch.distributed as dist

from detkit.checkpoint import write_text
from detkit.checkpoint.operating_points import OperatingPoints
from detkit.data.classes import ClassMapping
from detkit.data.records import DetectionData, ImageId, ImageRecord
from detkit.evaluation.coco import coco_numbers, with_segm
from detkit.evaluation.coco_curves import EvaluatorName, Floats, curves
from detkit.evaluation.dataset_truth import dataset_ground_truth, image_numbers
from detkit.evaluation.details import Details, coco_details, operating_points
from detkit.evaluation.files import read_results
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.mask_runs import Runs, image_runs
from detkit.evaluation.numbers import CocoNumbers, VocNumbers
from detkit.evaluation.results import columns
from detkit.evaluation.segm import has_segmentations, mask_rows
from detkit.evaluation.voc import Rule, voc_numbers
from detkit.structures import Detections, Size

LEFT_OUT = "detections of classes that the data does not have"


class Evaluator:
    """Collects the detections of each image of a dataset and computes the metrics.

    The classes of the data must be among the model's. Detections of other classes are left out and counted in :attr:`left_out`.

    Args:
        data: The labeled images.
        class_names: The model's class names, by label; None is a slot without a name.
        renames: Class names of the data and the model's names for them: ``{"tvmonitor": "tv"}``.

    Raises:
        ValueError: If the data has a class that the model does not have; the message contains both lists.
    """

    def __init__(self, data: DetectionData, class_names: Sequence[str | None], renames: Mapping[str, str] | None = None) -> None:
        self.mapping = ClassMapping.subset(data.class_names, class_names, renames)
        self.data = self.mapping.apply(data)
        self._numbers = image_numbers(data)
        self._labels = self._evaluated_labels()
        self._category_of = np.full(len(class_names), -1, np.int64)
        for label in self._labels:
            self._category_of[label] = self.data.category_ids[label]
        self._sizes: dict[ImageId, Size] = {
            image_id: (height, width) for image_id, (height, width) in zip(data.records.image_ids, data.records.sizes.tolist(), strict=True)
        }
        self._rows: dict[ImageId, Floats] = {}
        self._masks: dict[ImageId, list[Runs]] = {}
        self._others: dict[ImageId, Counter[str]] = {}

    def add(self, image: ImageRecord | ImageId, detections: Detections) -> None:
        """Add the detections of one image, in its own pixels; adding an image again replaces its detections.

        Raises:
            ValueError: If the image is not in the data, or a box or score is not finite.
        """
        image_id = image.image_id if isinstance(image, ImageRecord) else image
        if image_id not in self._numbers:
            raise ValueError(f"{self.data.name}: no image has the id {image_id!r}; only images of the data can be evaluated")
        labels = detections.labels.cpu().numpy()
        categories = self._category_of[labels]
        known = categories >= 0
        corners, scores = detections.boxes.cpu().numpy().astype(np.float64), detections.scores.cpu().numpy().astype(np.float64)
        if not (np.isfinite(corners).all() and np.isfinite(scores).all()):
            raise ValueError(f"{self.data.name}: image {image_id!r}: a box or score of a detection is not finite; are the weights damaged?")
        sides = corners[:, 2:] - corners[:, :2]
        image_column = np.full(len(labels), self._numbers[image_id])
        rows = np.column_stack([image_column, corners[:, :2], sides, scores, categories])
        self._rows[image_id] = rows[known]
        self._masks.pop(image_id, None)
        if detections.masks is not None:
            self._masks[image_id] = image_runs(detections.masks[known], self._sizes[image_id])
        self._others[image_id] = Counter(str(self.mapping.names[label]) for label in labels[~known].tolist())

    def gather(self) -> bool:
        """Gather the detections of all processes on the first one; return True on the process that can compute metrics.

        Every process of the group must call this; without a process group it does nothing. An image seen by several processes counts once.
        """
        if not (dist.is_available() and dist.is_initialized()):
            return True
        first = dist.get_rank() == 0
        parts: list[Any] | None = [None] * dist.get_world_size() if first else None
        dist.gather_object((self._rows, self._others, self._masks), parts)
        for rows, others, masks in parts or ():
            self._rows |= rows
            self._others |= others
            self._masks |= masks
        return first

    def clear(self) -> None:
        """Remove all detections, to evaluate new ones on the same data."""
        self._rows.clear()
        self._others.clear()
        self._masks.clear()

    @property
    def left_out(self) -> Counter[str]:
        """Number of detections of classes that the data does not have, by the model's class name."""
        return sum(self._others.values(), Counter[str]())

    @cached_property
    def ground_truth(self) -> GroundTruth:
        """The ground truth that detections are compared with."""
        return dataset_ground_truth(self.data, self._labels)

    def numbers(self, evaluator: EvaluatorName = "hotcoco") -> CocoNumbers:
        """Compute the COCO metrics over all images; those of masks, if detections and objects have masks, are ``segm`` of the result.

        Raises:
            ValueError: If the evaluator does not exist, or an image has no detections added.
        """
        truth = self._counted_truth()
        numbers = coco_numbers(truth, curves(truth, self.table(), evaluator), evaluator)
        if not self.has_masks:
            return numbers
        return with_segm(numbers, replace(self.mask_truth, left_out=truth.left_out), lambda _: self.mask_rows(), evaluator)

    @property
    def has_masks(self) -> bool:
        """Whether the detections have masks."""
        return bool(self._masks) and all(image_id in self._masks or not len(rows) for image_id, rows in self._rows.items())

    @cached_property
    def mask_truth(self) -> GroundTruth:
        """The ground truth with the masks of the objects; None for an object without one."""
        return dataset_ground_truth(self.data, self._labels, masks=True)

    def mask_rows(self) -> list[dict[str, Any]]:
        """Return the detections with masks, in the order of :meth:`table`: rows as in :data:`~detkit.evaluation.segm.MaskRows`.

        Raises:
            ValueError: If an image has no detections added.
        """
        self._check_complete()
        return [
            {"image_id": number, "category_id": int(row[6]), "score": row[5], "segmentation": runs}
            for image_id, number in self._numbers.items()
            for row, runs in zip(self._rows[image_id].tolist(), self._masks.get(image_id, ()), strict=True)
        ]

    def voc_numbers(self, rule: Rule = "all-point", iou_thresholds: Sequence[float] = (0.5,)) -> VocNumbers:
        """Compute the Pascal VOC average precision over all images; difficult boxes are ignored.

        Raises:
            ValueError: If an image has no detections added, or a threshold or the rule is invalid.
        """
        return voc_numbers(self._counted_truth(), self.table(), rule, iou_thresholds)

    def details(self, worst: int = 20) -> Details:
        """Analyze the errors of the detector.

        Args:
            worst: Maximum number of images in ``Details.worst``.

        Raises:
            ValueError: If an image has no detections added.
        """
        return coco_details(self.ground_truth, self.table(), worst)

    def operating_points(self) -> OperatingPoints | None:
        """Return the scores at which the detector works best on this data, or None if no detection is correct.

        Raises:
            ValueError: If an image has no detections added.
        """
        points = operating_points(self.ground_truth, self.table())
        return OperatingPoints.of(points, self.data.name, len(self._numbers))

    def table(self) -> Floats:
        """Return all detections as an ``(N, 7)`` array: image number, x, y, width, height, score, category id.

        Image numbers are those of :func:`~detkit.evaluation.dataset_truth.image_numbers`.

        Raises:
            ValueError: If an image has no detections added.
        """
        self._check_complete()
        return np.concatenate([np.zeros((0, 7)), *(self._rows[image_id] for image_id in self._numbers)])

    def results(self) -> Iterator[dict[str, Any]]:
        """Yield COCO results with the image and category ids of the dataset.

        Images whose id is a string get their position, counted from 1, as the id, and the name of their file in addition.

        Raises:
            ValueError: If an image has no detections added.
        """
        self._check_complete()
        records = self.data.records
        for image_id, path in zip(records.image_ids, records.paths, strict=True):
            name = {} if isinstance(image_id, int) else {"file_name": path.replace("\\", "/").rpartition("/")[2]}
            masks = self._masks.get(image_id)
            for index, (_, *box, score, category) in enumerate(self._rows[image_id].tolist()):
                mask = {} if masks is None else {"segmentation": masks[index]}
                yield {"image_id": self._result_id(image_id), "category_id": int(category), "bbox": box, "score": score, **mask, **name}

    def _check_complete(self) -> None:
        missing = [image_id for image_id in self._numbers if image_id not in self._rows]
        if missing:
            raise ValueError(
                f"{self.data.name}: {len(missing)} of {len(self._numbers)} images have no detections added, such as {missing[0]!r}; "
                "add empty detections for an image without any"
            )

    def write_results(self, path: str | Path) -> None:
        """Write a COCO results file; evaluating the file gives the same metrics."""
        write_text(path, "[" + ",\n".join(json.dumps(row) for row in self.results()) + "]\n")

    def read_results(self, path: str | Path) -> Floats:
        """Read a COCO results file for this data, such as one from :meth:`write_results`.

        Returns:
            ``(N, 7)`` array as in :meth:`table`.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If the file does not contain results, or they do not belong to this data.
        """
        number_of = {self._result_id(image_id): number for image_id, number in self._numbers.items()}
        rows = read_results(path, self._named_truth)
        images, categories, boxes, scores = columns(rows)
        numbers = np.array([number_of[image_id] for image_id in images.tolist()], np.int64)
        return np.column_stack([numbers, boxes, scores, categories])

    def read_masks(self, path: str | Path) -> list[Runs] | None:
        """Read the masks of a COCO results file for this data, in the order of :meth:`read_results`; None if it has none.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If the file does not contain results, or they do not belong to this data.
        """
        rows, truth = read_results(path, self._named_truth), self._named_truth
        return [row["segmentation"] for row in mask_rows(rows, truth, str(path))] if has_segmentations(rows) else None

    @property
    def _named_truth(self) -> GroundTruth:
        """The ground truth with the image ids of results files, and with the sizes of the images."""
        sizes = {self._result_id(image_id): size for image_id, size in self._sizes.items()}
        ids = tuple(self._result_id(image_id) for image_id in self._numbers)
        return replace(self.ground_truth, image_ids=ids, sizes=sizes)

    def _result_id(self, image_id: ImageId) -> int:
        """Return the id of the image in results files."""
        return image_id if isinstance(image_id, int) else self._numbers[image_id]

    def _counted_truth(self) -> GroundTruth:
        others = self.left_out.total()
        left_out = {**self.ground_truth.left_out, **({LEFT_OUT: others} if others else {})}
        return replace(self.ground_truth, left_out=left_out)

    def _evaluated_labels(self) -> frozenset[int]:
        """Return the model's labels of the classes in the dataset; data mapped before has the model's full class list."""
        if self.data.coco_file is not None:
            return frozenset(self.data.coco_file.labels.values())
        return frozenset(label for label in self.mapping.indices if label is not None)
