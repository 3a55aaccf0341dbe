"""The header of a checkpoint, which is read and built without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detkit.checkpoint.fields import Field, check_fields, is_count, is_mapping, is_number, is_text
from detkit.checkpoint.inspect import check_file
from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoints
from detkit.json_text import parse_json
from detkit.printable import shortened

FORMAT = 1
"""The version of the header; a file with a higher version was written by a later detkit."""

MAX_CLASSES = 100_000
"""Largest number of classes of a checkpoint; ImageNet-21k, the largest common list, has 21,841."""

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
    header: dict[str, Any] = parse_json(metadata[HEADER_KEY], f"checkpoint {path}: header")
    if is_mapping(header) and is_count(header.get("format")) and header["format"] > FORMAT:  # its fields may have other types
        raise ValueError(
            f"checkpoint {path}: expected format {FORMAT} or lower, got {header['format']}, written by detkit {header.get('detkit')}; "
            "update detkit"
        )
    check_header(header, f"checkpoint {path}: header")
    return header


def check_header(header: Any, name: str) -> None:
    """Check the types and limits of the fields of a header.

    Raises:
        ValueError: If a field is missing or wrong.
    """
    check_fields(header, _FIELDS, name, "the file was changed or not written by detkit: use another checkpoint")
    if header.get(HEADER_FIELD) is not None:
        OperatingPoints.from_dict(header[HEADER_FIELD], f"{name}: {HEADER_FIELD}")
    model = parse_json(header["model"], f"{name}: model")
    if not is_mapping(model) or not is_text(model.get("kind", "")):
        raise ValueError(f"{name}: model: expected a config with the kind of the model as text, got {shortened(header['model'], 80)}")


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_CLASSES and all(name is None or isinstance(name, str) for name in value)


def _are_metrics(value: Any) -> bool:
    return is_mapping(value) and all(number is None or isinstance(number, (int, float)) for number in value.values())


_FIELDS = {
    "format": Field("a whole number", is_count).optional(),
    "detkit": Field("the version of detkit as text", is_text).optional(),
    "model": Field("the config of the model as text", is_text),
    "class_names": Field(f"a list of at most {MAX_CLASSES:,} names", _are_names),
    "experiment": Field("a config as text", is_text).optional(),
    "metrics": Field("numbers by name", _are_metrics).optional(),
    "min_score": Field("a score from 0 to 1", lambda score: score is None or (is_number(score) and 0 <= score <= 1)).optional(),
    "step": Field("a whole number", is_count).optional(),
}
