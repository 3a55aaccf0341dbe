"""An image pyramid: a detector looks at a image at several sizes, mirrored too, and what it finds is merged once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal, get_args, overload

import torch
from torch import Tensor

from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.inference.views import Range, View, factors_of, own_side, scaled, windows
from detkit.ops.boxes import box_area
from detkit.ops.fuse import fuse
from detkit.ops.select import NMSKind, batched_nms, soft_nms
from detkit.preprocess import Prepared, preprocess
from detkit.structures import Detections, Size

Merge = Literal[NMSKind, "fusion"]


@dataclass(frozen=True, eq=False)
class PreparedViews:
    """All views of one image, ready for the detector.

    Attributes:
        size: The image's.
        views: Where each was taken from.
        prepared: As the detector takes them.
    """

    size: Size
    views: tuple[View, ...]
    prepared: tuple[Prepared, ...]


class ImagePyramid:
    """Runs a predictor on every image at several scales; it is called, and stands everywhere, as the predictor itself.

    A detector that takes images of one size alone is shown overlapping windows at scales above 1, and at scales below 1 the
    image with a margin. What is cut by a window's edge is left to the windows and scales that see it whole.

    Args:
        predictor: The detector.
        scales: Factors (up to 16) on the size that the detector's own config asks for, or short sides in pixels (from 32 on).
        min_score: Merged detections below are left out.
        merge_iou: Detections of one class, from whichever scale, that overlap more are taken for one thing.
        sizes: For each scale the detections it is trusted with, ``(from, below)`` as square roots of areas in the image's own
            pixels: ``((64, inf), (24, 128), (0, 48))`` for scales 0.5, 1 and 2, after SNIP (arXiv:1711.08189). None: all.
        flip: Whether every view is shown mirrored too.
        merge: ``"hard"``, ``"linear"`` or ``"gaussian"`` suppression, or ``"fusion"``: see :func:`detkit.ops.select.soften` and
            :func:`detkit.ops.fuse.fuse`.
        sigma: For ``"gaussian"``.
        window_overlap: The least part of its sides that a window shares with the next.
        max_detections: The most detections of a image; None: all.

    Raises:
        ValueError: a number is not of its kind; the message says what was expected.
    """

    def __init__(
        self,
        predictor: Predictor,
        scales: Sequence[float] = (0.5, 1, 2),
        *,
        min_score: float = 0.0,
        merge_iou: float = 0.5,
        sizes: Sequence[Range] | None = None,
        flip: bool = False,
        merge: Merge = "hard",
        sigma: float = 0.5,
        window_overlap: float = 0.2,
        max_detections: int | None = 100,
    ) -> None:
        self.predictor, self.flip, self.merge, self.max_detections, self.sigma = predictor, flip, merge, max_detections, sigma
        self.factors = factors_of(scales, predictor.preprocess)
        self.min_score, self.merge_iou, self.window_overlap = min_score, merge_iou, window_overlap
        self.sizes: tuple[Range, ...] = tuple(sizes or ((0.0, math.inf),) * len(self.factors))
        self._check()
        self.input_size: Size | None = predictor.detector.input_size
        self.class_names, self.reported, self.batch_size = predictor.class_names, predictor.reported, predictor.batch_size
        self.device, self.precision = predictor.device, predictor.precision

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
        """What is looked at in a image of ``size``, scale by scale."""
        own, found = self.predictor.preprocess, []
        for factor, sizes in zip(self.factors, self.sizes, strict=True):
            fixed = self.input_size is not None
            config = own if fixed else scaled(own, factor, self.predictor.detector.pad_multiple)
            for window in windows(size, factor if fixed else 1.0, self.window_overlap):
                found += [View(window, config, sizes, mirrored) for mirrored in ((False, True) if self.flip else (False,))]
        return tuple(found)

    def prepare(self, image: ImageLike) -> PreparedViews:
        """A image's views, on the detector's device."""
        pixels = self.predictor.pixels(image)
        size = (int(pixels.shape[1]), int(pixels.shape[2]))
        views, prepared, proposals = self.views(size), [], self.predictor.propose(pixels)
        for view in views:
            part = view.window.cut(pixels, view.config.pad_value)
            made = preprocess(part.flip(-1) if view.mirrored else part, view.config)
            prepared.append(made if proposals is None else replace(made, proposals=made.placement.place(view.seen(proposals))))
        return PreparedViews(size, views, tuple(prepared))

    def detect(self, prepared: Sequence[PreparedViews]) -> list[Detections]:
        """The merged detections of each image, in its own pixels, best first; views of one size run in batches."""
        found = iter(self.predictor.detect([view for image in prepared for view in image.prepared]))
        merged = []
        for image in prepared:
            rows = islice(found, len(image.views))
            parts = [view.restore(row, image.size) for view, row in zip(image.views, rows, strict=True)]
            merged.append(self._merged(Detections.cat(parts)))
        return merged

    def _merged(self, rows: Detections) -> Detections:
        numbers: dict[str, Any] = {"merge_iou": self.merge_iou, "max_detections": self.max_detections}
        if self.merge == "fusion":
            found = Detections(*fuse(rows.boxes, rows.scores, rows.labels, sources=self._sources, **numbers))
        elif self.merge == "hard":
            found = rows[batched_nms(rows.boxes, rows.scores, rows.labels, **numbers)]
        else:
            numbers |= {"decay": self.merge, "sigma": self.sigma, "min_score": 0.0}
            keep, left = soft_nms(rows.boxes, rows.scores, rows.labels, **numbers)
            found = rows[keep].replace(scores=left)
        return found[found.scores >= self.min_score]

    def _sources(self, boxes: Tensor) -> Tensor:
        """How many views, mirrored ones counted, are trusted with each of ``(n, 4)`` boxes."""
        sides = box_area(boxes).sqrt()
        trusted = torch.stack([(sides >= low) & (sides < high) for low, high in self.sizes])
        return trusted.sum(0) * (2 if self.flip else 1)

    def __str__(self) -> str:
        """What it does, for a person."""
        factors = ", ".join(f"{factor:.3g}" for factor in self.factors)
        if self.input_size is not None:
            counts = ", ".join(str(len(windows((1000, 1000), factor, self.window_overlap))) for factor in self.factors)
            what = f"{counts} windows of {self.input_size[1]} x {self.input_size[0]} pixels"
        else:
            what = f"short sides {', '.join(f'{own_side(self.predictor.preprocess) * factor:.0f}' for factor in self.factors)} pixels"
        mirrored = ", each mirrored too" if self.flip else ""
        how = "fusion" if self.merge == "fusion" else f"{self.merge} suppression"
        return f"{what} ({factors} times the detector's own){mirrored}, merged by {how}"
