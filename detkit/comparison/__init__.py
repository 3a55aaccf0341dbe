"""Comparison of detectors on one's own data under equal conditions: plan, training, evaluation, statistics and report."""
