"""Detect objects in images, videos and streams: print a table for each, draw the boxes, and write the detections to files.

    detkit detect                                     a sample photograph, with the detector inside the package
    detkit detect photo.jpg holiday/ 'scans/*.png'
    detkit detect photos --latest                     with your newest run
    detkit detect photo.jpg --model clip --classes cat dog --min-score 0      the whole image, as one of these classes
    detkit detect clip.mp4 --every 5 --json found.json
    detkit detect photos --labels my_data             labels to correct, then to train on
    detkit detect 0 --only-found                      a camera, until Ctrl-C; the drawn video has the frames with objects
    detkit detect rtsp://user:word@10.0.0.7/live http://10.0.0.8/video.mjpg --seconds 60 --json found.json
    detkit detect photos --crops objects              each object as an image of its own, objects/CLASS/IMAGE_N.jpg
    detkit detect photos --blur person                the photos with all detected persons blurred
    detkit detect scan.tif --tiles 640                small objects in large images, on overlapping tiles
    detkit detect photos --pyramid 0.5 1 2 --flip     three scales, each also mirrored; the larger ones find small objects
    detkit detect 'photos/**/*.jpg' --shard 0/4 --output found     the first quarter of many images, as a Parquet file

Without --model, detkit uses the detector inside the package, which knows COCO's 80 classes and needs no network. It runs on the CPU without
loading PyTorch, and answers in a second; --device cuda or mps, and --precision bf16 or fp16 run it in PyTorch.

Drawn images go to a new folder runs/detect-N unless --output names one; your own images are never overwritten. An image that cannot be read
is reported, the others are processed, and the exit code is 1.

An IMAGE can be a camera (0 is the first one; a file of this name has precedence) or an address: http:// or https:// of an image, a video or
an MJPEG stream, or rtsp://. Files and images are processed one after the other, and then all cameras and streams together. A frame that
waits for longer than --max-latency is dropped, so that a slow detector is not late; frames that could not be decoded are lost. Both are
counted, and only lost ones make the exit code 1. A connection that is lost is made again. Ctrl-C or SIGTERM ends cameras and streams
with everything written, videos included, and exit code 130 or 143; after --seconds it is 0.

--blur replaces the detected objects of its classes, with a margin, by at most 4 x 4 colors that cannot be undone, in everything that is
written: drawn images and videos, --crops, and the copies of --labels. Their boxes are not drawn. An object that is not detected, or scores
less than --min-score, stays visible: look at the results, and lower --min-score where too much is missed.

A detector with masks draws them, and writes them to the files of --json and --coco and as outlines to --labels. --crops then are PNG files
whose background is transparent, and --blur blurs the masks of objects, with a margin.

--only-found leaves images and frames without detections out of the output on the screen, the drawn images and videos, --labels and --json,
which has "only_found": true. The drawn video then is shorter than its source.

The files of --json, --csv and --coco are written at the end, also after an interruption. Until then, the detections of the images
processed so far are in FILE.partial next to the first of them, as lines of JSON, which stays if the command is killed. The data set of
--labels grows image by image (its coco file every few seconds), and a drawn image or video appears when it is complete; that of a killed
command does not.

Without --min-score, a model with operating points, from its training or from `detkit calibrate`, reports each class from its own score
on, and a class that has none from the score of all classes; the command prints these scores, and the JSON file records them. Other models
report from the score that they suggest, or from 0.5.

In the JSON file, an input is named by "file", and a camera or an address by "source", without a password. A video's frames_processed
counts its frames, frames_dropped those of a camera or stream for which there was no time, and frames_lost those that could not be decoded
or that a truncated file lacks; damaged frames that the decoder completes from others are not counted (frames_concealed is null), as OpenCV
does not report them.

--shard I/N processes part I of N of the images, from 0 to N - 1, and writes DIR/shard-I-of-N.parquet with a row for each image, without
drawing. A hash of an image's name decides on its part, so that each image is in exactly one on any machine; give all parts the same words.
A part that was stopped continues where it was when its command runs again. An image that cannot be read is a row with an error. An IMAGE
can be a .txt file that lists images, one on each line. `detkit data merge-results DIR` checks that all parts are there, and merges them.

In the file of --coco, an image_id is the number at the end of the image's name (000000000139.jpg: 139), or the name without its extension
if there is none, and a category_id is the label + 1; --annotations takes both from a COCO annotation file.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from detkit.cli.detect.blurring import Blurring
from detkit.cli.detect.coco import CocoIds
from detkit.cli.detect.detector import add_detector_arguments, check_detector_options, given_classes, load_detector
from detkit.cli.detect.files import Folders, PartialResults, write_files
from detkit.cli.detect.job import DetectJob, JobOptions
from detkit.cli.detect.options import DetectOptions
from detkit.cli.detect.printing import print_left_out, print_notes, print_totals
from detkit.cli.detect.sharded import run_shard, shard
from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.flags import add_flags
from detkit.cli.inputs import inputs_or_sample
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs
from detkit.cli.process import keep_freed_memory
from detkit.cli.results.finishing import Finishing, print_written
from detkit.cli.results.partial import PartialFile
from detkit.cli.values import parse_number
from detkit.data.writers import WRITERS

SOME_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit detect``."""
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="images, videos, folders of them, patterns such as 'photos/**/*.jpg', cameras (0 is the first), and http://, https:// or "
        "rtsp:// addresses (default: a sample photograph)",
    )
    add_detector_arguments(parser)
    frames = parser.add_argument_group("videos, cameras and streams")
    add_flags(frames, "--every", "--max-latency", "--seconds")
    _add_outputs(parser.add_argument_group("output"))
    bind(parser, DetectOptions, run)


