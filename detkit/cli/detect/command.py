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

from detkit.cli.detect.coco import CocoIds
from detkit.cli.detect.detector import add_detector_arguments, check_detector_options, load_detector
from detkit.cli.detect.files import PartialResults, write_files
from detkit.cli.detect.job import DetectJob
from detkit.cli.detect.label_writer import LabelWriter
from detkit.cli.detect.options import DetectOptions
from detkit.cli.detect.printing import print_notes, print_totals
from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.flags import add_flags, positive
from detkit.cli.inputs import images_or_sample
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs
from detkit.cli.process import announce_stop, keep_freed_memory
from detkit.cli.results.partial import PartialFile
from detkit.data.writers import WRITERS
from detkit.printable import printable

SOME_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit detect``."""
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="images, videos, folders of them, or patterns such as 'photos/**/*.jpg' (default: a sample photograph)",
    )
    add_detector_arguments(parser)
    parser.add_argument("--every", type=positive, metavar="N", help="process every N-th frame of a video (default: 1)")
    add_flags(parser, "--output", help="folder for the drawn images (default: a new runs/detect-N)")
    parser.add_argument("--no-draw", action="store_true", help="draw nothing")
    add_flags(parser, "--json", help="write all detections, image by image, as JSON")
    parser.add_argument("--csv", metavar="FILE", help="write one row per detection as CSV")
    parser.add_argument("--coco", metavar="FILE", help="write a COCO results file")
    add_flags(parser, "--labels", help="write a new data set: the images, with the detections as labels to correct")
    parser.add_argument("--labels-format", choices=tuple(WRITERS), help="format of --labels (default: yolo)")
    add_flags(parser, "--annotations", help="COCO annotation file that gives the ids for --coco")
    bind(parser, DetectOptions, run)


def run(options: DetectOptions) -> int:
    """Detect, print, draw and write; 0 if every image could be read."""
    check_detector_options(options)
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
    detector, metadata = load_detector(options)
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
