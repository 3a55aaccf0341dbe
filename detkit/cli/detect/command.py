"""Detect objects in images and videos: print a table for each, draw the boxes, and write the detections to files.

    detkit detect                                     a sample photograph, with the detector inside the package
    detkit detect photo.jpg holiday/ 'scans/*.png'
    detkit detect photos --latest                     with your newest run
    detkit detect clip.mp4 --every 5 --json found.json
    detkit detect photos --labels my_data             labels to correct, then to train on
    detkit detect photos --pyramid 0.5 1 2 --flip     three scales, each also mirrored; the larger ones find small objects

Without --model, detkit uses the detector inside the package, which knows COCO's 80 classes and needs no network. It runs on the CPU without
loading PyTorch, and answers in a second; --device cuda or mps, --precision bf16 or fp16, a pyramid and --flip run it in PyTorch.

Drawn images go to a new folder runs/detect-N unless --output names one; your own images are never overwritten. An image that cannot be read
is reported, the others are processed, and the exit code is 1.

The files of --json, --csv and --coco are written at the end, also after an interruption. Until then, the detections of the images
processed so far are in FILE.partial next to the first of them, as lines of JSON, which stays if the command is killed. The data set of
--labels grows image by image (its coco file every few seconds), and a drawn image or video appears when it is complete; that of a killed
command does not.

Without --min-score, a model with operating points, from its training or from `detkit calibrate`, reports each class from its own score
on, and a class that has none from the score of all classes; the command prints these scores, and the JSON file records them. Other models
report from the score that they suggest, or from 0.5.

In the JSON file, a video's frames_lost counts frames that could not be decoded or that its truncated file lacks; damaged frames that the
decoder completes from others are not counted (frames_concealed is null), as OpenCV does not report them.

In the file of --coco, an image_id is the number at the end of the image's name (000000000139.jpg: 139), or the name without its extension
if there is none, and a category_id is the label + 1; --annotations takes both from a COCO annotation file.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.detect.coco import CocoIds
from detkit.cli.detect.detector import load_predictor
from detkit.cli.detect.files import PartialResults, write_files
from detkit.cli.detect.job import DetectJob
from detkit.cli.detect.label_writer import LabelWriter
from detkit.cli.detect.options import DetectOptions
from detkit.cli.detect.printing import print_notes, print_totals
from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.flags import add_flags, add_min_score, class_names, min_score, positive
from detkit.cli.inputs import images_or_sample
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs
from detkit.cli.process import announce_stop, keep_freed_memory
from detkit.cli.pyramid import add_pyramid_arguments, check_pyramid_options, with_pyramid
from detkit.cli.resolve import model_line, resolve_model
from detkit.cli.results.partial import PartialFile
from detkit.data.writers import WRITERS
from detkit.printable import printable
from detkit.weights import better_models_hint, embedded_path

if TYPE_CHECKING:
    from detkit.cli.detect.detector import FileDetector
    from detkit.inference.min_scores import MinScore

SOME_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit detect``."""
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="images, videos, folders of them, or patterns such as 'photos/**/*.jpg' (default: a sample photograph)",
    )
    add_flags(parser, "--model", "--latest")
    parser.add_argument("--weights-file", metavar="FILE", help="file with the weights of a --model that is a published name")
    add_min_score(parser, "lowest score reported")
    add_flags(parser, "--classes", help="report only these classes; with a clip_rcnn model: the phrases to look for")
    parser.add_argument(
        "--svd",
        type=_ranks,
        metavar="R6,R7",
        help="truncate the two fully connected layers of a region head to these ranks, such as 1024,256",
    )
    parser.add_argument("--every", type=positive, metavar="N", help="process every N-th frame of a video (default: 1)")
    add_flags(parser, "--output", help="folder for the drawn images (default: a new runs/detect-N)")
    parser.add_argument("--no-draw", action="store_true", help="draw nothing")
    add_flags(parser, "--json", help="write all detections, image by image, as JSON")
    parser.add_argument("--csv", metavar="FILE", help="write one row per detection as CSV")
    parser.add_argument("--coco", metavar="FILE", help="write a COCO results file")
    add_flags(parser, "--labels", help="write a new data set: the images, with the detections as labels to correct")
    parser.add_argument("--labels-format", choices=tuple(WRITERS), help="format of --labels (default: yolo)")
    add_flags(parser, "--annotations", help="COCO annotation file that gives the ids for --coco")
    add_flags(parser, "--device", help="auto (a GPU if there is one; the CPU for embedded and exported files), cpu, cuda, cuda:1 or mps")
    native = "auto is bf16 where the hardware multiplies it natively, and fp32 for embedded and exported files"
    add_flags(parser, "--precision", help=f"number format; {native} (default: %(default)s)")
    add_flags(parser, "--runtime", "--threads", "--proposals-cache")
    add_pyramid_arguments(parser)
    bind(parser, DetectOptions, run)