def _add_outputs(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--only-found", action="store_true", help="leave images and frames without detections out of all that is printed and written"
    )
    add_flags(group, "--output", help="folder for the drawn images (default: a new runs/detect-N), or with --shard for the Parquet files")
    group.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="process only part I of N of the images, such as 0/4, and write a Parquet file to --output; a stopped part continues",
    )
    add_flags(group, "--no-draw")
    blur = "blur the detected objects of these classes in drawn images and videos, in --crops and in the copies of --labels"
    group.add_argument("--blur", nargs="+", action="extend", metavar="NAME", help=blur)
    group.add_argument("--crops", metavar="DIR", help="write each detected object to a new folder, as DIR/CLASS/IMAGE_N.jpg")
    group.add_argument(
        "--crop-margin",
        type=_margin,
        metavar="F",
        help="margin around each object of --crops, as a fraction of its width and height, such as 0.1 (default: none)",
    )
    add_flags(group, "--json", help="write all detections, image by image, as JSON")
    group.add_argument(
        "--mask-format",
        choices=("rle", "polygons", "none"),
        help="masks in the file of --json, if the detector has them: COCO's run lengths (default), polygons, or none",
    )
    add_flags(group, "--csv", help="write one row per detection as CSV")
    group.add_argument("--coco", metavar="FILE", help="write a COCO results file")
    add_flags(group, "--labels", help="write a new data set: the images, with the detections as labels to correct")
    group.add_argument("--labels-format", choices=tuple(WRITERS), help="format of --labels (default: yolo)")
    group.add_argument(
        "--label-maps", metavar="DIR", help="write the class of each pixel to a new folder, as DIR/IMAGE.png, for semantic segmentation"
    )
    add_flags(group, "--annotations", help="COCO annotation file that gives the ids for --coco")


def run(options: DetectOptions) -> int:
    """Detect, print, draw and write; 0 if every input could be read completely."""
    check_detector_options(options)
    if options.shard is not None:
        return run_shard(options)
    if options.blur and options.no_draw and not (options.crops or options.labels):
        raise ValueError("--blur: nothing with pixels is written; leave out --no-draw, or add --crops or --labels")
    if options.crop_margin and not options.crops:
        raise ValueError("--crop-margin needs --crops DIR")
    files = {"json": options.json, "csv": options.csv, "coco": options.coco}
    with Outputs(files, folders={"labels": options.labels, "crops": options.crops, "label-maps": options.label_maps}) as outputs:
        return _detect(options, outputs)


def _detect(options: DetectOptions, outputs: Outputs) -> int:
    start = time.perf_counter()
    keep_freed_memory()
    inputs = inputs_or_sample(options.images)
    ids = CocoIds.from_annotations(options.annotations) if options.annotations else CocoIds()
    if options.coco:
        ids.check(inputs)
    drawings = None if options.no_draw else DrawingWriter(options.output, [item for item in inputs if isinstance(item, Path)])
    folders = Folders.of(options)
    partial = PartialFile(next(filter(None, (options.json, options.csv, options.coco)), None))
    detector, metadata = load_detector(options)
    blurred = given_classes("--blur", options.blur, str(metadata["model"])) or ()
    blurring = Blurring(detector.class_names, blurred, detector.reported)
    metadata |= {"only_found": True} if options.only_found else {}
    loaded = time.perf_counter()
    partial.begin({**metadata, "class_names": list(detector.class_names)})
    folders.begin(detector)
    job = DetectJob(
        detector,
        _job_options(options),
        drawings,
        (PartialResults(partial, detector.class_names, options.mask_format), *folders.sinks),
        blurring,
    )

    def write() -> None:
        write_files(job, outputs, metadata, ids, folders)
        partial.close(outputs.complete)

    with Finishing(write, "writing what was detected" if outputs.requested else None) as finishing:
        job.detect(inputs)
    _conclude(job, outputs, loaded - start, time.perf_counter() - loaded)
    finishing.raise_interruption()
    return SOME_FAILED if job.failures else 0


def _job_options(options: DetectOptions) -> JobOptions:
    return JobOptions(
        every=options.every,
        max_latency=options.max_latency,
        seconds=options.seconds,
        only_found=options.only_found,
        keep=bool(options.json or options.csv or options.coco),
        frames=not options.coco,
    )


def _conclude(job: DetectJob, outputs: Outputs, loading: float, detecting: float) -> None:
    """Print totals, times, memory, notes and the written files."""
    print_totals(job.tally, list(job.streams.values()), loading, detecting)
    print_left_out(job.left_out)
    print_notes(job.predictor, job.tally)
    print_written(outputs, job.drawings if job.drawings is not None and job.drawings.written else None)
    inputs = job.tally.images + len(job.streams) + sum(name not in job.streams for name in job.failures.messages)
    job.failures.conclude(inputs, "input" if any(not row.is_file for row in job.streams.values()) else "file" if job.streams else "image")


def _margin(text: str) -> float:
    """Parse a margin, for ``type=``; see :func:`detkit.cli.values.parse_number`."""
    return parse_number(text, lambda value: 0 <= value <= 10, "a number from 0 to 10, such as 0.1;")
