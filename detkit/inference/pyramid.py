"""Image pyramid and tiles: detection on several views of an image, with merged detections; runs without PyTorch if the predictor does."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any, Generic, Literal, Self, TypeVar, overload

import numpy as np

from detkit.arrays import Floats, Integers, Size, is_tensor
from detkit.data.media.image_regions import ImageRegions
from detkit.inference.image_like import ImageLike, as_pixels
from detkit.inference.light import BasePredictor, reaches_limit
from detkit.inference.min_scores import LeftOut, MinScore, MinScores, better
from detkit.inference.pixels.blending import blended_regions
from detkit.inference.views.masks import with_pixels
from detkit.inference.views.merging import Merge as Merge
from detkit.inference.views.merging import Merging, with_joined
from detkit.inference.views.plan import view_plan
from detkit.inference.views.prepared import PreparedViews, batches
from detkit.inference.views.view import Range, Restored, View
from detkit.structures.detection import DetectionArrays, DetectionMethods

D = TypeVar("D", bound=DetectionMethods)

SCALES = (0.5, 1.0, 2.0)
"""Scales of a pyramid without tiles."""
MAX_DETECTIONS = 100
"""Detections of an image without tiles."""


class ImagePyramid(Generic[D]):
    """Runs a predictor on several views of an image: the whole image at several scales, and tiles of it.

    It can be used wherever a predictor can. Objects cut off by the edge of a window are left to windows and scales that contain them
    completely. Of an object that every tile cuts and no other view shows, the parts that tiles show are joined.

    A tile is a window of the image that is detected as an image of its own. A detector with a fixed input size sees overlapping windows
    at scales above 1 too, and the padded image at scales below 1. An image that fits one tile, and is not seen at other scales, gives the
    detections of the predictor.

    Of a model for semantic segmentation, the probabilities of the classes in each pixel are averaged over all views that show it.

    Args:
        predictor: The predictor to run.
        scales: Scales of the whole image: factors (up to 16) on the input size in the detector's config, or short sides in pixels (from 32
            on). None: 0.5, 1 and 2, or with tiles 1, which finds the objects that are larger than a tile. Empty, with tiles: the whole
            image is no view.
        tiles: Side of the tiles, in pixels of the image, or several sides; usually about the side of the detector's input. None: no tiles.
        tile_overlap: Minimum overlap of neighboring tiles, as a fraction of their sides; objects that are smaller are complete in a tile.
        min_score: Merged detections with a lower score are removed: a number, or operating points. None: the operating points of the
            predictor if it reports from them on, which then apply after merging; otherwise 0.
        merge_iou: IoU above which detections of one class, from any view, are merged.
        sizes: For each scale, then each side of tiles, the range ``(from, below)`` of detections to keep, as square roots of areas in
            original pixels: ``((64, inf), (24, 128), (0, 48))`` for scales 0.5, 1 and 2, after SNIP (arXiv:1711.08189). None: all.
        flip: Whether each view is also flipped horizontally.
        merge: ``"hard"``, ``"linear"`` or ``"gaussian"`` NMS, or ``"fusion"``: see :func:`detkit.ops.select.soft_nms` and
            :func:`detkit.ops.fuse.weighted_boxes_fusion`.
        sigma: Width of the Gaussian in ``"gaussian"`` NMS.
        window_overlap: Minimum overlap of neighboring windows at a scale, as a fraction of their sides.
        max_detections: Maximum number of detections per image. None: all; ``"auto"``: 100, and with tiles all.

    Raises:
        ValueError: If an argument is out of range; the message states the expected range.
    """

    def __init__(
        self,
        predictor: BasePredictor[Any, D],
        scales: Sequence[float] | None = None,
        *,
        tiles: int | Sequence[int] | None = None,
        tile_overlap: float = 0.2,
        min_score: MinScore | None = None,
        merge_iou: float = 0.5,
        sizes: Sequence[Range] | None = None,
        flip: bool = False,
        merge: Merge = "hard",
        sigma: float = 0.5,
        window_overlap: float = 0.2,
        max_detections: int | Literal["auto"] | None = "auto",
    ) -> None:
        self.predictor = predictor.without_operating_points().without_pixels()
        sides = (tiles,) if isinstance(tiles, int | float) else tuple(tiles or ())
        whole = scales if scales is not None else (1.0,) if sides else SCALES
        overlaps = {"window_overlap": window_overlap, "tile_overlap": tile_overlap}
        self.plan = view_plan(predictor.runtime.info, whole, sides, sizes=sizes, flip=flip, **overlaps)
        self.merging = Merging(merge, merge_iou, sigma)
        unlimited = sides or predictor.runtime.info.segments
        self.max_detections = (None if unlimited else MAX_DETECTIONS) if max_detections == "auto" else max_detections
        if isinstance(min_score, float | int) and not 0 <= min_score <= 1:
            raise ValueError(f"min_score: expected a number from 0 to 1, got {min_score:g}")
        points = predictor.min_scores.points if min_score is None else None
        self.min_scores = MinScores((points or 0.0) if min_score is None else min_score, predictor.class_names)
        self.class_names, self.reported, self.batch_size = predictor.class_names, predictor.reported, predictor.batch_size
        self.device, self.precision = predictor.device, predictor.precision
        self.left_out: tuple[LeftOut | None, ...] = ()
        self.best_left_out: LeftOut | None = None
        self.cut_images = 0

    @property
    def reads_regions(self) -> bool:
        """Whether a large image needs not be read whole; see :func:`detkit.data.media.regions.open_large`."""
        return bool(self.plan.tiles)

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
    def __call__(self, images: ImageLike) -> D: ...

    @overload
    def __call__(self, images: list[Any] | tuple[Any, ...]) -> list[D]: ...

    def __call__(self, images: ImageLike | list[Any] | tuple[Any, ...]) -> D | list[D]:
        """See :meth:`Predictor.__call__`."""
        if isinstance(images, (list, tuple)):
            return [self.detect([self.prepare(image)])[0] for image in images]
        return self.detect([self.prepare(images)])[0]

    def views(self, size: Size) -> tuple[View, ...]:
        """Return the views of an image of ``size``, level by level."""
        return self.plan.views(size)

    def prepare(self, image: ImageLike | ImageRegions) -> PreparedViews:
        """Return the views of an image, which :meth:`detect` prepares batch by batch."""
        if isinstance(image, ImageRegions):
            return PreparedViews(self.predictor, image, image.size, self.views(image.size))
        pixels = as_pixels(image)
        shape = pixels.shape[-2:] if is_tensor(pixels) else pixels.shape[:2]
        size = int(shape[0]), int(shape[1])
        return PreparedViews(self.predictor, pixels, size, self.views(size))

    def detect(self, prepared: Sequence[PreparedViews]) -> list[D]:
        """Return the merged detections of each image, in its own pixels, best first; views of equal size run in batches."""
        merged = self._blended(prepared) if self.predictor.runtime.info.segments else self._all_merged(prepared)
        kept = [self._filtered(rows) for rows in merged]
        sizes = [image.size for image in prepared]
        self.left_out = tuple(best for _, best in kept)
        for best in self.left_out:
            self.best_left_out = better(self.best_left_out, best)
        return [self.predictor.wrap(with_pixels(rows, size)) for (rows, _), size in zip(kept, sizes, strict=True)]

    def _blended(self, prepared: Sequence[PreparedViews]) -> list[DetectionArrays]:
        """Return the regions that a model for semantic segmentation predicts."""
        return [self.predictor.reported_rows(blended_regions(self.predictor, image)) for image in prepared]

    def _all_merged(self, prepared: Sequence[PreparedViews]) -> list[DetectionArrays]:
        """Return the merged detections of the views of each image."""
        parts: list[list[Restored | None]] = [[None] * len(image.views) for image in prepared]
        for batch in batches(prepared, self.batch_size):
            rows = self.predictor.detect([prepared[image].input(view) for image, view in batch])
            for (image, view), row in zip(batch, rows, strict=True):
                parts[image][view] = self._restored(prepared[image], view, row.numpy())
        return [self._merged(image, [part for part in own if part is not None]) for own, image in zip(parts, prepared, strict=True)]

    def _restored(self, image: PreparedViews, index: int, rows: DetectionArrays) -> Restored:
        """Return the detections of a view in pixels of the image; those of an image that is a single tile as they are."""
        view = image.views[index]
        if self.plan.tiles and len(image.views) == 1 and not view.flipped and view.sizes == (0, math.inf):
            return Restored(rows, rows[:0])
        return view.restore(rows, image.size)

    def _merged(self, image: PreparedViews, parts: list[Restored]) -> DetectionArrays:
        """Return the merged detections of the views of an image."""

        def sources(boxes: Floats) -> Integers:
            return self.plan.sources(boxes, image.size)

        if self.plan.tiles and len(parts) == 1:
            return parts[0].complete[: self.max_detections]
        merged = self.merging(DetectionArrays.cat([part.complete for part in parts]), sources, self.max_detections)
        cut = [part.cut for part, view in zip(parts, image.views, strict=True) if view.is_tile and len(part.cut)]
        return with_joined(merged, DetectionArrays.cat(cut))[: self.max_detections] if cut else merged

    def _filtered(self, rows: DetectionArrays) -> tuple[DetectionArrays, LeftOut | None]:
        """Return the detections that score enough, and the best of the others."""
        if reaches_limit(rows, self.max_detections, self.min_score):
            self.cut_images += 1
        best = self.min_scores.best_left_out(rows, np.ones(len(rows), np.bool_))
        return rows[self.min_scores.keep(rows)], best

    def __str__(self) -> str:
        """Return a one-line description for the user."""
        how = "averaged" if self.predictor.runtime.info.segments else f"merged by {self.merging.name}"
        return f"{self.plan}, {how}"
