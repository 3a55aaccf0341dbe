"""The metadata of exported files: what a program must know to use the network inside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from detkit.checkpoint.operating_points import HEADER_FIELD, OperatingPoints
from detkit.config import Config, ConfigError
from detkit.json_text import parse_json

METADATA_KEY = "detkit"
"""Key of the file's metadata entry that describes the detector, as JSON."""
FORMAT = 4
"""Version of the metadata; version 1 has no operating points, 2 knows only the outputs ``locations``, 3 neither masks nor ``pixels``."""

EMBEDDINGS = "embeddings"
"""Output of a tower of CLIP; see :func:`detkit.export.clip.export_tower`. Such a file is no detector."""
OutputKind = Literal["detections", "locations", "classes", "pixels"]
"""Outputs of a file: the detections of each image; scores and boxes at every location; the scores of whole images; or those of every
pixel."""


class ExportMetadata(Config):
    """The metadata of an exported file about its detector."""

    format: int = Field(ge=1)
    """Version of the metadata."""
    detkit: str
    """Version of detkit that wrote the file."""
    detector: str
    """Name of the detector's class."""
    class_names: tuple[str | None, ...] = Field(min_length=1)
    """Class names by label; none for classes that are never reported."""
    outputs: OutputKind = "locations"
    """Kind of the outputs; see :mod:`detkit.inference.exported.outputs`."""
    preprocess: str
    """How images are resized: a ``PreprocessConfig`` as JSON."""
    postprocess: str
    """How scored boxes become detections: a ``PostprocessConfig`` as JSON; the outputs ``detections`` are already selected by it."""
    mean: tuple[float, float, float]
    """Value of each channel that becomes zero in the network; images are padded with it."""
    pad_multiple: int = Field(ge=1, le=1024)
    """Images are padded to sides divisible by this."""
    input_size: tuple[int, int] | None
    """``(height, width)`` of the only images that the file takes; none: any size."""
    batch_size: int | None = Field(ge=1)
    """Images per call; none: any number."""
    levels: tuple[int, ...] | None = None
    """Number of locations of each level, where the file does not return it."""
    mask_side: int | None = Field(None, ge=1, le=1024)
    """Cells of a side of the grid of each detection's mask; none: the file returns no masks."""
    background: bool = True
    """For the outputs ``pixels``: whether pixels of no object are a class, whose probability is what the others lack of 1."""
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    """Data type of convolutions and matrix products."""
    min_score: float | None
    """Suggested minimum score for showing detections."""
    proposals: str | None = None
    """Source of the proposals that the file takes: a ``ProposalsConfig`` as JSON; none: it takes none."""
    operating_points: str | None = None
    """The scores at which the detector worked best on its validation data: ``OperatingPoints`` as JSON."""
    license: str | None = None
    """Terms of the weights, as far as they are known."""
    training: str | None = None
    """Facts about the training, such as its data, as JSON."""


def read_metadata(path: Path, text: str | None) -> ExportMetadata:
    """Read the metadata entry of an exported file.

    Args:
        path: The file, for messages.
        text: The entry; None if the file has none.

    Raises:
        ValueError: If there is no entry, or it is damaged or of a newer version.
    """
    if text is None:
        raise ValueError(f"{path}: not written by detkit: expected a file from `detkit export`")
    damaged = f"{path}: its metadata is damaged"
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{damaged}: expected JSON, got {text[:40]!r}; export the detector again") from None
    version = values.get("format") if isinstance(values, dict) else None
    if isinstance(version, int) and version > FORMAT:
        raise ValueError(f"{path}: written by detkit {values.get('detkit')} in a newer format; update detkit")
    if isinstance(values, dict) and values.get("outputs") == EMBEDDINGS:
        computes = f"a tower of CLIP, which computes embeddings of {values.get('input')} and detects nothing"
        raise ValueError(f"{path}: {computes}; use onnxruntime")
    try:
        return ExportMetadata.from_json(text)
    except ConfigError as error:
        raise ValueError(f"{damaged}: {error}; export the detector again") from None


def suggestions(path: Path, metadata: ExportMetadata) -> dict[str, Any]:
    """Return what :meth:`detkit.inference.runtime.FileRuntime.metadata` returns.

    Raises:
        ValueError: If the operating points are damaged.
    """
    known = {
        "class_names": metadata.class_names,
        "min_score": metadata.min_score,
        "proposals": metadata.proposals,
        "classifies": metadata.outputs == "classes",
        "segments": metadata.outputs == "pixels",
        "background": metadata.background,
    }
    if metadata.operating_points is None:
        return known
    name = f"{path}: {HEADER_FIELD}"
    return {**known, HEADER_FIELD: OperatingPoints.from_dict(parse_json(metadata.operating_points, name), name).to_dict()}
