"""Analysis of a detector's results: every number that an evaluation report shows, from ground truth and detections alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from detkit.lazy import lazy_getattr

if TYPE_CHECKING:
    from detkit.evaluation.analysis.analysis import Analysis
    from detkit.evaluation.analysis.analyzer import analyze
    from detkit.evaluation.analysis.at_points import PointsEvaluation, at_operating_points
    from detkit.evaluation.analysis.intervals import Interval, Intervals, metric_intervals

__all__ = ["Analysis", "Interval", "Intervals", "PointsEvaluation", "analyze", "at_operating_points", "metric_intervals"]

# Imported on first use: an evaluation without a report needs none of it.
__getattr__ = lazy_getattr(
    __name__,
    {
        ".analysis": ("Analysis",),
        ".analyzer": ("analyze",),
        ".at_points": ("PointsEvaluation", "at_operating_points"),
        ".intervals": ("Interval", "Intervals", "metric_intervals"),
    },
)
