"""Image pyramid: detection at several scales, optionally flipped, with merged detections."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, Self, get_args, overload

import numpy as np
import torch
from torch import Tensor

from detkit.inference.image_like import ImageLike
from detkit.inference.light import reaches_limit
from detkit.inference.min_scores import LeftOut, MinScore, MinScores, better
from detkit.inference.predictor import Predictor
from detkit.inference.views import Range, View, base_side, crop, scale_factors, scaled_config
from detkit.ops.boxes import box_area
from detkit.ops.fuse import weighted_boxes_fusion
from detkit.ops.select import NMSKind, batched_nms, soft_nms
from detkit.ops.windows import cover_by_factor
from detkit.preprocess import PreparedImage, preprocess
from detkit.structures import Detections, Size

Merge = Literal[NMSKind, "fusion"]


@dataclass(frozen=True, eq=False)
class PreparedViews:
    """All views of one image, prepared for the detector.

    Attributes:
        size: Size of the image.
        views: The window and scale of each view.
        prepared: The prepared input of each view.
    """

    size: Size
    views: tuple[View, ...]
    prepared: tuple[PreparedImage, ...]


class ImagePyramid:
    """Runs a predictor at several scales; it can be used wherever a predictor can.

    A detector with a fixed input size sees overlapping windows at scales above 1, and the padded image at scales below 1. Objects cut
    off by the edge of a window are left to windows and scales that contain them completely.

    Args:
        predictor: The predictor to run.
        scales: Factors (up to 16) on the input size in the detector's config, or short sides in pixels (from 32 on).
        min_score: Merged detections with a lower score are removed: a number, or operating points. None: the operating points of the
            predictor if it reports from them on, which then apply after merging; otherwise 0.
        merge_iou: IoU above which detections of one class, from any scale, are merged.
        sizes: For each scale the range ``(from, below)`` of detections to keep, as square roots of areas in original pixels:
            ``((64, inf), (24, 128), (0, 48))`` for scales 0.5, 1 and 2, after SNIP (arXiv:1711.08189). None: all.
        flip: Whether each view is also flipped horizontally.
        merge: ``"hard"``, ``"linear"`` or ``"gaussian"`` NMS, or ``"fusion"``: see :func:`detkit.ops.select.soften` and
            :func:`detkit.ops.fuse.weighted_boxes_fusion`.
        sigma: Width of the Gaussian in ``"gaussian"`` NMS.
        window_overlap: Minimum overlap of neighboring windows, as a fraction of their sides.
        max_detections: Maximum number of detections per image. None: all.

    Raises:
        ValueError: If an argument is out of range; the message states the expected range.
    """

    def __init__(
        self,
        predictor: Predictor,
        scales: Sequence[float] = (0.5, 1, 2),
        *,
        min_score: MinScore | None = None,
        merge_iou: float = 0.5,
        sizes: Sequence[Range] | None = None,
        flip: bool = False,
        merge: Merge = "hard",
        sigma: float = 0.5,
        window_overlap: float = 0.2,
        max_detections: int | None = 100,
    ) -> None:
        self.predictor = predictor.without_operating_points()
        self.flip, self.merge, self.max_detections, self.sigma = flip, merge, max_detections, sigma
        self.factors = scale_factors(scales, predictor.preprocess)
        points = predictor.min_scores.points if min_score is None else None
        self.min_scores = MinScores((points or 0.0) if min_score is None else min_score, predictor.class_names)
        self.merge_iou, self.window_overlap = merge_iou, window_overlap
        self.sizes: tuple[Range, ...] = tuple(sizes or ((0.0, math.inf),) * len(self.factors))
        self._check()
        self.input_size: Size | None = predictor.runtime.info.input_size
        self.class_names, self.reported, self.batch_size = predictor.class_names, predictor.reported, predictor.batch_size
        self.device, self.precision = predictor.device, predictor.precision
        self.left_out: tuple[LeftOut | None, ...] = ()
        self.best_left_out: LeftOut | None = None
        self.cut_images = 0

    def _check(self) -> None:
        if len(self.sizes) != len(self.factors):
            raise ValueError(f"sizes: expected one range for each of {len(self.factors)} scales, got {len(self.sizes)}")
        for low, high in self.sizes:
            if not 0 <= low < high:
                raise ValueError(f"sizes: expected ranges (from, below) with 0 <= from < below, got ({low:g}, {high:g})")
        if self.merge not in (kinds := (*get_args(NMSKind), "fusion")):
            raise ValueError(f"merge {self.merge!r}: expected one of {', '.join(kinds)}")
        for name in ("min_score", "merge_iou"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}: expected a number from 0 to 1, got {getattr(self, name):g}")
        if not 0 <= self.window_overlap < 1:
            raise ValueError(f"window_overlap: expected a number from 0 to below 1, got {self.window_overlap:g}")
        if not self.sigma > 0:
            raise ValueError(f"sigma: expected a number above 0, got {self.sigma:g}")

    @property
    def min_score(self) -> float:
        """The lowest score that is reported of any class."""
        return self.min_scores.lowest

    def without_operating_points(self) -> Self:
        """Return this pyramid, but reporting every score if it reports from operating points on; see :class:`Predictor`."""
        return self if self.min_scores.points is None else self.with_min_score(0.0)

    def with_min_score(self, min_score: MinScore) -> Self:
        """Return this pyramid, but reporting from another score on; see :class:`Predictor`."""
        other = copy.copy(self)
        other.min_scores = MinScores(min_score, self.class_names)
        return other

    @overload
    def __call__(self, images: ImageLike) -> Detections: ...

    @overload
    def __call__(self, images: list[Any] | tuple[Any, ...]) -> list[Detections]: ...

    def __call__(self, images: ImageLike | list[Any] | tuple[Any, ...]) -> Detections | list[Detections]:
        """See :meth:`Predictor.__call__`."""
        if isinstance(images, (list, tuple)):
            return [self.detect([self.prepare(image)])[0] for image in images]
        return self.detect([self.prepare(images)])[0]

    def views(self, size: Size) -> tuple[View, ...]:
        """Return the views of an image of ``size``, scale by scale."""
        preprocess_config, views = self.predictor.preprocess, []
        for factor, sizes in zip(self.factors, self.sizes, strict=True):
            fixed = self.input_size is not None
            config = preprocess_config if fixed else scaled_config(preprocess_config, factor, self.predictor.runtime.info.pad_multiple)
            for window in cover_by_factor(size, factor if fixed else 1.0, self.window_overlap):
                views += [View(window, config, sizes, flipped) for flipped in ((False, True) if self.flip else (False,))]
        return tuple(views)

    def prepare(self, image: ImageLike) -> PreparedViews:
        """Prepare all views of an image, on the device of the detector."""
        pixels = self.predictor.pixels(image)
        size = (int(pixels.shape[1]), int(pixels.shape[2]))
        views, prepared, proposals = self.views(size), [], self.predictor.propose(pixels)
        for view in views:
            part = crop(pixels, view.window, view.config.pad_value)
            inputs = preprocess(part.flip(-1) if view.flipped else part, view.config)
            prepared.append(inputs if proposals is None else replace(inputs, proposals=inputs.placement.apply(view.project(proposals))))
        return PreparedViews(size, views, tuple(prepared))

    def detect(self, prepared: Sequence[PreparedViews]) -> list[Detections]:
        """Return the merged detections of each image, in its own pixels, best first; views of equal size run in batches."""
        detections = iter(self.predictor.detect([view for image in prepared for view in image.prepared]))
        merged, left_out = [], []
        for image in prepared:
            rows = islice(detections, len(image.views))
            parts = [view.restore(row, image.size) for view, row in zip(image.views, rows, strict=True)]
            kept, best = self._filtered(self._merged(Detections.cat(parts)))
            merged.append(kept)
            left_out.append(best)
            self.best_left_out = better(self.best_left_out, best)
        self.left_out = tuple(left_out)
        return merged

    def _filtered(self, rows: Detections) -> tuple[Detections, LeftOut | None]:
        """Return the detections that score enough, and the best of the others."""
        arrays = rows.numpy()
        if reaches_limit(arrays, self.max_detections, self.min_score):
            self.cut_images += 1
        best = self.min_scores.best_left_out(arrays, np.ones(len(arrays), np.bool_))
        return rows[torch.from_numpy(self.min_scores.keep(arrays))], best

    def _merged(self, rows: Detections) -> Detections:
        limit = self.max_detections
        columns = rows.boxes, rows.scores, rows.labels
        if self.merge == "fusion":
            boxes, scores, labels = weighted_boxes_fusion(*columns, sources=self._sources, merge_iou=self.merge_iou, max_detections=limit)
            merged = rows.replace(boxes=boxes, scores=scores, labels=labels)
        elif self.merge == "hard":
            merged = rows[batched_nms(*columns, nms_iou=self.merge_iou, max_detections=limit)]
        else:
            keep, scores = soft_nms(
                *columns, kind=self.merge, nms_iou=self.merge_iou, sigma=self.sigma, min_score=0.0, max_detections=limit
            )
            merged = rows[keep].replace(scores=scores)
        return merged

    def _sources(self, boxes: Tensor) -> Tensor:
        """Return the number of views, including flipped ones, whose size range contains each of the boxes ``(n, 4)``."""
        sides = box_area(boxes).sqrt()
        in_range = torch.stack([(sides >= low) & (sides < high) for low, high in self.sizes])
        return in_range.sum(0) * (2 if self.flip else 1)

    def __str__(self) -> str:
        """Return a one-line description for the user."""
        factors = ", ".join(f"{factor:.3g}" for factor in self.factors)
        if self.input_size is not None:
            counts = ", ".join(str(len(cover_by_factor((1000, 1000), factor, self.window_overlap))) for factor in self.factors)
            views = f"{counts} windows of {self.input_size[1]} x {self.input_size[0]} pixels"
        else:
            views = f"short sides {', '.join(f'{base_side(self.predictor.preprocess) * factor:.0f}' for factor in self.factors)} pixels"
        flipped = ", each also flipped" if self.flip else ""
        method = "fusion" if self.merge == "fusion" else f"{self.merge} NMS"
        return f"{views} ({factors} times the detector's own size){flipped}, merged by {method}"
