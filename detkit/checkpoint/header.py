"""The header of a checkpoint, which is read and built without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detkit.checkpoint.inspect import check_file

FORMAT = 1
"""The version of the header; a file with a higher version was written by a later detkit."""

HEADER_KEY = "detkit"
"""The key of the header, JSON text, in the metadata of the safetensors file."""


def make_header(
    model_json: str, class_names: Sequence[str | None], *, experiment: str = "", metrics: Mapping[str, float] | None = None, **more: Any
) -> dict[str, Any]:
    """Build a header for :func:`save_checkpoint`; ``more`` takes any values that JSON can represent."""
    from detkit.about import __version__

    header = {"format": FORMAT, "detkit": __version__, "model": model_json, "class_names": list(class_names)}
    return {**header, "experiment": experiment, "metrics": dict(metrics or {}), **more}


def read_header(path: str | Path, known_names: Sequence[str] = ()) -> dict[str, Any]:
    """Read the header only, without any tensor.

    Args:
        path: The file.
        known_names: Names of weights that the caller accepts too, for a "did you mean" if there is no such file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is truncated, a pickle, not safetensors, not a detkit checkpoint, or of a later format.
    """
    path = Path(path)
    metadata = check_file(path, known_names)
    if HEADER_KEY not in metadata:
        raise ValueError(
            f"checkpoint {path}: a safetensors file, but not a detkit checkpoint (its header has no model config); "
            "convert released files with detkit models import"
        )
    header: dict[str, Any] = json.loads(metadata[HEADER_KEY])
    if header.get("format", 0) > FORMAT:
        raise ValueError(
            f"checkpoint {path}: expected format {FORMAT} or lower, got {header['format']}, written by detkit {header.get('detkit')}; "
            "update detkit"
        )
    return header
