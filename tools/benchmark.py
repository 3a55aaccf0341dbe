"""Time detkit against other libraries, alternating between them in one process.

    python tools/benchmark.py detect
    python tools/benchmark.py detect --model retinanet
    python tools/benchmark.py yolox yolox_nano_coco.onnx yolox_nano_coco_convs_in_graph_order.npz --image photo.jpg
    python tools/benchmark.py train --rounds 3 --json train.json
    python tools/benchmark.py train --model mask_rcnn
    python tools/benchmark.py queries yolox
    python tools/benchmark.py evaluate
    python tools/benchmark.py select
    python tools/benchmark.py startup
    python tools/benchmark.py first
    python tools/benchmark.py propose fast --data VOC --opencv-python contrib/bin/python
    python tools/benchmark.py regions
    python tools/benchmark.py serve --clients 64 --seconds 30
    python tools/benchmark.py runtimes
    python tools/benchmark.py fidelity runs/first-1 --data VOC --split test
    python tools/benchmark.py detector runs/first-1 --data VOC --split test
    python tools/benchmark.py tracking

Each side is called once or twice to warm up, then the sides run alternately, round by round. Medians, ratios of medians and the spread are
printed; a large spread means that the machine was busy with something else.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from benchmarks import timing

from detkit.cli.outputs import check_file

MODELS = ("faster_rcnn", "mask_rcnn", "retinanet", "fcos", "ssd")

TRAINED = ("faster_rcnn", "mask_rcnn")


def detect(args: argparse.Namespace) -> timing.Report:
    """Detection with torchvision's detector and ours on one image."""
    from benchmarks.detection import detect as measure

    return measure(args.rounds, (args.short_side, args.long_side), args.model)


def yolox(args: argparse.Namespace) -> timing.Report:
    """YOLOX-Nano, and its ONNX file in onnxruntime."""
    from benchmarks.yolox import yolox as measure

    return measure(args.rounds, args.onnx, args.weights, args.image)


def train(args: argparse.Namespace) -> timing.Report:
    """Training step of Faster R-CNN or Mask R-CNN R50-FPN."""
    from benchmarks.detection import train as measure

    return measure(args.rounds, (args.short_side, args.long_side), args.batch_size, args.model)


def queries(args: argparse.Namespace) -> timing.Report:
    """D-FINE-N and YOLOX-S, or RT-DETRv2-R18 in detkit and in transformers."""
    from benchmarks.queries import queries as measure

    return measure(args.rounds, args.comparison, args.batch_size)


def evaluate(args: argparse.Namespace) -> timing.Report:
    """COCO metrics from two JSON files."""
    from benchmarks.scoring import evaluate as measure

    return measure(args.rounds, args.images, args.detections)


def select(args: argparse.Namespace) -> timing.Report:
    """Score threshold, top-k and NMS."""
    from benchmarks.scoring import select as measure

    return measure(args.rounds, args.candidates, args.classes)


def startup(args: argparse.Namespace) -> timing.Report:
    """Start-up of a process."""
    from benchmarks.startup import startup as measure

    return measure(args.rounds)


def first(args: argparse.Namespace) -> timing.Report:
    """First image with the detector inside the package."""
    from benchmarks.first import first as measure

    return measure(args.rounds)


def propose(args: argparse.Namespace) -> timing.Report:
    """Recall and speed of selective search."""
    from benchmarks.propose import Images
    from benchmarks.propose import propose as measure

    images = Images(args.data, args.images, args.split, args.limit)
    return measure(args.mode, images, args.opencv_python, package=args.package, timed=not args.untimed)


def regions(args: argparse.Namespace) -> timing.Report:
    """R-CNN, SPPNet and Fast R-CNN at the same proposals."""
    from benchmarks.regions import Sizes
    from benchmarks.regions import regions as measure

    return measure(args.rounds, args.backbone, Sizes(args.proposals, args.warp, args.hidden), args.image)


def serve(args: argparse.Namespace) -> timing.Report:
    """A server under load, and a plain loop."""
    from benchmarks.serve import serve as measure

    return measure(args.model, args.clients, args.seconds, args.threads, args.max_batch)


def runtimes(args: argparse.Namespace) -> timing.Report:
    """Detectors in onnxruntime and OpenVINO, and what detkit adds to them."""
    from benchmarks.runtimes import runtimes as measure

    return measure(args.rounds, args.short_side, large=not args.small)


def fidelity(args: argparse.Namespace) -> timing.Report:
    """Detections of the fast modes compared with the reference mode."""
    from benchmarks.fidelity import fidelity as measure

    return measure(args.checkpoint, args.data, args.split, args.limit)


def detector(args: argparse.Namespace) -> timing.Report:
    """Cost of one image for a trained detector."""
    from benchmarks.detector import detector as measure

    return measure(args.checkpoint, args.data, args.split, args.limit or 50)


