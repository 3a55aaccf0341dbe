"""Detect objects in pictures: prints a table for each, draws the boxes, and writes the detections to files.

The detector is, in order: --weights, the best checkpoint of the newest run under runs/, the one inside the package (also by its name:
--weights embedded), which knows COCO's 80 classes and needs no network. What is taken is printed. Where no picture is named, a
photograph that comes with scikit-image is looked at.
Drawn pictures go into a new folder runs/detect-N unless --output names one; pictures of yours are never overwritten.
A picture that cannot be read is named, the others are done, and the exit code is 1.

    detkit detect photos --pyramid 0.5 1 2 --flip

looks at each picture at three sizes, mirrored too; small things are found at the large ones, large things at the small ones.

In the file of --coco a picture's image_id is the number at the end of its name (000000000139.jpg: 139), or the name without
its ending where there is none, and a category_id is the label + 1; --annotations takes both from a COCO annotation file.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.allocator import keep_freed_memory
from detkit.cli.arguments import add_device_arguments, add_min_score, min_score, named_classes
from detkit.cli.drawn import DrawnPictures
from detkit.cli.inputs import pictures_or_sample
from detkit.cli.outputs import Outputs
from detkit.cli.pyramid import add_pyramid_arguments, check_pyramid_arguments, wants_pyramid, with_pyramid
from detkit.cli.report import count, duration, memory_line, table
from detkit.cli.results_files import CocoIds, Found, as_coco, as_csv, as_json
from detkit.weights import better_ones, embedded

if TYPE_CHECKING:
    from detkit.inference import ImagePyramid, Outcome, Predictor

SOME_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``detkit detect``."""
    parser.add_argument(
        "images",
        nargs="*",
        metavar="IMAGE",
        help="picture files, folders, or patterns such as 'photos/**/*.jpg' (default: a cat)",
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
    parser.add_argument("--output", metavar="DIR", help="folder of the drawn pictures (default: a new runs/detect-N)")
    parser.add_argument("--no-pictures", action="store_true", help="draw nothing")
    parser.add_argument("--json", metavar="FILE", help="write everything, picture by picture")
    parser.add_argument("--csv", metavar="FILE", help="write one row a detection")
    parser.add_argument("--coco", metavar="FILE", help="write a COCO results file")
    parser.add_argument("--annotations", metavar="FILE", help="COCO annotations that tell the ids for --coco")
    add_device_arguments(parser)
    add_pyramid_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Detect, print, draw, write; 0 if every picture could be read."""
    check_pyramid_arguments(args)
    with Outputs(args, "json", "csv", "coco") as outputs:
        return _detect(args, outputs)


def _detect(args: argparse.Namespace, outputs: Outputs) -> int:
    start = time.perf_counter()
    keep_freed_memory()
    files = pictures_or_sample(args.images)
    ids = CocoIds.from_annotations(args.annotations) if args.annotations else CocoIds()
    if args.coco:
        ids.check(files)
    drawn = None if args.no_pictures else DrawnPictures(args.output, files)
    predictor, weights, lowest = _predictor(args)
    loaded = time.perf_counter()
    job = _Job(predictor, args, lowest, drawn)
    try:
        job.detect(files)
    finally:  # also what was done before an interruption is kept
        job.write_files(outputs, weights, ids)
    job.conclude(outputs, loaded - start, time.perf_counter() - loaded)
    return SOME_FAILED if job.failed else 0


def _classes(words: list[str] | None, weights: str | Path) -> list[str] | None:
    """The classes to report, or none where ``--classes`` was not given; it takes all the words that follow it.

    Raises:
        ValueError: there is no class in the words, or one of them is a picture.
    """
    from detkit.data.images import IMAGE_ENDINGS
    from detkit.inference.load import known_classes

    known = known_classes(weights) if words else ()
    names = named_classes(words, known)
    for name in names or ():
        if name not in known and name.lower().endswith(IMAGE_ENDINGS) and Path(name).is_file():
            raise ValueError(f"--classes: {name} is a file, not a class; name the pictures before --classes")
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
    for line in (remark, better_ones() if weights == embedded() else ""):
        if line:
            print(line)
    return with_pyramid(predictor, args, lowest), str(weights), lowest


def _ranks(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected two numbers, such as 1024,256; got {text!r}") from None


class _Job:
    """What one call of the command has found so far."""

    def __init__(
        self, predictor: Predictor | ImagePyramid, args: argparse.Namespace, min_score: float, drawn: DrawnPictures | None
    ) -> None:
        self.predictor = predictor
        self.args = args
        self.min_score = min_score
        self.drawn = drawn
        self.found: list[Found] = []
        self.failed: dict[Path, str] = {}

    def detect(self, files: list[Path]) -> None:
        """Run over the files, one table each."""
        from detkit.inference import detect_files

        last = time.perf_counter()
        for outcome in detect_files(self.predictor, files):
            self._take(outcome, time.perf_counter() - last)
            last = time.perf_counter()

    def _take(self, outcome: Outcome, seconds: float) -> None:
        from detkit.drawing import draw_detections, readable_scale

        if outcome.picture is None or outcome.detections is None:
            message = " ".join(str(outcome.error).split())
            self.failed[outcome.path] = message
            print(f"detkit: {message}", file=sys.stderr, flush=True)
            return
        size = (outcome.picture.shape[0], outcome.picture.shape[1])
        found = Found(outcome.path, size, outcome.detections)
        self.found.append(found)
        place = None
        if self.drawn is not None:
            names, scale = self.predictor.class_names, readable_scale(size)
            place = self.drawn.write(outcome.path, draw_detections(outcome.picture, outcome.detections, names, scale=scale))
        self._print(found, seconds, place)

    def _print(self, found: Found, seconds: float, drawn: Path | None) -> None:
        height, width = found.size
        arrow = f" -> {drawn}" if drawn is not None else ""
        print(f"\n{found.path} ({width} x {height}): {count(len(found.detections), 'detection')} in {duration(seconds)}{arrow}")
        names = self.predictor.class_names
        rows = [(names[label], f"{score:.3f}", *(f"{value:.1f}" for value in box)) for label, score, box in found.rows()]
        if rows:
            text = table(rows, ("class", "score", "x1", "y1", "x2", "y2"), {"score", "x1", "y1", "x2", "y2"})
            print("\n".join("  " + line for line in text.splitlines()), flush=True)

    def write_files(self, outputs: Outputs, weights: str, ids: CocoIds) -> None:
        """Write the files that were asked for."""
        from detkit.checkpoint import write_text

        names = self.predictor.class_names
        about = {"weights": weights, "min_score": self.min_score}
        about |= {"pyramid": str(self.predictor)} if wants_pyramid(self.args) else {}

        def write_coco(path: str) -> None:
            text, left_out = as_coco(self.found, names, ids)
            write_text(path, text)
            if left_out:
                print(f"{count(left_out, 'detection')} left out of {path}: their classes are not in the annotations")

        outputs.write("json", lambda path: write_text(path, as_json(self.found, self.failed, names, **about)))
        outputs.write("csv", lambda path: write_text(path, as_csv(self.found, names)))
        outputs.write("coco", write_coco)

    def conclude(self, outputs: Outputs, loading: float, detecting: float) -> None:
        """Totals, times, memory, and what was written where."""
        totals = Counter(self.predictor.class_names[label] for found in self.found for label in found.detections.labels.tolist())
        listed = ", ".join(f"{number} {name}" for name, number in totals.most_common(12))
        pictures = len(self.found) + len(self.failed)
        print(f"\n{count(pictures, 'picture')}, {count(sum(totals.values()), 'detection')}{': ' + listed if listed else ''}")
        each = f", {duration(detecting / pictures)} a picture" if pictures > 1 else ""
        print(f"{duration(detecting)}{each}, after {duration(loading)} of loading; {memory_line()}")
        places = outputs.written
        if self.drawn is not None and self.found:
            places.append(f"{self.drawn.folder}/")
        if places:
            print(f"written: {', '.join(places)}")
        if self.failed:
            print(f"detkit: {len(self.failed)} of {count(pictures, 'picture')} could not be read", file=sys.stderr)
