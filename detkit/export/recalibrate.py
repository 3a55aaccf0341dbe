"""Copy of an exported file with other operating points."""

from __future__ import annotations

import json
from pathlib import Path

from detkit.checkpoint.atomic import atomic_write
from detkit.checkpoint.operating_points import OperatingPoints
from detkit.checkpoint.recalibrate import check_new
from detkit.inference.exported.metadata import METADATA_KEY
from detkit.inference.exported.onnx import SUFFIX, OnnxRuntime


def recalibrate_exported(source: str | Path, output: str | Path, points: OperatingPoints) -> None:
    """Write an exported ONNX file with the network of another, and other operating points in its metadata.

    Args:
        source: The exported file.
        output: The file to write; it must not exist.
        points: The operating points.

    Raises:
        FileExistsError: If ``output`` exists.
        ValueError: If the format of ``source`` keeps no operating points, or it is not an exported detector.
        ImportError: If onnx or onnxruntime is not installed.
    """
    source, output = Path(source), Path(output)
    if SUFFIX not in (source.suffix, output.suffix) or source.suffix != output.suffix:
        raise ValueError(f"{source}: cannot be copied to {output} with operating points; expected two {SUFFIX} files")
    check_new(output)
    OnnxRuntime.metadata(source)  # an error for files of other programs
    try:
        import onnx
    except ImportError:
        raise ImportError(f"{source}: onnx, which rewrites its metadata, is not installed: pip install 'detkit-vision[export]'") from None
    model = onnx.load(str(source))
    (entry,) = (row for row in model.metadata_props if row.key == METADATA_KEY)
    metadata = json.loads(entry.value)
    metadata |= {"format": max(2, metadata["format"]), "min_score": points.overall.score, "operating_points": json.dumps(points.to_dict())}
    entry.value = json.dumps(metadata)
    with atomic_write(output) as temporary:
        temporary.write_bytes(model.SerializeToString())