def tracking(args: argparse.Namespace) -> timing.Report:
    """Accuracy and speed of trackers on generated clips."""
    from benchmarks.tracking import tracking as measure

    return measure(args.clips, args.frames, args.rounds)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    options: dict[Callable[[argparse.Namespace], timing.Report], list[tuple[str, dict[str, object]]]] = {
        detect: [*_image(), ("--model", {"choices": MODELS, "default": "faster_rcnn"})],
        yolox: [
            ("onnx", {}),
            ("weights", {"help": "weights of its convolutions (.npz), or the released .pth"}),
            ("--image", {"required": True}),
        ],
        train: [
            *_image(),
            ("--batch-size", {"type": int, "default": 2}),
            ("--model", {"choices": TRAINED, "default": "faster_rcnn"}),
        ],
        queries: [
            ("comparison", {"choices": ("yolox", "transformers", "train")}),
            ("--batch-size", {"type": int, "default": 2, "help": "images of a training step"}),
        ],
        evaluate: [("--images", {"type": int, "default": 5000}), ("--detections", {"type": int, "default": 470_000})],
        select: [
            ("--candidates", {"type": int, "default": 100_000, "help": "number of boxes"}),
            ("--classes", {"type": int, "default": 80}),
        ],
        startup: [],
        first: [],
        propose: _on_images(),
        regions: [
            ("--backbone", {"default": "efficientnet_lite0"}),
            ("--proposals", {"type": int, "default": 2000}),
            ("--image", {"help": "a photograph (default: one of scikit-image)"}),
            ("--warp", {"type": int, "default": 227}),
            ("--hidden", {"type": int, "default": 4096}),
        ],
        serve: [
            ("--model", {"default": "embedded"}),
            ("--clients", {"type": int, "default": 64, "help": "clients that send one request after another"}),
            ("--seconds", {"type": float, "default": 30.0, "help": "time under load"}),
            ("--max-batch", {"type": int, "help": "as of detkit serve"}),
        ],
        runtimes: [
            ("--short-side", {"type": int, "default": 800, "help": "of the Faster R-CNN"}),
            ("--small", {"action": "store_true", "help": "leave the Faster R-CNN out"}),
        ],
        fidelity: _on_data(),
        detector: _on_data(),
        tracking: [
            ("--clips", {"type": int, "default": 8, "help": "number of generated clips"}),
            ("--frames", {"type": int, "default": 150, "help": "frames of a clip"}),
        ],
    }
    for function, flags in options.items():
        command = commands.add_parser(function.__name__, help=function.__doc__)
        command.set_defaults(function=function)
        for name, settings in flags:
            command.add_argument(name, **settings)  # type: ignore[arg-type]
        command.add_argument("--rounds", type=int, default=5, help="how often each side is timed (default: %(default)s)")
        command.add_argument("--threads", type=int, help="number of threads of torch (default: chosen by torch)")
        command.add_argument("--json", metavar="FILE", help="write the report as JSON")
    return parser


def _image() -> list[tuple[str, dict[str, object]]]:
    return [("--short-side", {"type": int, "default": 800}), ("--long-side", {"type": int, "default": 1066})]


def _on_images() -> list[tuple[str, dict[str, object]]]:
    return [
        ("mode", {"choices": ("single", "fast", "quality")}),
        ("--data", {"type": Path, "required": True}),
        ("--images", {"type": Path}),
        ("--split", {}),
        ("--limit", {"type": int, "default": 50}),
        ("--opencv-python", {"type": Path}),
        (
            "--package",
            {"action": argparse.BooleanOptionalAction, "default": True, "help": "in mode single: include the package selectivesearch"},
        ),
        ("--untimed", {"action": "store_true", "help": "report only the recall: for a busy machine"}),
    ]


def _on_data() -> list[tuple[str, dict[str, object]]]:
    return [("checkpoint", {}), ("--data", {"required": True}), ("--split", {}), ("--limit", {"type": int})]


def main(words: list[str] | None = None) -> int:
    """Run a benchmark, print the report, and write it."""
    parser = build_parser()
    args = parser.parse_args(words)
    if args.json:
        try:
            check_file("--json", args.json)  # before the work
        except (ValueError, OSError) as error:
            parser.error(str(error))
    if args.command not in ("startup", "first"):
        timing.prepare(args.threads)
    report = args.function(args)
    print(report.text())
    if args.json:
        given = [
            word for flag, word in itertools.pairwise(["", *(sys.argv[1:] if words is None else words)]) if "--json" not in (flag, word)
        ]
        content = {"command": " ".join(["python tools/benchmark.py", *given]), **report.content()}
        Path(args.json).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
