"""Heads and losses for semantic segmentation: the class of every pixel."""
