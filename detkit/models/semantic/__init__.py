"""Models for semantic segmentation: the class of every pixel."""
