"""What a stage of a detector did, drawn: its places, what answers for each object, scores before and after suppression."""

from __future__ import annotations

import torch
from torch import Tensor

from detkit.drawing.boxes import ClassNames, class_name
from detkit.drawing.canvas import Canvas, ImageArray, as_image, readable_scale
from detkit.drawing.palette import Color, color_of, heat
from detkit.drawing.sheets import contact_sheet
from detkit.ops.match import IGNORE
from detkit.structures import Detections, StageExplanation, Targets

MOST_BOXES = 100
"""More boxes than this in one image hide each other; the best are drawn."""
_GREY: Color = (128, 128, 128)


def draw_places(image: ImageArray | Tensor, stage: StageExplanation) -> ImageArray:
    """A panel a level: the middles of its anchors, and whole those at the middle of the image; points as dots; other boxes whole.

    Args:
        image: What the detector saw, ``(H, W, 3)`` uint8 or ``(3, H, W)``.
        stage: What it did.
    """
    panels, captions = [], []
    for level, locations in enumerate(stage.locations):
        canvas = _canvas(image)
        where = f"level {level}: " if len(stage.locations) > 1 else ""
        captions.append(f"{where}{len(locations)} {stage.location_name}s{_draw_level(canvas, stage, locations, level)}")
        panels.append(canvas.array())
    return contact_sheet(panels, captions=captions, columns=min(3, len(panels)), max_side=max(panels[0].shape[:2]))


def _draw_level(canvas: Canvas, stage: StageExplanation, locations: Tensor, level: int) -> str:
    """Draw the places of one level; what is drawn, for the caption."""
    if stage.location_name in ("anchor", "point"):
        middles = (locations[:, :2] + locations[:, -2:]) / 2
        for point in torch.unique(middles.round(), dim=0).tolist():
            canvas.dot((point[0], point[1]), color_of(level))
        if stage.location_name == "point":
            return ""
        goal = torch.tensor([canvas.image.width, canvas.image.height]) / (2 * canvas.scale)
        middle = middles[(middles - goal).square().sum(1).argmin()]
        near = ((middles - middle).abs() < 1).all(1).nonzero().flatten()
        _boxes(canvas, locations[near], [color_of(level)] * len(near), thin=False)
        return f", those at the middle: {len(near)}"
    order = torch.sort(stage.scores, descending=True, stable=True).indices[:MOST_BOXES]
    _boxes(canvas, locations[order], [heat(score) for score in stage.scores[order].tolist()])
    return "" if len(order) == len(locations) else f", the best {len(order)}"


def draw_matches(image: ImageArray | Tensor, stage: StageExplanation, targets: Targets, class_names: ClassNames) -> ImageArray:
    """The objects, each in a color with the places that answer for it; those left out of the loss are gray where they are points.

    Args:
        image: What the detector saw.
        stage: What it did.
        targets: The objects that its matches speak of; one that nothing answers for is dashed.
        class_names: One a label.
    """
    canvas, locations = _canvas(image), torch.cat(stage.locations)
    if locations.shape[1] == 2:
        for point in locations[stage.assignment == IGNORE].tolist():
            canvas.dot((point[0], point[1]), _GREY)
    for row in range(len(targets)):
        for location_name in locations[stage.assignment == row].tolist():
            if len(location_name) == 2:
                canvas.dot((location_name[0], location_name[1]), color_of(row))
            else:
                canvas.box(tuple(location_name), color_of(row), thin=True)
    counts = [int((stage.assignment == row).sum()) for row in range(len(targets))]
    rows = list(zip(targets.boxes.tolist(), targets.labels.tolist(), targets.is_crowd.tolist(), counts, strict=True))
    for row, (box, _, _, count) in enumerate(rows):
        canvas.box(tuple(box), color_of(row), dashed=not count)
    for row, (box, label, crowd, count) in enumerate(rows):
        canvas.label(tuple(box), f"{class_name(class_names, label)}{' (crowd)' if crowd else ''}: {count}", color_of(row))
    matched, left_out = int((stage.assignment >= 0).sum()), int((stage.assignment == IGNORE).sum())
    caption = f"{matched} of {len(locations)} {stage.location_name}s answer for {len(targets)} objects, {left_out} for nothing"
    return contact_sheet([canvas.array()], captions=[caption], max_side=max(canvas.image.size))


def draw_scores(image: ImageArray | Tensor, stage: StageExplanation, class_names: ClassNames, *, min_score: float = 0.0) -> ImageArray:
    """The candidates before suppression at the left, what it left at the right; blue scores little, red much.

    Args:
        image: What the detector saw.
        stage: What it did.
        class_names: One a label.
        min_score: Those at the right that score as much have their class and score written beside them, if the stage knows classes.
    """
    panels, captions = [], []
    for when, found in (("before", stage.before_nms), ("after", stage.after_nms)):
        canvas, shown = _canvas(image), found[: MOST_BOXES if len(found) else 0]
        _boxes(canvas, shown.boxes, [heat(score) for score in shown.scores.tolist()])
        if stage.has_classes and when == "after":
            _name(canvas, shown[shown.scores >= min_score], class_names)
        panels.append(canvas.array())
        best = "" if len(shown) == len(found) else f", the best {len(shown)}"
        captions.append(f"{when} suppression: {len(found)}{best}")
    return contact_sheet(panels, captions=captions, columns=2, max_side=max(panels[0].shape[:2]))


def _name(canvas: Canvas, found: Detections, class_names: ClassNames) -> None:
    rows = list(zip(found.boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True))
    for box, score, _ in reversed(rows):
        canvas.box(tuple(box), heat(score))
    for box, score, label in rows:
        canvas.label(tuple(box), f"{class_name(class_names, label)}  {score:.2f}", heat(score))


def _boxes(canvas: Canvas, boxes: Tensor, colors: list[Color], thin: bool = True) -> None:
    """Draw boxes, which come best first, the best on top."""
    for box, color in reversed(list(zip(boxes.tolist(), colors, strict=True))):
        canvas.box(tuple(box), color, thin=thin)


def _canvas(image: ImageArray | Tensor) -> Canvas:
    photo = as_image(image)
    return Canvas(photo, readable_scale((photo.shape[0], photo.shape[1])))
