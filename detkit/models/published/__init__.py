"""Detectors out of the files that others published."""

from detkit.models.published.load import PUBLISHED, Publication, PublishedDetector, load_published, publication

__all__ = ["PUBLISHED", "Publication", "PublishedDetector", "load_published", "publication"]
