"""Analysis of a detector's results: every number that an evaluation report shows, from ground truth and detections alone."""

from __future__ import annotations

from detkit.evaluation.analysis.analysis import Analysis
from detkit.evaluation.analysis.analyze import analyze
from detkit.evaluation.analysis.at_points import PointsEvaluation, at_operating_points
from detkit.evaluation.analysis.intervals import Interval, Intervals, metric_intervals

__all__ = ["Analysis", "Interval", "Intervals", "PointsEvaluation", "analyze", "at_operating_points", "metric_intervals"]
