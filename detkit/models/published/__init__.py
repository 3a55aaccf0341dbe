"""Detectors loaded from the files of other publishers."""

from detkit.models.published.conversion import Publication
from detkit.models.published.load import PUBLISHED, PublishedDetector, load_published, publication

__all__ = ["PUBLISHED", "Publication", "PublishedDetector", "load_published", "publication"]
