"""Diagnostics of a detector: recall of its anchors and cells, its operations and features, and explanations of its detections."""