def run(options: DetectOptions) -> int:
    """Detect, print, draw and write; 0 if every image could be read."""
    check_pyramid_options(options)
    if options.weights_file and options.model is None:
        raise ValueError("--weights-file is the file of a published model; give the model's name with --model, see `detkit models list`")
    files = {"json": options.json, "csv": options.csv, "coco": options.coco}
    with Outputs(files, folders={"labels": options.labels}) as outputs:
        return _detect(options, outputs)


def _detect(options: DetectOptions, outputs: Outputs) -> int:
    start = time.perf_counter()
    keep_freed_memory()
    files = images_or_sample(options.images, videos=True)
    ids = CocoIds.from_annotations(options.annotations) if options.annotations else CocoIds()
    if options.coco:
        ids.check(files)
    drawings = None if options.no_draw else DrawingWriter(options.output, files)
    labels = None if options.labels is None else LabelWriter(options.labels, options.labels_format)
    partial = PartialFile(next(filter(None, (options.json, options.csv, options.coco)), None))
    detector, metadata = _detector(options)
    loaded = time.perf_counter()
    partial.begin({**metadata, "class_names": list(detector.class_names)})
    if labels is not None:
        labels.begin(detector.class_names, detector.reported)
    sinks = (PartialResults(partial, detector.class_names), *((labels,) if labels is not None else ()))
    job = DetectJob(detector, options.every, drawings, sinks)
    try:
        job.detect(files)
    except KeyboardInterrupt:
        if outputs.requested:
            announce_stop("writing what was detected")
        raise
    finally:  # an interruption keeps what was detected before it
        write_files(job, outputs, metadata, ids, labels)
        partial.close(outputs.complete)
    _conclude(job, outputs, loaded - start, time.perf_counter() - loaded)
    return SOME_FAILED if job.failures else 0


def _conclude(job: DetectJob, outputs: Outputs, loading: float, detecting: float) -> None:
    """Print totals, times, memory, notes and the written files."""
    print_totals(job.tally, len(job.streams), loading, detecting)
    print_notes(job.predictor, job.tally)
    written = outputs.written
    if job.drawings is not None and job.results:
        written.append(f"{job.drawings.folder}/")
    if written:
        print(f"written: {', '.join(map(printable, written))}")
    inputs = job.tally.images + len(job.streams) + sum(name not in job.streams for name in job.failures.messages)
    job.failures.conclude(inputs, "file" if job.streams else "image")


def _classes(words: Sequence[str] | None, model: str | Path) -> list[str] | None:
    """Return the classes to report, or None without ``--classes``; the flag takes every word that follows it.

    Raises:
        ValueError: If the words hold no class name, or one of them is an image file.
    """
    from detkit.data.media.extensions import VIDEO_EXTENSIONS
    from detkit.data.media.images import IMAGE_EXTENSIONS
    from detkit.inference.sources import known_classes

    known = known_classes(model) if words else ()
    names = class_names(words, known)
    for name in names or ():
        if name not in known and name.lower().endswith((*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS)) and Path(name).is_file():
            raise ValueError(f"--classes: expected class names, got the file {name}; name the images before --classes")
    return names


def _detector(options: DetectOptions) -> tuple[FileDetector, dict[str, object]]:
    """Return the detector, and the keys of the JSON file that describe it."""
    model, reason = resolve_model(options.model, options.latest)
    classes = _classes(options.classes, model)
    lowest, score_line = min_score(options.min_score, model)
    predictor = load_predictor(model, options, classes, lowest)
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    for line in (score_line, better_models_hint() if model == embedded_path() else ""):
        if line:
            print(line)
    detector = with_pyramid(predictor, options, lowest)
    return detector, {
        "model": str(model),
        **_scores(detector, lowest),
        **({"pyramid": str(detector)} if options.wants_pyramid else {}),
    }


def _scores(detector: FileDetector, lowest: MinScore) -> dict[str, object]:
    """Return the keys of the JSON file about the lowest scores that are reported: of all, and with operating points of each class."""
    if isinstance(lowest, float):
        return {"min_score": lowest}
    scores = {name: lowest.score_of(name) for name in detector.reported}
    return {"min_score": min(scores.values(), default=lowest.overall.score), "min_scores": scores, "target": lowest.target}


def _ranks(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected two numbers, such as 1024,256; got {text!r}") from None
