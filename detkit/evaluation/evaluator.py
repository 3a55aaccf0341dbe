"""A detector's detections on a data set, collected image by image and judged."""

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
from detkit.data.classes import ClassMapping
from detkit.data.records import DetectionData, ImageId, ImageRecord
from detkit.evaluation.coco import coco_numbers
from detkit.evaluation.details import Details, coco_details
from detkit.evaluation.engines import EvaluatorName, Floats, curves
from detkit.evaluation.files import read_results
from detkit.evaluation.ground_truth import GroundTruth
from detkit.evaluation.labeled import labeled_truth, numbered
from detkit.evaluation.numbers import CocoNumbers, VocNumbers
from detkit.evaluation.results import columns
from detkit.evaluation.voc import Rule, voc_numbers
from detkit.structures import Detections

LEFT_OUT = "detections of classes that the data does not have"


class Evaluator:
    """Takes in the detections of each image of a data set, and gives the numbers.

    The data's classes must be among the model's; detections of other classes are left out and counted in :attr:`left_out`.

    Args:
        data: The labeled images.
        class_names: The model's classes, by label; None is a slot without a name.
        renames: What the data calls a class, and what the model calls it: ``{"tvmonitor": "tv"}``.

    Raises:
        ValueError: the data has a class that the model does not have; the message names both lists.
    """

    def __init__(self, data: DetectionData, class_names: Sequence[str | None], renames: Mapping[str, str] | None = None) -> None:
        self.mapping = ClassMapping.subset(data.class_names, class_names, renames)
        self.data = self.mapping.apply(data)
        self._numbers = numbered(data)
        self._labels = self._judged_labels()
        self._category_of = np.full(len(class_names), -1, np.int64)
        for label in self._labels:
            self._category_of[label] = self.data.category_ids[label]
        self._rows: dict[ImageId, Floats] = {}
        self._others: dict[ImageId, Counter[str]] = {}

    def add(self, image: ImageRecord | ImageId, detections: Detections) -> None:
        """Take the detections of one image, in its own pixels; a second time replaces the first.

        Raises:
            ValueError: the image is none of the data, or a box or a score is not finite.
        """
        image_id = image.image_id if isinstance(image, ImageRecord) else image
        if image_id not in self._numbers:
            raise ValueError(f"{self.data.name}: no image has the id {image_id!r}; only images of the data can be judged")
        labels = detections.labels.cpu().numpy()
        categories = self._category_of[labels]
        known = categories >= 0
        corners, scores = detections.boxes.cpu().numpy().astype(np.float64), detections.scores.cpu().numpy().astype(np.float64)
        if not (np.isfinite(corners).all() and np.isfinite(scores).all()):
            raise ValueError(f"{self.data.name}: image {image_id!r}: a detection's box or score is not finite; are the weights damaged?")
        sides = corners[:, 2:] - corners[:, :2]
        image_column = np.full(len(labels), self._numbers[image_id])
        rows = np.column_stack([image_column, corners[:, :2], sides, scores, categories])
        self._rows[image_id] = rows[known]
        self._others[image_id] = Counter(str(self.mapping.names[label]) for label in labels[~known].tolist())

    def gather(self) -> bool:
        """Bring the detections of all processes to the first one; True where numbers can then be asked for.

        Every process of the group must call it; without a group it does nothing. A image that several processes had counts once.
        """
        if not (dist.is_available() and dist.is_initialized()):
            return True
        first = dist.get_rank() == 0
        parts: list[Any] | None = [None] * dist.get_world_size() if first else None
        dist.gather_object((self._rows, self._others), parts)
        for rows, others in parts or ():
            self._rows |= rows
            self._others |= others
        return first

    def clear(self) -> None:
        """Forget all detections, to judge the next ones on the same data."""
        self._rows.clear()
        self._others.clear()

    @property
    def left_out(self) -> Counter[str]:
        """How many detections were of classes that the data does not have, by the model's name of the class."""
        return sum(self._others.values(), Counter[str]())

    @cached_property
    def ground_truth(self) -> GroundTruth:
        """What the detections are judged against."""
        return labeled_truth(self.data, self._labels)

    def numbers(self, evaluator: EvaluatorName = "hotcoco") -> CocoNumbers:
        """The COCO numbers of all images.

        Raises:
            ValueError: there is no such engine, or a image's detections were not given.
        """
        truth = self._counted_truth()
        return coco_numbers(truth, curves(truth, self.table(), evaluator), evaluator)

    def voc_numbers(self, rule: Rule = "all-point", overlaps: Sequence[float] = (0.5,)) -> VocNumbers:
        """Pascal VOC's average precision of all images; difficult boxes are ignored.

        Raises:
            ValueError: a image's detections were not given, or a threshold or the rule is none.
        """
        return voc_numbers(self._counted_truth(), self.table(), rule, overlaps)

    def details(self, worst: int = 20) -> Details:
        """Where the detector goes wrong, with at most so many of the worst images.

        Raises:
            ValueError: a image's detections were not given.
        """
        return coco_details(self.ground_truth, self.table(), worst)

    def table(self) -> Floats:
        """``(N, 7)``: number of the image (see :func:`~detkit.evaluation.labeled.numbered`), x, y, width, height, score, category id.

        Raises:
            ValueError: a image's detections were not given.
        """
        self._check_all_given()
        return np.concatenate([np.zeros((0, 7)), *(self._rows[image_id] for image_id in self._numbers)])

    def results(self) -> Iterator[dict[str, Any]]:
        """COCO results with the data set's own image and category ids.

        Images whose id is a text get the number of their place, from 1, and the name of their file beside it.

        Raises:
            ValueError: a image's detections were not given.
        """
        self._check_all_given()
        records = self.data.records
        for image_id, path in zip(records.image_ids, records.paths, strict=True):
            name = {} if isinstance(image_id, int) else {"file_name": path.replace("\\", "/").rpartition("/")[2]}
            for _, *box, score, category in self._rows[image_id].tolist():
                yield {"image_id": self._own_id(image_id), "category_id": int(category), "bbox": box, "score": score, **name}

    def _check_all_given(self) -> None:
        missing = [image_id for image_id in self._numbers if image_id not in self._rows]
        if missing:
            raise ValueError(
                f"{self.data.name}: the detections of {len(missing)} of {len(self._numbers)} images were not given, such as those of "
                f"{missing[0]!r}; a image without any is added with empty detections"
            )

    def write_results(self, path: str | Path) -> None:
        """Write a COCO results file; evaluated from there, it gives the same numbers."""
        write_text(path, "[" + ",\n".join(json.dumps(row) for row in self.results()) + "]\n")

    def read_results(self, path: str | Path) -> Floats:
        """The rows of a COCO results file about this data, as :meth:`write_results` writes it; as :meth:`table` gives its own.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it does not hold results, or not of this data.
        """
        number_of = {self._own_id(image_id): number for image_id, number in self._numbers.items()}
        rows = read_results(path, replace(self.ground_truth, image_ids=tuple(number_of)))
        images, categories, boxes, scores = columns(rows)
        numbers = np.array([number_of[image_id] for image_id in images.tolist()], np.int64)
        return np.column_stack([numbers, boxes, scores, categories])

    def _own_id(self, image_id: ImageId) -> int:
        """The image's id in results files."""
        return image_id if isinstance(image_id, int) else self._numbers[image_id]

    def _counted_truth(self) -> GroundTruth:
        others = self.left_out.total()
        left_out = {**self.ground_truth.left_out, **({LEFT_OUT: others} if others else {})}
        return replace(self.ground_truth, left_out=left_out)

    def _judged_labels(self) -> frozenset[int]:
        """The model's labels of the classes that the data set itself has; data mapped before has the model's whole list."""
        if self.data.coco_file is not None:
            return frozenset(self.data.coco_file.labels.values())
        return frozenset(place for place in self.mapping.places if place is not None)
