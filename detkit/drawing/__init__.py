"""Boxes drawn on pictures: detections, targets, and both beside each other."""

from detkit.drawing.boxes import draw_detections, draw_targets
from detkit.drawing.picture import readable_scale
from detkit.drawing.sheets import contact_sheet, side_by_side

__all__ = ["contact_sheet", "draw_detections", "draw_targets", "readable_scale", "side_by_side"]
