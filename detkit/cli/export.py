"""Write a detector to a file for other runtimes, and verify that its detections match those of the detector.

    detkit export runs/light-1 --output light.onnx
    detkit detect photo.jpg --model light.onnx

The file takes batches of images, of any size divisible by the strides or of the detector's fixed size, and returns their detections: NMS
is inside. With --outputs locations it returns the scores of every class and the boxes at every location of a one-stage detector instead.
The metadata under "detkit" holds the resizing of images, the class names and the operating points; detkit reads them from there. A file
whose detections differ by more than rounding is not written.

    detkit export runs/light-1 --output light.onnx --precision int8 --calibration-images photos/ --data my_data

In int8 the layers run in whole numbers, on processors with VNNI, AMX or ARM's dot products about twice as fast. The ranges of values are
measured on --calibration-images. The last layers stay in fp32, and so do those that lose too much; they are listed. With --data, the AP of
the detector and of the file are printed, and a file that loses more than .01 in int8 (.005 in fp16, .001 in fp32) is not written; in int8,
the AP then decides instead of the detections. Nor is an int8 file written that is slower than fp32 on this processor. --accept writes them
all the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from detkit.cli.flags import MODEL_HELP, add_flags
from detkit.cli.inputs import images_or_sample
from detkit.cli.options import bind
from detkit.cli.outputs import check_file
from detkit.cli.report import MEGABYTE, count
from detkit.cli.resolve import resolve_model
from detkit.cli.values import positive
from detkit.export import EXPORTERS
from detkit.machine import processor

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.export import Agreement, ExportSettings
    from detkit.inference import Predictor
    from detkit.inference.runtime import FileRuntime

AP_LIMITS = {"fp32": 0.001, "fp16": 0.005, "int8": 0.01}
"""Largest accepted fall of the AP in a file of each precision."""

OUTPUTS = ("detections", "locations", "classes", "pixels")
"""Outputs of the files of detectors, classifiers and models for semantic segmentation, see :mod:`detkit.inference.exported.outputs`."""
TOWERS: Mapping[str, Any] = {"embeddings": "image", "text_embeddings": "text"}
"""Outputs to the tower of a CLIP that computes them."""


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
        opset: Version of the ONNX operator set; None: 17.
        precision: Number format of the file.
        for_opencv: Whether the file is for OpenCV's dnn.
        size: For OpenCV, the size of the images.
        accept: Whether to write a file whose detections differ too much.
        calibration_images: Images, folders and patterns on which int8 measures the ranges of values.
        data: Labeled images on which the AP before and after is compared; None: it is not.
        images: Folder of their images, if it is not where the labels say.
        split: Part of the data.
        max_detections: Maximum number of detections per image; None: the model's own.
    """

    model: str | None = None
    latest: bool = False
    output: str | None = None
    check_images: tuple[str, ...] = ()
    batch_size: int | None = None
    outputs: str | None = None
    opset: int | None = None
    precision: str = "fp32"
    for_opencv: bool = False
    size: tuple[int, int] | None = None
    accept: bool = False
    calibration_images: tuple[str, ...] = ()
    data: str | None = None
    images: str | None = None
    split: str | None = None
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
        choices=(*OUTPUTS, *TOWERS),
        help="what the file returns: the detections, with NMS inside; scores and boxes at all locations; or, of a CLIP, embeddings of "
        "images or of texts (default: detections)",
    )
    parser.add_argument("--opset", type=positive, metavar="N", help="version of the ONNX operator set (default: 17)")
    parser.add_argument(
        "--precision", choices=("fp32", "fp16", "int8"), help="number format of the weights and layers (default: %(default)s)"
    )
    parser.add_argument(
        "--calibration-images",
        nargs="+",
        metavar="IMAGE",
        help="for int8: images, folders or patterns on which the ranges of values are measured; a hundred are enough",
    )
    add_flags(parser, "--data", help="labeled images on which the AP before and after is compared")
    add_flags(parser, "--images", "--split")
    parser.add_argument(
        "--for-opencv", action="store_true", help="write scores and boxes of one image of one size, in operators that OpenCV's dnn has"
    )
    add_flags(parser, "--size", help="for OpenCV: size of the images of a detector of any size")
    add_flags(parser, "--max-detections")
    parser.add_argument("--accept", action="store_true", help="write the file even if its detections or its AP differ too much")
    bind(parser, ExportOptions, run)


