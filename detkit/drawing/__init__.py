"""Drawing of detections and targets on images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.drawing.boxes import draw_detections, draw_targets
    from detkit.drawing.canvas import readable_scale
    from detkit.drawing.sheets import contact_sheet, side_by_side
    from detkit.drawing.stages import draw_locations, draw_matches, draw_refinement, draw_scores
    from detkit.drawing.strip import draw_strip
    from detkit.drawing.tracks import TrackDrawer

__all__ = [
    "TrackDrawer",
    "contact_sheet",
    "draw_detections",
    "draw_locations",
    "draw_matches",
    "draw_refinement",
    "draw_scores",
    "draw_strip",
    "draw_targets",
    "readable_scale",
    "side_by_side",
]

# Only the stages of a detector need torch.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".boxes": ("draw_detections", "draw_targets"),
        ".canvas": ("readable_scale",),
        ".sheets": ("contact_sheet", "side_by_side"),
        ".stages": ("draw_locations", "draw_matches", "draw_refinement", "draw_scores"),
        ".strip": ("draw_strip",),
        ".tracks": ("TrackDrawer",),
    },
)
