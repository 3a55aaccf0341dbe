"""Prediction without PyTorch: what all predictors share, and the predictor of exported files that returns numpy arrays."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

import numpy as np

from detkit.arrays import Flags
from detkit.inference.image_like import ImageLike, as_pixels
from detkit.inference.min_scores import LeftOut, MinScore, MinScores, better, loaded_min_score, stored_points
from detkit.inference.pixels.label_maps import class_regions
from detkit.inference.runtime import Runtime, file_runtime
from detkit.inference.views.masks import restored, with_pixels
from detkit.preprocess.arrays import Prepared, PreparedArray, preprocess_array
from detkit.registry import did_you_mean
from detkit.structures.detection import DetectionArrays, DetectionMethods

if TYPE_CHECKING:
    from detkit.checkpoint.operating_points import OperatingPoints
    from detkit.preprocess.config import PreprocessConfig
    from detkit.preprocess.placement import Placement

P = TypeVar("P", bound=Prepared)
D = TypeVar("D", bound=DetectionMethods)


class BasePredictor(Generic[P, D]):
    """Runs a detector on images of any size, in batches, and keeps what the user asks for.

    Args:
        runtime: Runs the detector.
        min_score: Detections with a lower score are removed, in addition to those that the detector removes; a number for all classes,
            or operating points with a score for each.
        classes: Names of the classes to report; None: all.
        batch_size: Images of one prepared size that run together; None: the runtime's own number.

    Attributes:
        operating_points: Scores at which the detector works best, if its checkpoint has them, whether or not they are used.
        min_scores: The lowest score that is reported of each class.
        left_out: For each image of the last call of :meth:`detect`, the best detection that ``min_score`` removed, if any.
        best_left_out: The best of these of all calls so far; None if there is none.
        cut_images: Number of images, so far, of which the limit on detections may have left some out that score enough to be reported.
        pastes_masks: Whether predicted masks become pixels of the image.

    Raises:
        ValueError: If a class is unknown to the model, or ``batch_size`` is not positive.
    """

    def __init__(
        self, runtime: Runtime, *, min_score: MinScore = 0.0, classes: Sequence[str] | None = None, batch_size: int | None = None
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, got {batch_size}")
        self.runtime = runtime
        self.class_names, self.preprocess = runtime.info.class_names, runtime.info.preprocess
        self.min_scores = MinScores(min_score, self.class_names)
        self.batch_size = batch_size or runtime.info.batch_size
        self._reported = _reported(self.class_names, classes)
        self.operating_points: OperatingPoints | None = self.min_scores.points
        self.left_out: tuple[LeftOut | None, ...] = ()
        self.best_left_out: LeftOut | None = None
        self.cut_images = 0
        self.pastes_masks = True

    def __repr__(self) -> str:
        named = sum(name is not None for name in self.class_names)
        points = self.min_scores.points
        score = f", min_score={self.min_score:g}" if self.min_score else ""
        score = score if points is None else f", scores of {points.target} by class"
        return f"{type(self).__name__}({self.runtime.info.name}, {named} classes, {self.device}, {self.precision}{score})"

    @overload
    def __call__(self, images: ImageLike) -> D: ...

    @overload
    def __call__(self, images: list[Any] | tuple[Any, ...]) -> list[D]: ...

    def __call__(self, images: ImageLike | list[Any] | tuple[Any, ...]) -> D | list[D]:
        """Detect on one image, or on each of a list.

        Args:
            images: A path, a PIL image, an array ``(H, W, 3)`` or ``(H, W)`` uint8 RGB, a tensor ``(3, H, W)``, or a list of these.

        Returns:
            Detections on the CPU, best first, in the image's own pixels; a list for a list.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If an input is not an image.
        """
        if isinstance(images, (list, tuple)):
            length = 4 * self.batch_size  # images prepared at a time
            windows = (images[start : start + length] for start in range(0, len(images), length))
            return [detections for window in windows for detections in self.detect([self.prepare(image) for image in window])]
        return self.detect([self.prepare(images)])[0]

    @property
    def min_score(self) -> float:
        """The lowest score that is reported of any class."""
        return self.min_scores.lowest

    def without_operating_points(self) -> Self:
        """Return this predictor, but reporting every score if it reports from operating points on: evaluation needs all detections.

        A number that was given as ``min_score`` stays.
        """
        return self if self.min_scores.points is None else self.with_min_score(0.0)

    def with_min_score(self, min_score: MinScore) -> Self:
        """Return this predictor, but reporting from another score on."""
        other = copy.copy(self)
        other.min_scores = MinScores(min_score, self.class_names)
        return other

    @property
    def max_detections(self) -> int | None:
        """Maximum number of detections per image; None: no limit."""
        return self.runtime.info.max_detections

    @property
    def device(self) -> Any:
        """Where the detector runs."""
        return self.runtime.info.device

    @property
    def precision(self) -> str:
        """Data type of convolutions and matrix products: ``fp32``, ``bf16`` or ``fp16``."""
        return self.runtime.info.precision

    @property
    def reported(self) -> tuple[str, ...]:
        """Names of the classes that can be reported, in the order of their labels."""
        return tuple(str(name) for name, reported in zip(self.class_names, self._reported.tolist(), strict=True) if reported)

    @property
    def takes_proposals(self) -> bool:
        """Whether images need proposals."""
        return self.runtime.info.takes_proposals

    def prepare(self, image: ImageLike, config: PreprocessConfig | None = None) -> P:
        """Return an image resized for the model, or as another config has it."""
        raise NotImplementedError

    def wrap(self, rows: DetectionArrays) -> D:
        """Return detections as the type that this predictor returns."""
        raise NotImplementedError

    def detect(self, prepared: Sequence[P]) -> list[D]:
        """Return the detections of prepared images, in original pixels; images of equal size run in batches."""
        found = self._detect(prepared)
        return [with_pixels(rows, image.original_size) for rows, image in zip(found, prepared, strict=True)] if self.pastes_masks else found

    def class_cells(self, prepared: Sequence[P]) -> list[tuple[Any, Placement]]:
        """Return what a model for semantic segmentation predicts for a batch of prepared images of equal size.

        Returns:
            For each image a row for each class, with its ``mask_probabilities`` in cells of the input, and the image's placement in it.
        """
        return [(rows, image.placement) for rows, image in zip(self._run(list(prepared)), prepared, strict=True)]

    def reported_rows(self, rows: DetectionArrays) -> DetectionArrays:
        """Return the rows of the classes that are reported and that score enough, with the names of the classes."""
        return self._filter(self.wrap(rows))[0].numpy()

    def without_pixels(self) -> Self:
        """Return this predictor, but with masks as probabilities only: the views of an image make its pixels when they are merged."""
        other = copy.copy(self)
        other.pastes_masks = False
        return other

    def _detect(self, prepared: Sequence[P]) -> list[D]:
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(prepared):
            groups[image.size].append(index)
        filtered: dict[int, tuple[D, LeftOut | None]] = {}
        for indices in groups.values():
            for start in range(0, len(indices), self.batch_size):
                chunk = indices[start : start + self.batch_size]
                rows = self._run([prepared[index] for index in chunk])
                filtered |= {i: self._filter(self._restored(prepared[i], row)) for i, row in zip(chunk, rows, strict=True)}
        self.left_out = tuple(filtered[index][1] for index in range(len(prepared)))
        for left_out in self.left_out:
            self.best_left_out = better(self.best_left_out, left_out)
        return [filtered[index][0] for index in range(len(prepared))]

    def _restored(self, image: P, rows: Any) -> Any:
        """Return detections in pixels of the original image; those of a model for semantic segmentation are the regions of the classes."""
        return self.wrap(class_regions(rows, image.placement)) if self.runtime.info.segments else restored(image, rows)

    def _run(self, images: list[P]) -> Sequence[Any]:
        """Return the detections of a batch, in pixels of the prepared images."""
        return self.runtime.detect(images)

    def _filter(self, detections: Any) -> tuple[D, LeftOut | None]:
        """Return the detections to report, with the names of the classes, and the best one that scores too little."""
        raise NotImplementedError

    def _kept(self, rows: DetectionArrays) -> tuple[Flags, LeftOut | None]:
        if reaches_limit(rows, self.max_detections, self.min_score):
            self.cut_images += 1
        reported: Flags = self._reported[rows.labels]
        return reported & self.min_scores.keep(rows), self.min_scores.best_left_out(rows, reported)


def reaches_limit(rows: DetectionArrays, limit: int | None, min_score: float) -> bool:
    """Return whether an image has as many detections as the limit allows, and all of them score enough to be reported."""
    return limit is not None and len(rows) >= limit and float(rows.scores[-1]) >= min_score


def _reported(class_names: tuple[str | None, ...], classes: Sequence[str] | None) -> Flags:
    names = [name for name in class_names if name is not None]
    for name in classes or ():
        if name not in names:
            raise ValueError(f"class {name!r} is not among the {len(names)} classes of the model: {did_you_mean(name, names)}")
    reported = set(names if classes is None else classes)
    return np.array([name in reported for name in class_names], np.bool_)


class NeedsPyTorchError(ValueError):
    """An exported file that cannot be used without PyTorch."""


class ArrayPredictor(BasePredictor[PreparedArray, DetectionArrays]):
    """Runs an exported detector and returns numpy arrays; PyTorch is not imported. :func:`load_exported` makes one."""

    def prepare(self, image: ImageLike, config: PreprocessConfig | None = None) -> PreparedArray:
        """Return an image resized for the model, or as another config has it."""
        pixels = as_pixels(image)
        if not isinstance(pixels, np.ndarray):
            raise ValueError(
                "image: expected a path, a PIL image or an array, got a tensor; load the file with detkit.load, or give an array"
            )
        return preprocess_array(pixels, config or self.preprocess)

    def wrap(self, rows: DetectionArrays) -> DetectionArrays:
        """Return the detections themselves."""
        return rows

    def _filter(self, detections: DetectionArrays) -> tuple[DetectionArrays, LeftOut | None]:
        rows = detections.replace(class_names=self.class_names)
        keep, left_out = self._kept(rows)
        return rows if bool(keep.all()) else rows[keep], left_out


def load_exported(
    path: str | Path,
    device: str = "auto",
    precision: str = "auto",
    *,
    min_score: MinScore | None = None,
    classes: Sequence[str] | None = None,
    batch_size: int | None = None,
    max_detections: int | None = None,
    threads: int | None = None,
) -> ArrayPredictor:
    """Load an exported detector without importing PyTorch; its results are numpy arrays.

    :func:`detkit.load` loads the same file with tensors as results, as those of every other detector.

    Args:
        path: A file written by ``detkit export``.
        device: ``auto`` or ``cpu``.
        precision: ``auto`` or ``fp32``.
        min_score: Detections with a lower score are removed. None: the file's operating points, or nothing is removed if it has none.
        classes: Names of the classes to report; None: all.
        batch_size: Images of one prepared size that run together; None: as the file states.
        max_detections: Maximum number of detections per image; None: as the file states.
        threads: Number of threads; None: ``$OMP_NUM_THREADS``, or the library's choice.

    Raises:
        FileNotFoundError: If the file does not exist.
        NeedsPyTorchError: If the file takes proposals.
        ValueError: If the file is not an exported detector, or cannot run as asked.
        ImportError: If the library that runs it is not installed.
    """
    limits = {"batch_size": batch_size, "max_detections": max_detections} | ({} if threads is None else {"threads": threads})
    runtime = file_runtime(path).open(Path(path), device, precision, **limits)
    if runtime.info.takes_proposals:
        raise NeedsPyTorchError(f"{path}: it takes proposals, which are computed with PyTorch; load it with detkit.load")
    lowest = loaded_min_score(min_score, runtime.info.metadata)
    predictor = ArrayPredictor(runtime, min_score=lowest, classes=classes, batch_size=batch_size)
    predictor.operating_points = stored_points(runtime.info.metadata)
    return predictor