def run(options: ExportOptions) -> int:
    """Write the file, compare the detections, and report."""
    from detkit.export import export
    from detkit.inference import load

    if options.output is None:
        raise ValueError(f"--output: expected the file to write; give --output FILE.{EXPORTERS.names()[0]}")
    check_file("--output", options.output)
    if options.outputs in TOWERS:
        return _export_tower(options, options.output)
    files = images_or_sample(options.check_images)
    model, reason = resolve_model(options.model, options.latest)
    predictor = load(model, "cpu", "fp32", reference=True, min_score=0.0, max_detections=options.max_detections)
    print(f"model: {model} ({reason})")
    _report(options, export(predictor, options.output, files, _settings(options, model, predictor)))
    return 0


def _settings(options: ExportOptions, model: str | Path, predictor: Predictor) -> ExportSettings:
    from detkit.export import ExportSettings
    from detkit.export.facts import weight_facts
    from detkit.export.settings import OPSET
    from detkit.inference import suggested_min_score
    from detkit.inference.sources import known_operating_points

    if (options.precision == "int8") != bool(options.calibration_images):
        raise ValueError("--calibration-images: int8 needs a hundred images of the kind that the detector will see; others take none")
    return ExportSettings(
        outputs=cast("Any", options.outputs),
        batch_size=options.batch_size,
        opset=options.opset or OPSET,
        precision=cast("Any", options.precision),
        min_score=suggested_min_score(model),
        operating_points=known_operating_points(model),
        **weight_facts(model)._asdict(),
        for_opencv=options.for_opencv,
        size=options.size,
        accept=options.accept,
        calibration=images_or_sample(options.calibration_images) if options.calibration_images else (),
        verify=None if options.data is None else _Accuracy(options, model, predictor),
    )


@dataclass
class _Accuracy:
    """Prints the AP of the detector and of each file that is tried, and raises if it falls too much."""

    options: ExportOptions
    model: str | Path
    predictor: Predictor

    def __call__(self, exported: FileRuntime) -> None:
        from detkit.inference import Predictor

        after = self._accuracy(Predictor.over(exported, proposer=self.predictor.proposer))
        images, limit = f"{self._data.name}, {count(len(self._data.records), 'image')}", AP_LIMITS[self.options.precision]
        for name, before in self._before.items():
            print(f"{name} on {images}: {before:.4f} before, {after[name]:.4f} after")
        for name, before in self._before.items():
            if before - after[name] > limit and not self.options.accept:
                raise ValueError(
                    f"{self.options.output}: not written: {name} falls by {before - after[name]:.4f}, expected at most {limit:g} in "
                    f"{self.options.precision}; export in another precision, or write the file all the same with --accept"
                )

    def _accuracy(self, predictor: Predictor) -> dict[str, float]:
        """Return the AP of boxes, and that of masks if the detector has them."""
        from detkit.experiment.evaluation_run import run_evaluator

        numbers = run_evaluator(predictor, self._data).numbers()
        return {"AP": numbers.ap, **({} if numbers.segm is None else {"mask AP": numbers.segm.ap})}

    @cached_property
    def _data(self) -> DetectionData:
        from detkit.experiment.evaluation_run import labeled_data

        return labeled_data(self.model, self.options.data, images=self.options.images, split=self.options.split)

    @cached_property
    def _before(self) -> dict[str, float]:
        return self._accuracy(self.predictor)


def _report(options: ExportOptions, agreement: Agreement) -> None:
    print(f"written: {options.output}, {Path(str(options.output)).stat().st_size / MEGABYTE:.1f} MB")
    print(f"compared on {count(agreement.images, 'image')}: scores differ by at most {agreement.score:.1e}, ", end="")
    print(f"boxes by {agreement.box:.1e} pixels; {agreement.matched} of {count(agreement.detections, 'detection')} agree")
    if agreement.kept:
        print(f"{count(len(agreement.kept), 'layer')} in fp32: {', '.join(agreement.kept)}")
    if agreement.speedup is not None:
        print(f"the network takes {1 / agreement.speedup:.2f} of the time of fp32, on {processor()}")


def _export_tower(options: ExportOptions, output: str) -> int:
    from detkit.export.clip import export_tower
    from detkit.export.settings import OPSET

    model, reason = resolve_model(options.model, options.latest)
    print(f"model: {model} ({reason})")
    difference = export_tower(TOWERS[str(options.outputs)], model, output, opset=options.opset or OPSET)
    print(f"written: {output}, {Path(output).stat().st_size / MEGABYTE:.1f} MB")
    print(f"compared on two inputs: coordinates of embeddings differ by at most {difference:.1e}")
    return 0
