"""Which part of the plane round a image is seen: canvases larger than it, and crops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from detkit.data.augment.annotated_image import AnnotatedImage
from detkit.data.augment.config import IoUCropConfig, ZoomOutConfig
from detkit.data.augment.geometry import Window
from detkit.structures import Targets

Floats = NDArray[np.float64]


def zoomed_out(view: Window, config: ZoomOutConfig, random_numbers: np.random.Generator) -> Window:
    """A larger view, up to ``max_scale`` times as wide and as high, with the old one somewhere in it."""
    x1, y1, x2, y2 = view
    scale = random_numbers.uniform(1.0, config.max_scale)
    width, height = int((x2 - x1) * scale), int((y2 - y1) * scale)
    left = x1 - int(random_numbers.integers(width - (x2 - x1) + 1))
    top = y1 - int(random_numbers.integers(height - (y2 - y1) + 1))
    return left, top, left + width, top + height


def iou_crop(view: Window, boxes: Floats, config: IoUCropConfig, random_numbers: np.random.Generator) -> Window:
    """A part of the view that overlaps some box as much as one drawn from ``min_ious`` asks, or the view itself.

    Follows SSD's sampler as torchvision has it (``RandomIoUCrop``): the overlap counts boxes whose center is inside.
    Where there are no boxes any crop will do.

    Args:
        view: What is seen now.
        boxes: ``(N, 4)``, in the coordinates of the view.
        config: What crops are tried.
        random_numbers: All chance comes from here.
    """
    for _ in range(50):
        min_overlap = config.min_ious[int(random_numbers.integers(len(config.min_ious)))]
        if min_overlap >= 1:
            return view
        crops = _drawn_crops(view, config, random_numbers)
        good = np.flatnonzero(_best_overlaps(crops, boxes) >= min_overlap) if len(boxes) else np.arange(len(crops))
        if len(good):
            x1, y1, x2, y2 = crops[good[0]].tolist()
            return int(x1), int(y1), int(x2), int(y2)
    return view


def without_centers_outside(image: AnnotatedImage, view: Window) -> AnnotatedImage:
    """The image without the objects whose center the view does not show, crowds excepted: SSD's rule for crops."""
    targets: Targets = image.targets
    centers = (targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2
    inside = (centers > centers.new_tensor(view[:2])).all(1) & (centers < centers.new_tensor(view[2:])).all(1)
    return replace(image, targets=targets[inside | targets.is_crowd])


def _drawn_crops(view: Window, config: IoUCropConfig, random_numbers: np.random.Generator) -> Floats:
    """``(T, 4)`` windows inside the view, in whole pixels, of an allowed shape; T is at most ``trials``."""
    x1, y1, x2, y2 = view
    sides = np.array([x2 - x1, y2 - y1])
    new = np.maximum(1, np.floor(sides * random_numbers.uniform(config.min_scale, 1.0, (config.trials, 2))))
    corners = np.floor((sides - new) * random_numbers.random((config.trials, 2))) + np.array([x1, y1])
    aspects = new[:, 0] / new[:, 1]
    allowed = (aspects >= config.aspect[0]) & (aspects <= config.aspect[1])
    return np.concatenate([corners, corners + new], axis=1)[allowed]


def _best_overlaps(crops: Floats, boxes: Floats) -> Floats:
    """``(T,)`` the highest IoU of each crop with a box whose center is in it; -1 if there is none."""
    if not len(crops):
        return np.zeros(0)
    low, high = crops[:, None, :2], crops[:, None, 2:]
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = ((centers > low) & (centers < high)).all(2)
    shared = np.clip(np.minimum(high, boxes[:, 2:]) - np.maximum(low, boxes[:, :2]), 0, None).prod(2)
    union = (high - low).prod(2) + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared
    best: Floats = np.where(inside, shared / union, -1.0).max(1)
    return best
