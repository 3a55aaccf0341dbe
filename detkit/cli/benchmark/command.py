"""Measure the speed, memory and size of a detector on this machine, in every runtime and precision.

    detkit benchmark                                      the detector inside the package
    detkit benchmark runs/first-1 --batch-sizes 1 8
    detkit benchmark runs/first-1 --data my_data          also AP: speed without accuracy says little
    detkit benchmark runs/first-1 --runtimes torch openvino --precisions fp32 bf16 --threads 4 --json speed.json --plot speed.png

All run in one process and in turn, round by round, so that their ratios hold on a busy machine too; the times of one alone need an idle
one. A time is that of one image from decoded pixels to detections; its median and the one that 95 % stay below are printed, with the
medians of its parts. The network includes the NMS of exported files, which is inside them. The peak memory is that of a new process that
loads the detector and detects once. A checkpoint is exported to the cache at the first use, see `detkit detect --help`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.flags import MODEL_HELP, add_flags
from detkit.cli.inputs import sample_photograph
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs, write_output
from detkit.cli.report import MEGABYTE, shown, table
from detkit.cli.resolve import resolve_model
from detkit.cli.values import positive

if TYPE_CHECKING:
    from detkit.comparison.speed import Side, Speed
    from detkit.inference import Predictor

_RUNTIMES, _PRECISIONS = ("torch", "onnx", "openvino"), ("fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    """Options of ``detkit benchmark``.

    Attributes:
        model: The detector; None: the one inside the package.
        latest: Whether to use the newest run.
        image: The image to detect on; None: a sample photograph.
        runtimes: Names of the runtimes.
        precisions: Names of the precisions.
        batch_sizes: Batch sizes of which the throughput is measured.
        rounds: Timed calls of each side.
        data: Labeled data to evaluate on; None: no AP.
        images: Folder of its images.
        split: Part of the data.
        max_detections: Maximum number of detections per image; None: the model's own.
        device: Name of the device.
        threads: Number of threads; None: the default.
        json: File of all figures as JSON.
        plot: PNG file of a chart.
    """

    model: str | None = None
    latest: bool = False
    image: str | None = None
    runtimes: tuple[str, ...] = _RUNTIMES
    precisions: tuple[str, ...] = _PRECISIONS
    batch_sizes: tuple[int, ...] = (1, 4)
    rounds: int = 20
    data: str | None = None
    images: str | None = None
    split: str | None = None
    max_detections: int | None = None
    device: str = "auto"
    threads: int | None = None
    json: str | None = None
    plot: str | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit benchmark``."""
    parser.add_argument("model", nargs="?", metavar="MODEL", help=f"the detector: {MODEL_HELP} (default: embedded)")
    add_flags(parser, "--latest")
    parser.add_argument("--image", metavar="FILE", help="the image to detect on (default: a sample photograph)")
    parser.add_argument("--runtimes", nargs="+", choices=_RUNTIMES, metavar="NAME", help="of torch, onnx and openvino (default: all)")
    parser.add_argument("--precisions", nargs="+", choices=_PRECISIONS, metavar="NAME", help="of fp32 and bf16 (default: both)")
    parser.add_argument("--batch-sizes", nargs="+", type=positive, metavar="N", help="batches of which the throughput is measured (1 4)")
    parser.add_argument("--rounds", type=positive, metavar="N", help="how often each is timed (default: %(default)s)")
    add_flags(parser, "--data", "--images", "--split", "--max-detections", "--device", "--threads")
    add_flags(parser, "--json", help="write all figures and times as JSON")
    add_flags(parser, "--plot", help="write a chart of the median times as PNG")
    bind(parser, BenchmarkOptions, run)


def run(options: BenchmarkOptions) -> int:
    """Measure, print and write."""
    if options.plot is not None and Path(options.plot).suffix.lower() != ".png":
        raise ValueError(f"--plot {options.plot}: expected a file name ending in .png")
    with Outputs({"json": options.json, "plot": options.plot}) as outputs:
        _benchmark(options, outputs)
    return 0


