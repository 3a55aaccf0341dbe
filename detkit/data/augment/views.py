"""Views of the plane around an image: larger canvases, and crops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detkit.arrays import Doubles
from detkit.data.augment.annotated_image import AnnotatedImage
from detkit.data.augment.transforms import IoUCropConfig, ZoomOutConfig
from detkit.ops.box_arrays import paired_iou
from detkit.ops.windows import Window
from detkit.structures import Targets


def zoom_out(view: Window, config: ZoomOutConfig, random_numbers: np.random.Generator) -> Window:
    """Return a larger view, up to ``max_scale`` times as wide and as high, with the old one at a random position in it."""
    x1, y1, x2, y2 = view
    scale = random_numbers.uniform(1.0, config.max_scale)
    width, height = int((x2 - x1) * scale), int((y2 - y1) * scale)
    left = x1 - int(random_numbers.integers(width - (x2 - x1) + 1))
    top = y1 - int(random_numbers.integers(height - (y2 - y1) + 1))
    return Window(left, top, left + width, top + height)


def iou_crop(view: Window, boxes: Doubles, config: IoUCropConfig, random_numbers: np.random.Generator) -> Window:
    """Return a crop of the view whose IoU with some box is at least a value drawn from ``min_ious``, or the view itself.

    Follows SSD's sampler as in torchvision (``RandomIoUCrop``): only boxes whose center is inside the crop count. Without boxes
    any crop is accepted.

    Args:
        view: The current view.
        boxes: ``(N, 4)``, in the coordinates of the view.
        config: The crops to try.
        random_numbers: The source of all randomness.
    """
    for _ in range(50):
        min_iou = config.min_ious[int(random_numbers.integers(len(config.min_ious)))]
        if min_iou >= 1:
            return view
        crops = _random_crops(view, config, random_numbers)
        accepted = np.flatnonzero(_best_ious(crops, boxes) >= min_iou) if len(boxes) else np.arange(len(crops))
        if len(accepted):
            x1, y1, x2, y2 = crops[accepted[0]].tolist()
            return Window(int(x1), int(y1), int(x2), int(y2))
    return view


def drop_outside_centers(image: AnnotatedImage, view: Window) -> AnnotatedImage:
    """Drop the objects whose center is outside the view, except crowds: SSD's rule for crops."""
    targets: Targets = image.targets
    centers = (targets.boxes[:, :2] + targets.boxes[:, 2:]) / 2
    inside = (centers > centers.new_tensor(view[:2])).all(1) & (centers < centers.new_tensor(view[2:])).all(1)
    return replace(image, targets=targets[inside | targets.is_crowd])


def _random_crops(view: Window, config: IoUCropConfig, random_numbers: np.random.Generator) -> Doubles:
    """Return random windows in the view, in whole pixels and of an allowed aspect, shape ``(T, 4)``; T is at most ``trials``."""
    x1, y1, x2, y2 = view
    sides = np.array([x2 - x1, y2 - y1])
    crop_sides = np.maximum(1, np.floor(sides * random_numbers.uniform(config.min_scale, 1.0, (config.trials, 2))))
    corners = np.floor((sides - crop_sides) * random_numbers.random((config.trials, 2))) + np.array([x1, y1])
    aspects = crop_sides[:, 0] / crop_sides[:, 1]
    allowed = (aspects >= config.aspect[0]) & (aspects <= config.aspect[1])
    return np.concatenate([corners, corners + crop_sides], axis=1)[allowed]


def _best_ious(crops: Doubles, boxes: Doubles) -> Doubles:
    """Return the highest IoU of each crop with a box whose center is in it, shape ``(T,)``; -1 if there is none."""
    if not len(crops):
        return np.zeros(0)
    low, high = crops[:, None, :2], crops[:, None, 2:]
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2
    inside = ((centers > low) & (centers < high)).all(2)
    best: Doubles = np.where(inside, paired_iou(crops[:, None], boxes), -1.0).max(1)
    return best
