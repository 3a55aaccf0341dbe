"""Drawings of a detector stage: its locations, their assignment to objects, and scores before and after NMS."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from detkit.arrays import ImageArray
from detkit.drawing.boxes import IGNORED_NAME, ClassNames, class_name
from detkit.drawing.canvas import Canvas, as_image, readable_scale
from detkit.drawing.palette import GRAY, Color, color_of, heat_color
from detkit.drawing.sheets import contact_sheet
from detkit.ops.boxes import paired_iou
from detkit.ops.match import IGNORE
from detkit.structures import Detections, StageExplanation, Targets

MAX_BOXES = 100
"""Maximum number of boxes drawn on one image; the best are drawn."""


def draw_locations(image: ImageArray | Tensor, stage: StageExplanation) -> ImageArray:
    """Draw the locations of a stage, one panel per level.

    Anchor centers and points are drawn as dots, the anchors at the center of the image and other locations as boxes.

    Args:
        image: The image as the detector saw it, ``(H, W, 3)`` uint8 or ``(3, H, W)``.
        stage: The stage.
    """
    panels, captions = [], []
    for level, locations in enumerate(stage.locations):
        canvas = _canvas(image)
        prefix = f"level {level}: " if len(stage.locations) > 1 else ""
        captions.append(f"{prefix}{len(locations)} {stage.location_names}{_draw_level(canvas, stage, locations, level)}")
        panels.append(canvas.array())
    return contact_sheet(panels, captions=captions, columns=min(3, len(panels)), max_side=max(panels[0].shape[:2]))


def _draw_level(canvas: Canvas, stage: StageExplanation, locations: Tensor, level: int) -> str:
    """Draw the locations of one level; return a description for the caption."""
    if stage.location_name in ("anchor", "point"):
        centers = (locations[:, :2] + locations[:, -2:]) / 2
        for point in torch.unique(centers.round(), dim=0).tolist():
            canvas.dot((point[0], point[1]), color_of(level))
        if stage.location_name == "point":
            return ""
        image_center = torch.tensor([canvas.image.width, canvas.image.height]) / (2 * canvas.scale)
        nearest = centers[(centers - image_center).square().sum(1).argmin()]
        near = ((centers - nearest).abs() < 1).all(1).nonzero().flatten()
        _draw_boxes(canvas, locations[near], [color_of(level)] * len(near), thin=False)
        return f", at the center: {len(near)}"
    order = torch.sort(stage.scores, descending=True, stable=True).indices[:MAX_BOXES]
    _draw_boxes(canvas, locations[order], [heat_color(score) for score in stage.scores[order].tolist()])
    return "" if len(order) == len(locations) else f", the best {len(order)}"


def draw_matches(image: ImageArray | Tensor, stage: StageExplanation, targets: Targets, class_names: ClassNames) -> ImageArray:
    """Draw each object with the locations assigned to it in one color; ignored points are gray.

    Args:
        image: The image as the detector saw it.
        stage: The stage.
        targets: The objects of the assignment; an object without assigned locations is dashed.
        class_names: Class names by label.
    """
    canvas, locations = _canvas(image), torch.cat(stage.locations)
    if locations.shape[1] == 2:
        for point in locations[stage.assignment == IGNORE].tolist():
            canvas.dot((point[0], point[1]), GRAY)
    for row in range(len(targets)):
        for location in locations[stage.assignment == row].tolist():
            if len(location) == 2:
                canvas.dot((location[0], location[1]), color_of(row))
            else:
                canvas.box(tuple(location), color_of(row), thin=True)
    counts = [int((stage.assignment == row).sum()) for row in range(len(targets))]
    names = [
        IGNORED_NAME if ignored else f"{class_name(class_names, label)}{' (crowd)' if crowd else ''}"
        for label, crowd, ignored in zip(targets.labels.tolist(), targets.is_crowd.tolist(), targets.is_ignore.tolist(), strict=True)
    ]
    rows = list(zip(targets.boxes.tolist(), names, counts, strict=True))
    for row, (box, _, count) in enumerate(rows):
        canvas.box(tuple(box), color_of(row), dashed=not count)
    for row, (box, name, count) in enumerate(rows):
        canvas.label(tuple(box), f"{name}: {count}", color_of(row))
    matched, ignored = int((stage.assignment >= 0).sum()), int((stage.assignment == IGNORE).sum())
    caption = f"{matched} of {len(locations)} {stage.location_names} assigned to {len(targets)} objects, {ignored} ignored"
    return contact_sheet([canvas.array()], captions=[caption], max_side=max(canvas.image.size))


def draw_refinement(image: ImageArray | Tensor, stage: StageExplanation, targets: Targets) -> ImageArray:
    """Draw how the boxes of matched queries move from step to step, one panel per step, with the objects dashed.

    A query has the color of its object in every panel, its box of the step before is thin, and a line shows the path of its center. The
    caption gives the mean IoU with the objects.

    Args:
        image: The image as the detector saw it.
        stage: A stage with ``refinement``.
        targets: The objects of the assignment.
    """
    matched = (stage.assignment >= 0).nonzero().flatten()
    rows = stage.assignment[matched].tolist()
    colors = [color_of(row) for row in rows]
    panels, captions, centers, previous = [], [], list[Tensor](), torch.zeros(0, 4)
    for name, every_box in stage.refinement.items():
        canvas, boxes = _canvas(image), every_box[matched]
        centers.append((boxes[:, :2] + boxes[:, 2:]) / 2)
        for box in targets.boxes.tolist():
            canvas.box(tuple(box), GRAY, dashed=True)
        _draw_boxes(canvas, previous, colors[: len(previous)])
        _draw_boxes(canvas, boxes, colors, thin=False)
        for color, path in zip(colors, torch.stack(centers, 1).tolist(), strict=True):
            canvas.path(path, color)
        previous = boxes
        iou = f", mean IoU {float(paired_iou(boxes, targets.boxes[rows]).mean()):.2f}" if rows else ""
        captions.append(f"{name}: {len(rows)} matched queries{iou}")
        panels.append(canvas.array())
    return contact_sheet(panels, captions=captions, columns=min(3, len(panels)), max_side=max(panels[0].shape[:2]))


def draw_scores(
    image: ImageArray | Tensor, stage: StageExplanation, class_names: ClassNames, *, min_score: float | Sequence[float] = 0.0
) -> ImageArray:
    """Draw the detections before NMS on the left and after NMS on the right, from blue for low to red for high scores.

    Args:
        image: The image as the detector saw it.
        stage: The stage.
        class_names: Class names by label.
        min_score: Detections on the right with at least this score, or that of their class by label, are labeled with class and score, if
            the stage has classes.
    """
    panels, captions = [], []
    for when, detections in (("before", stage.before_nms), ("after", stage.after_nms)):
        canvas, shown = _canvas(image), detections[: MAX_BOXES if len(detections) else 0]
        _draw_boxes(canvas, shown.boxes, [heat_color(score) for score in shown.scores.tolist()])
        if stage.has_classes and when == "after":
            lowest = torch.tensor(min_score)
            _draw_labels(canvas, shown[shown.scores >= (lowest if lowest.ndim == 0 else lowest[shown.labels])], class_names)
        panels.append(canvas.array())
        best = "" if len(shown) == len(detections) else f", the best {len(shown)}"
        captions.append(f"{when} NMS: {len(detections)}{best}")
    return contact_sheet(panels, captions=captions, columns=2, max_side=max(panels[0].shape[:2]))


def _draw_labels(canvas: Canvas, detections: Detections, class_names: ClassNames) -> None:
    rows = list(zip(detections.boxes.tolist(), detections.scores.tolist(), detections.labels.tolist(), strict=True))
    for box, score, _ in reversed(rows):
        canvas.box(tuple(box), heat_color(score))
    for box, score, label in rows:
        canvas.label(tuple(box), f"{class_name(class_names, label)}  {score:.2f}", heat_color(score))


def _draw_boxes(canvas: Canvas, boxes: Tensor, colors: list[Color], thin: bool = True) -> None:
    """Draw boxes, which are sorted best first, with the best on top."""
    for box, color in reversed(list(zip(boxes.tolist(), colors, strict=True))):
        canvas.box(tuple(box), color, thin=thin)


def _canvas(image: ImageArray | Tensor) -> Canvas:
    pixels = as_image(image)
    return Canvas(pixels, readable_scale((pixels.shape[0], pixels.shape[1])))