def _benchmark(options: BenchmarkOptions, outputs: Outputs) -> None:
    from detkit.comparison.speed import open_sides
    from detkit.experiment.results import machine_facts

    model, reason = resolve_model(options.model, options.latest)
    print(f"model: {model} ({reason})")
    given = {name: value for name in ("max_detections", "threads") if (value := getattr(options, name)) is not None}
    predictors, reasons = open_sides(model, _sides(options, model), options.device, given)
    for side, why in reasons.items():
        print(f"{side}: not measured: {why}")
    if not predictors:
        raise ValueError(f"{model}: nothing to measure: no runtime can run it as asked for")
    speeds, size = _measured(options, model, predictors, given)
    facts = machine_facts()
    machine = facts["machine"]
    print(f"\n{machine['processor']}, {machine['threads']} threads; image of {size[1]} x {size[0]}\n\n{_text(speeds, options)}")
    rows = [{"runtime": side.runtime, "precision": side.precision, **speed.to_dict()} for side, speed in speeds.items()]
    left_out = {str(side): why for side, why in reasons.items()}
    content = {"model": str(model), "image": list(size), "sides": rows, "left_out": left_out, **facts}
    outputs.write("json", lambda path: write_output(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n"))
    outputs.write("plot", lambda path: _plot(path, speeds, Path(str(model)).name))
    if outputs.written:
        print(f"written: {', '.join(outputs.written)}")


def _sides(options: BenchmarkOptions, model: str | Path) -> list[Side]:
    """Return the runtimes and precisions to measure; an exported file has the precision that it was written in."""
    from detkit.comparison.speed import Side
    from detkit.inference.runtime import is_exported
    from detkit.machine import bf16_support

    has_bf16 = options.device not in ("auto", "cpu") or bf16_support().instructions is not None
    precisions = [name for name in options.precisions if name != "bf16" or has_bf16]
    runtimes = [name for name in options.runtimes if name != "torch"] if is_exported(model) else options.runtimes
    return [Side(runtime, precision) for runtime in runtimes for precision in precisions if (runtime, precision) != ("onnx", "bf16")]


def _measured(
    options: BenchmarkOptions, model: str | Path, predictors: Mapping[Side, Predictor], given: Mapping[str, Any]
) -> tuple[dict[Side, Speed], tuple[int, int]]:
    from detkit.comparison.speed import file_bytes, measure, peak_bytes
    from detkit.data.media.images import read_image

    path = sample_photograph() if options.image is None else Path(options.image)
    image = read_image(path)
    speeds = measure(predictors, image, options.rounds, options.batch_sizes)
    for side, predictor in predictors.items():
        speeds[side].file_bytes = file_bytes(model, predictor)
        speeds[side].peak_bytes = peak_bytes(model, side, options.device, given, path)
        if options.data is not None:
            speeds[side].ap = _ap(options, model, predictor)
    return speeds, (image.shape[0], image.shape[1])


def _ap(options: BenchmarkOptions, model: str | Path, predictor: Predictor) -> float:
    from detkit.experiment.evaluation_run import labeled_data, run_evaluator

    data = labeled_data(model, options.data, images=options.images, split=options.split)
    return float(run_evaluator(predictor, data).numbers().ap)


def _text(speeds: Mapping[Side, Speed], options: BenchmarkOptions) -> str:
    from detkit.comparison.speed import STAGES, percentile

    parts = ("pre", "net", "post")
    batches = [f"img/s at {size}" for size in options.batch_sizes]
    accuracy = ["AP"] if options.data is not None else []
    header = ("runtime", "precision", "p50 ms", "p95 ms", *parts, *batches, "memory MB", "file MB", *accuracy)
    rows = []
    for side, speed in speeds.items():
        shares = speed.to_dict()["stages"]
        times = [f"{1000 * percentile(speed.seconds, percent):.1f}" for percent in (50, 95)]
        sizes = ["-" if value is None else f"{value / MEGABYTE:,.1f}" for value in (speed.peak_bytes, speed.file_bytes)]
        rate = [f"{speed.batches[size]:.1f}" for size in options.batch_sizes]
        ap = [] if speed.ap is None else [shown(speed.ap)]
        rows.append((side.runtime, side.precision, *times, *(f"{shares[name]:.1f}" for name in STAGES), *rate, *sizes, *ap))
    return table(rows, header, frozenset(header[2:]))


def _plot(path: str, speeds: Mapping[Side, Speed], name: str) -> None:
    from PIL import Image

    from detkit.checkpoint.atomic import atomic_write
    from detkit.comparison.speed import percentile
    from detkit.drawing.charts import draw_bars

    chart = draw_bars({str(side): 1000 * percentile(speed.seconds, 50) for side, speed in speeds.items()}, f"{name}: ms per image (median)")
    with atomic_write(path) as temporary:
        Image.fromarray(chart).save(temporary, format="PNG")
