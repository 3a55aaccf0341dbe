"""Labels that are probably wrong, found with a trained detector, and a label set to correct them in."""

from detkit.curation.label_errors.candidates import Candidate, ErrorKind, LabelErrors
from detkit.curation.label_errors.find import find_label_errors
from detkit.curation.label_errors.label_set import label_set
from detkit.curation.label_errors.memory import memory_warnings

__all__ = ["Candidate", "ErrorKind", "LabelErrors", "find_label_errors", "label_set", "memory_warnings"]
