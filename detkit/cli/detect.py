"""Detect objects in images and videos: prints a table for each, draws the boxes, and writes the detections to files.

The detector is, in order: --weights, the best checkpoint of the newest run under runs/, the one inside the package (also by its name:
--weights embedded), which knows COCO's 80 classes and needs no network. What is taken is printed. Where no image is named, a
photograph that comes with scikit-image is looked at.
Drawn images go into a new folder runs/detect-N unless --output names one; images of yours are never overwritten.
A image that cannot be read is named, the others are done, and the exit code is 1.
Of a video each frame is looked at, or with --every 5 each fifth; the drawn one is silent. --json and --csv have the frames one by one.
--labels makes a data set of the images and of what was found, for a person to correct and for 'detkit train' to learn from.

    detkit detect photos --pyramid 0.5 1 2 --flip

looks at each image at three sizes, mirrored too; small things are found at the large ones, large things at the small ones.

In the file of --coco a image's image_id is the number at the end of its name (000000000139.jpg: 139), or the name without
its ending where there is none, and a category_id is the label + 1; --annotations takes both from a COCO annotation file.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.allocator import keep_freed_memory
from detkit.cli.arguments import add_device_arguments, add_min_score, min_score, named_classes, positive
from detkit.cli.detect_job import DetectJob
from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.inputs import images_or_sample
from detkit.cli.label_writer import LabelWriter
from detkit.cli.outputs import Outputs
from detkit.cli.pyramid import add_pyramid_arguments, check_pyramid_arguments, wants_pyramid, with_pyramid
from detkit.cli.report import count
from detkit.cli.results_files import CocoIds
from detkit.weights import better_models_hint, embedded

if TYPE_CHECKING:
    from detkit.inference import ImagePyramid, Predictor

SOME_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``detkit detect``."""
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="images, videos, folders of them, or patterns such as 'photos/**/*.jpg' (default: a cat)",
    )
    parser.add_argument(
        "--model", metavar="NAME", help="a published detector, such as clip_rcnn: CLIP on proposals; --weights is then its released file"
    )
    parser.add_argument("--weights", metavar="NAME|FILE", help="a checkpoint, a run's folder, or a name that 'detkit weights' lists")
    add_min_score(parser, "lowest score reported")
    parser.add_argument(
        "--classes", nargs="+", action="extend", metavar="NAME", help="report only these classes; with clip_rcnn: look for these phrases"
    )
    parser.add_argument(
        "--svd", type=_ranks, metavar="T6,T7", help="cut the two fully connected layers of a region head to these ranks, such as 1024,256"
    )
    parser.add_argument("--every", type=positive, default=1, metavar="N", help="look at each N-th frame of a video (default: 1)")
    parser.add_argument("--output", metavar="DIR", help="folder of the drawn images (default: a new runs/detect-N)")
    parser.add_argument("--no-images", action="store_true", help="draw nothing")
    parser.add_argument("--json", metavar="FILE", help="write everything, image by image")
    parser.add_argument("--csv", metavar="FILE", help="write one row a detection")
    parser.add_argument("--coco", metavar="FILE", help="write a COCO results file")
    parser.add_argument("--labels", metavar="DIR", help="write a new data set: the images, and what was found as labels to be corrected")
    parser.add_argument("--labels-format", choices=("coco", "voc", "yolo"), default="yolo", help="of --labels (default: yolo)")
    parser.add_argument("--annotations", metavar="FILE", help="COCO annotations that tell the ids for --coco")
    add_device_arguments(parser)
    add_pyramid_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Detect, print, draw, write; 0 if every image could be read."""
    check_pyramid_arguments(args)
    with Outputs(args, "json", "csv", "coco", folders=("labels",)) as outputs:
        return _detect(args, outputs)


def _detect(args: argparse.Namespace, outputs: Outputs) -> int:
    start = time.perf_counter()
    keep_freed_memory()
    files = images_or_sample(args.images, videos=True)
    ids = CocoIds.from_annotations(args.annotations) if args.annotations else CocoIds()
    if args.coco:
        ids.check(files)
    drawn = None if args.no_images else DrawingWriter(args.output, files)
    labeled = None if args.labels is None else LabelWriter(args.labels, args.labels_format)
    predictor, weights, lowest = _predictor(args)
    loaded = time.perf_counter()
    job = DetectJob(predictor, args, lowest, drawn, labeled)
    try:
        job.detect(files)
    finally:  # also what was done before an interruption is kept
        job.write_files(outputs, weights, ids)
    job.conclude(outputs, loaded - start, time.perf_counter() - loaded)
    return SOME_FAILED if job.failed else 0


def _classes(words: list[str] | None, weights: str | Path) -> list[str] | None:
    """The classes to report, or none where ``--classes`` was not given; it takes all the words that follow it.

    Raises:
        ValueError: there is no class in the words, or one of them is a image.
    """
    from detkit.data.images import IMAGE_ENDINGS
    from detkit.data.video import VIDEO_ENDINGS
    from detkit.inference.loading import known_classes

    known = known_classes(weights) if words else ()
    names = named_classes(words, known)
    for name in names or ():
        if name not in known and name.lower().endswith((*IMAGE_ENDINGS, *VIDEO_ENDINGS)) and Path(name).is_file():
            raise ValueError(f"--classes: {name} is a file, not a class; name the images before --classes")
    return names


def _predictor(args: argparse.Namespace) -> tuple[Predictor | ImagePyramid, str, float]:
    """The detector, what it was loaded from, and from which score on it reports."""
    from detkit.inference import choose_weights, load

    weights, reason = choose_weights(args.model or args.weights)
    file = {"file": args.weights} if args.model and args.weights else {}
    classes = _classes(args.classes, weights)
    lowest, remark = min_score(args, weights)
    own = 0.0 if wants_pyramid(args) else lowest  # a pyramid judges scores after its merging, which changes them
    predictor = load(weights, args.device, args.precision, min_score=own, classes=classes, svd=args.svd, **file)
    named = sum(name is not None for name in predictor.class_names)
    print(f"weights: {weights} ({reason}; {count(named, 'class', 'classes')}), on {predictor.device} in {predictor.precision}")
    for line in (remark, better_models_hint() if weights == embedded() else ""):
        if line:
            print(line)
    return with_pyramid(predictor, args, lowest), str(weights), lowest


def _ranks(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected two numbers, such as 1024,256; got {text!r}") from None
