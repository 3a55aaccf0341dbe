"""Export of a detector to OpenVINO's own files, ``.xml`` and ``.bin``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from detkit.checkpoint.atomic import explain_write_errors
from detkit.export.agreement import Agreement, compare
from detkit.export.onnx import check_agreement, export_onnx
from detkit.export.quantization.int8 import speedup
from detkit.export.settings import ExportSettings
from detkit.inference.exported.openvino import (
    DIGEST_FIELD,
    METADATA_FIELDS,
    SUFFIX,
    OpenVinoRuntime,
    import_openvino,
    openvino_core,
    weights_digest,
)
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor


def export_openvino(
    predictor: Predictor, path: str | Path, images: Sequence[ImageLike], settings: ExportSettings | None = None
) -> Agreement:
    """Export a detector to an ``.xml`` file with its weights in a ``.bin`` file, and compare the detections of both.

    The detector is exported to ONNX and converted. Inputs, outputs and metadata are those of the ONNX file.

    Args:
        predictor: The detector, in reference mode on the CPU.
        path: File name ending in ``.xml``; existing files are replaced once the new ones are complete and verified.
        images: Images on which both are compared.
        settings: As for :func:`detkit.export.onnx.export_onnx`; the precision ``fp16`` stores the weights in float16, and OpenVINO
            multiplies in float32 all the same. int8 is measured against float32 in OpenVINO.

    Returns:
        The differences between the detector and the file.

    Raises:
        ValueError: If the detector cannot be exported, or the detections of the file differ from those of the detector.
        ImportError: If onnx, onnxruntime or openvino is not installed.
    """
    path, settings = Path(path), settings or ExportSettings()
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: expected a file name ending in {SUFFIX}")
    if settings.for_opencv:
        raise ValueError(f"{path}: files for OpenCV end in .onnx")
    import_openvino(path)  # before the work
    plain = replace(settings, precision="fp32", calibration=(), verify=None)
    with explain_write_errors(path), _temporary_folder(path) as folder:
        export_onnx(predictor, folder / "model.onnx", images, plain)
        if settings.precision == "int8":
            return _export_int8(predictor, folder, path, images, settings)
        return convert_and_compare(predictor, folder / "model.onnx", path, images, settings)


def _export_int8(predictor: Predictor, folder: Path, path: Path, images: Sequence[ImageLike], settings: ExportSettings) -> Agreement:
    """Export in int8, and measure it against the float32 file ``model.onnx`` in a folder."""
    small = replace(settings, verify=None, accept=True)  # it is judged by what OpenVINO makes of it
    kept = export_onnx(predictor, folder / "int8.onnx", images, small).kept

    def measured(agreement: Agreement, target: Path) -> Agreement:
        runtimes = [OpenVinoRuntime.open(file) for file in (folder / "model.onnx", target)]
        feeds = runtimes[0].feeds([predictor.prepare(images[0])])
        return replace(agreement, kept=kept, speedup=speedup(runtimes, feeds))

    return convert_and_compare(predictor, folder / "int8.onnx", path, images, settings, measured)


def convert_and_compare(
    predictor: Predictor,
    source: Path,
    path: Path,
    images: Sequence[ImageLike],
    settings: ExportSettings,
    measured: Callable[[Agreement, Path], Agreement] | None = None,
) -> Agreement:
    """Convert an exported ONNX file, compare the result with the detector, and put it in place.

    Args:
        predictor: The detector.
        source: The ONNX file that was exported from it.
        path: The ``.xml`` file to write.
        images: Images on which both are compared.
        settings: As for :func:`export_openvino`.
        measured: Adds to the agreement what is measured on the new file.

    Raises:
        ValueError: If OpenVINO cannot read the file, or its detections differ from those of the detector.
    """
    with _temporary_folder(path) as folder:
        target = folder / path.name
        convert(source, target, half=settings.precision == "fp16")
        agreement = compare(predictor.without_operating_points(), target, images)
        agreement = agreement if measured is None else measured(agreement, target)
        check_agreement(agreement, path, settings)
        if settings.verify is not None:
            settings.verify(OpenVinoRuntime.open(target))
        _place(target, path)
    return agreement


def copy_with_metadata(source: Path, path: Path, change: Callable[[str], str]) -> None:
    """Copy an ``.xml`` file and its ``.bin`` file, with other metadata.

    Args:
        source: The ``.xml`` file.
        path: The ``.xml`` file to write.
        change: Returns the new metadata, as JSON.
    """
    model = openvino_core(source).read_model(str(source))
    metadata = change(model.get_rt_info(list(METADATA_FIELDS[SUFFIX])).astype(str))
    with explain_write_errors(path), _temporary_folder(path) as folder:
        _save(model, folder / path.name, metadata, half=False)
        _place(folder / path.name, path)


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder next to a file, which is removed at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{path.stem}-", dir=path.parent) as folder:
        yield Path(folder)


def convert(source: Path, target: Path, *, half: bool = False) -> None:
    """Convert an exported ONNX file to an ``.xml`` file and its ``.bin`` file.

    Args:
        source: The ONNX file.
        target: The file to write.
        half: Whether to store the weights in float16.

    Raises:
        ValueError: If OpenVINO cannot read the file.
        ImportError: If openvino is not installed.
    """
    core = openvino_core(target)
    try:
        model = core.read_model(str(source))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise ValueError(f"{target}: not written: OpenVINO cannot read the ONNX file that it is made from: {reason}") from None
    _save(model, target, model.get_rt_info(list(METADATA_FIELDS[".onnx"])).astype(str), half=half)


def _save(model: Any, target: Path, metadata: str, *, half: bool) -> None:
    """Write a model with its metadata and the digest of its weights, which are the same both times."""
    from openvino import save_model

    model.set_rt_info(metadata, list(METADATA_FIELDS[SUFFIX]))
    save_model(model, str(target), compress_to_fp16=half)
    model.set_rt_info(weights_digest(target), list(DIGEST_FIELD))
    save_model(model, str(target), compress_to_fp16=half)


def _place(source: Path, target: Path) -> None:
    """Move both files, the weights first: until the other follows, the pair is refused, as the weights are not those that it names."""
    for suffix in (".bin", SUFFIX):
        with source.with_suffix(suffix).open("rb+") as handle:
            os.fsync(handle.fileno())
        source.with_suffix(suffix).replace(target.with_suffix(suffix))
