"""Copy of an exported file with other operating points."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from detkit.checkpoint.atomic import atomic_write
from detkit.checkpoint.operating_points import OperatingPoints
from detkit.checkpoint.recalibrate import check_new
from detkit.export.files.openvino import copy_with_metadata
from detkit.inference.exported.metadata import METADATA_KEY
from detkit.inference.exported.onnx import SUFFIX, OnnxRuntime
from detkit.inference.exported.openvino import SUFFIX as OPENVINO
from detkit.inference.exported.openvino import OpenVinoRuntime


def recalibrate_exported(source: str | Path, output: str | Path, points: OperatingPoints) -> None:
    """Write an exported file with the network of another, and other operating points in its metadata.

    Args:
        source: The exported file.
        output: The file to write; it must not exist.
        points: The operating points.

    Raises:
        FileExistsError: If ``output`` exists.
        ValueError: If the format of ``source`` keeps no operating points, or it is not an exported detector.
        ImportError: If the libraries that read and write the file are not installed.
    """
    source, output = Path(source), Path(output)
    if source.suffix not in (SUFFIX, OPENVINO) or source.suffix != output.suffix:
        raise ValueError(f"{source}: cannot be copied to {output} with operating points; expected two {SUFFIX} or two {OPENVINO} files")
    check_new(output)
    if output.suffix == OPENVINO:
        check_new(output.with_suffix(".bin"))
        OpenVinoRuntime.metadata(source)  # an error for files of other programs
        copy_with_metadata(source, output, partial(_with_points, points=points))
        return
    OnnxRuntime.metadata(source)  # an error for files of other programs
    try:
        import onnx
    except ImportError:
        raise ImportError(f"{source}: onnx, which rewrites its metadata, is not installed: pip install 'detkit-vision[export]'") from None
    model = onnx.load(str(source))
    (entry,) = (row for row in model.metadata_props if row.key == METADATA_KEY)
    entry.value = _with_points(entry.value, points)
    with atomic_write(output) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _with_points(text: str, points: OperatingPoints) -> str:
    """Return a file's metadata with other operating points."""
    metadata = json.loads(text)
    metadata |= {"format": max(2, metadata["format"]), "min_score": points.overall.score, "operating_points": json.dumps(points.to_dict())}
    return json.dumps(metadata)
