"""Drawing of detections and targets on images."""

from detkit.drawing.boxes import draw_detections, draw_targets
from detkit.drawing.canvas import readable_scale
from detkit.drawing.sheets import contact_sheet, side_by_side
from detkit.drawing.stages import draw_locations, draw_matches, draw_scores

__all__ = [
    "contact_sheet",
    "draw_detections",
    "draw_locations",
    "draw_matches",
    "draw_scores",
    "draw_targets",
    "readable_scale",
    "side_by_side",
]
