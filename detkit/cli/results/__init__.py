"""Shared by commands that process images and frames: partial results, failures, drawn videos, progress."""
