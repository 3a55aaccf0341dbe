"""Detectors loaded from the files of other publishers."""

from detkit.models.published.conversion import Publication
from detkit.models.published.load import PUBLISHED, load_published, publication

__all__ = ["PUBLISHED", "Publication", "load_published", "publication"]
