"""Detectors of any source but an exported file, as networks in PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detkit.checkpoint import load_checkpoint
from detkit.inference.runtime import ONLY_DETECTION, is_exported
from detkit.inference.sources import checkpoint_path
from detkit.models.loading.checkpoints import LoadedDetector, from_checkpoint
from detkit.models.published.load import PUBLISHED, load_published, templates_error
from detkit.weights import EMBEDDED, catalog


def load_detector(
    source: str | Path,
    file: str | Path | None = None,
    classes: Sequence[str] | None = None,
    templates: Sequence[str] | None = None,
) -> LoadedDetector:
    """Return the detector of any source but an exported file, without a predictor around it; see :func:`load`."""
    if is_exported(source):
        raise ValueError(f"{source}: {ONLY_DETECTION}")
    path = checkpoint_path(source) if file is None else None
    names = PUBLISHED.names()
    if file is not None or (path is None and str(source) in names):
        return load_published(str(source), file, classes, templates)
    if path is None and str(source) in {entry.name for entry in catalog()}:
        raise ValueError(f"weights {source}: expected a detector, got a backbone; choose one of: {', '.join(names)}")
    if templates is not None:
        raise ValueError(templates_error(str(source)))
    path = path or Path(source)
    return from_checkpoint(load_checkpoint(path, known_names=(EMBEDDED, *names)), str(path))
