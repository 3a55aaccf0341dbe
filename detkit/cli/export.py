"""Write a detector to a file for other runtimes, and verify that its detections match those of the detector.

    detkit export runs/light-1 --output light.onnx
    detkit detect photo.jpg --model light.onnx

The file takes batches of images, of any size divisible by the strides or of the detector's fixed size, and returns their detections: NMS
is inside. With --outputs locations it returns the scores of every class and the boxes at every location of a one-stage detector instead.
The metadata under "detkit" holds the resizing of images, the class names and the operating points; detkit reads them from there. A file
whose detections differ by more than rounding is not written.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from detkit.cli.flags import MODEL_HELP, add_flags, positive
from detkit.cli.inputs import images_or_sample
from detkit.cli.options import bind
from detkit.cli.outputs import check_file
from detkit.cli.report import MEGABYTE, count
from detkit.cli.resolve import resolve_model
from detkit.export import EXPORTERS
from detkit.export.settings import OPSET
from detkit.inference.exported.outputs import OUTPUTS


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of ``detkit export``.

    Attributes:
        model: The detector; None: the one inside the package.
        latest: Whether to use the newest run.
        output: The file to write.
        check_images: Images, folders and patterns on which the outputs are compared; empty: a sample photograph.
        batch_size: Images per call of the file; None: any number.
        outputs: What the file returns; None: the detections.
        opset: Version of the ONNX operator set.
        precision: Number format of the file.
        accept: Whether to write a file whose detections differ too much.
        max_detections: Maximum number of detections per image; None: the model's own.
    """

    model: str | None = None
    latest: bool = False
    output: str | None = None
    check_images: tuple[str, ...] = ()
    batch_size: int | None = None
    outputs: str | None = None
    opset: int = OPSET
    precision: str = "fp32"
    accept: bool = False
    max_detections: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit export``."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=f"the detector: {MODEL_HELP} (default: embedded)")
    add_flags(parser, "--latest")
    endings = ", ".join(f".{name}" for name in EXPORTERS.names())
    add_flags(parser, "--output", help=f"the file to write; its ending is the format: {endings}")
    parser.add_argument(
        "--check-images",
        nargs="+",
        metavar="IMAGE",
        help="images, folders or patterns on which the outputs are compared (default: a sample photograph)",
    )
    parser.add_argument("--batch-size", type=positive, metavar="N", help="fixed number of images per call of the file (default: any)")
    parser.add_argument(
        "--outputs",
        choices=tuple(OUTPUTS),
        help="what the file returns: the detections, with NMS inside, or scores and boxes at all locations (default: detections)",
    )
    parser.add_argument("--opset", type=positive, metavar="N", help="version of the ONNX operator set (default: %(default)s)")
    parser.add_argument("--precision", choices=("fp32", "fp16"), help="number format of the weights and layers (default: %(default)s)")
    add_flags(parser, "--max-detections")
    parser.add_argument("--accept", action="store_true", help="write the file even if its detections differ too much")
    bind(parser, ExportOptions, run)


def run(options: ExportOptions) -> int:
    """Write the file, compare the outputs, and report."""
    from detkit.export import ExportSettings, export
    from detkit.export.facts import weight_facts
    from detkit.inference import load, suggested_min_score
    from detkit.inference.sources import known_operating_points

    if options.output is None:
        raise ValueError(f"--output: expected the file to write; give --output FILE.{EXPORTERS.names()[0]}")
    check_file("--output", options.output)
    files = images_or_sample(options.check_images)
    model, reason = resolve_model(options.model, options.latest)
    predictor = load(model, "cpu", "fp32", reference=True, min_score=0.0, max_detections=options.max_detections)
    print(f"model: {model} ({reason})")
    settings = ExportSettings(
        outputs=cast("Any", options.outputs),
        batch_size=options.batch_size,
        opset=options.opset,
        precision=cast("Any", options.precision),
        min_score=suggested_min_score(model),
        operating_points=known_operating_points(model),
        **weight_facts(model)._asdict(),
        accept=options.accept,
    )
    agreement = export(predictor, options.output, files, settings)
    print(f"written: {options.output}, {Path(options.output).stat().st_size / MEGABYTE:.1f} MB")
    print(f"compared on {count(agreement.images, 'image')}: scores differ by at most {agreement.score:.1e}, ", end="")
    print(f"boxes by {agreement.box:.1e} pixels; {agreement.matched} of {count(agreement.detections, 'detection')} agree")
    return 0
