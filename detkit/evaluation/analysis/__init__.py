"""Analysis of a detector's results: every number that an evaluation report shows, from ground truth and detections alone."""
