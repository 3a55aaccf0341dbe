"""Compute object proposals, boxes that may hold an object of any class; report their recall against labels.

    detkit propose photos --output proposals.json
    detkit propose --data VOCdevkit/VOC2012 --split val --mode quality --report
    detkit propose --data instances_train.json --max-proposals 2000 --cache runs/proposals --processes 2
    detkit propose photos --model runs/first-1
    detkit propose photos --latest

Backends: detkit (selective search), opencv (where cv2.ximgproc is available) and selectivesearch (the package of that name, with its
defects). With --model or --latest, the region proposal network of a Faster R-CNN is used instead.

With --cache, proposals are computed once per image, and an interrupted command continues where it stopped. An image that cannot be read is
reported, the others are processed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.flags import MODEL_HELP, add_flags, positive
from detkit.cli.inputs import image_files
from detkit.cli.outputs import Outputs
from detkit.cli.report import count, duration, memory_line
from detkit.cli.resolve import model_line, resolve_model

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detkit.data import DetectionData
    from detkit.proposals import ProposalResult, Proposer

SOME_FAILED = 1
OUTPUT_ENDINGS = (".json", ".npz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit propose``."""
    parser.add_argument("image_words", nargs="*", metavar="IMAGE", help="images, folders of them, or patterns such as 'photos/**/*.jpg'")
    add_flags(parser, "--data", "--images")
    add_flags(parser, "--split", help="part of the data (default: val, else test, if the data has such parts)")
    parser.add_argument("--backend", default="detkit", metavar="NAME", help="algorithm that computes the proposals (default: %(default)s)")
    add_flags(parser, "--model", help=f"a Faster R-CNN whose region proposal network is used instead of --backend: {MODEL_HELP}")
    add_flags(parser, "--latest")
    parser.add_argument(
        "--mode",
        choices=("single", "fast", "quality"),
        default="fast",
        help="thoroughness of selective search (default: %(default)s)",
    )
    parser.add_argument("--max-proposals", type=positive, metavar="N", help="keep only the N best proposals per image (default: all)")
    parser.add_argument("--min-area", type=float, default=0.0, metavar="A", help="drop smaller boxes, in square pixels (default: keep all)")
    parser.add_argument(
        "--max-aspect",
        type=float,
        default=float("inf"),
        metavar="R",
        help="drop boxes with a larger ratio of the longer to the shorter side",
    )
    add_flags(parser, "--seed", help="seed of the random numbers in the ranking (default: %(default)s)")
    parser.add_argument("--cache", metavar="DIR", help="folder that caches the proposals of every image")
    parser.add_argument(
        "--cache-megabytes", type=float, default=2000.0, metavar="MB", help="largest size of the cache (default: %(default)g)"
    )
    parser.add_argument("--processes", type=positive, default=1, metavar="N", help="images processed in parallel (default: %(default)s)")
    add_flags(parser, "--output", help="write all proposals: .json, or .npz (smaller)")
    parser.add_argument("--report", action="store_true", help="report recall against the labels of --data, and plot it")
    add_flags(parser, "--json", help="write the numbers of --report as JSON")
    parser.add_argument("--plot", metavar="FILE", help="PNG file for the plot of --report (default: recall.png in a new runs/propose-N)")


def run(args: argparse.Namespace) -> int:
    """Propose, print and write; 0 if every image could be read."""
    _check(args)
    with Outputs(args, "output", "json", "plot") as outputs:
        return _propose(args, outputs)


def _propose(args: argparse.Namespace, outputs: Outputs) -> int:
    start = time.perf_counter()
    data = _read_data(args)
    paths = [Path(path) for path in data.records.paths] if data is not None else image_files(args.image_words)
    from detkit.data.media.images import read_image

    proposer, source = _proposer(args)
    print(f"proposals: {proposer.backend.version.split()[0]}, mode {args.mode}, of {count(len(paths), 'image')}", flush=True)
    ready = time.perf_counter()
    job = _Job(args, source, paths, data)
    try:
        for index, result in enumerate(_with_bar(proposer.results(paths, read_image, args.processes), len(paths))):
            job.add(index, result)
    finally:  # an interruption keeps the proposals computed before it
        job.write(outputs, ready - start, time.perf_counter() - ready)
    return SOME_FAILED if job.failed else 0


def _check(args: argparse.Namespace) -> None:
    """Refuse flags that do not go together, before any work.

    Raises:
        ValueError: If two flags contradict each other, or one needs another.
    """
    if bool(args.image_words) == (args.data is not None):
        raise ValueError("propose: expected images, or labeled data with --data PATH; got " + ("both" if args.data else "neither"))
    for name in ("report", "split", "images"):
        if getattr(args, name) and args.data is None:
            raise ValueError(f"--{name} needs labeled data; give --data PATH instead of {' '.join(args.image_words[:3])}")
    if (args.model is not None or args.latest) and args.backend != "detkit":
        raise ValueError(f"--{'latest' if args.latest else 'model'} replaces --backend {args.backend}; give one of the two")
    if args.output and Path(args.output).suffix.lower() not in OUTPUT_ENDINGS:
        raise ValueError(f"--output {args.output}: expected a file ending in {' or '.join(OUTPUT_ENDINGS)}")
    for name in ("json", "plot"):
        if getattr(args, name) and not args.report:
            raise ValueError(f"--{name} writes the results of --report; give that flag too")
    if args.plot and Path(args.plot).suffix.lower() != ".png":
        raise ValueError(f"--plot {args.plot}: expected a file ending in .png")


def _proposer(args: argparse.Namespace) -> tuple[Proposer, str]:
    """Return the source of the proposals, and its name for the report."""
    from detkit.inference.proposals import RPNProposals, build_proposer
    from detkit.proposals import ProposalsConfig

    names = ("mode", "max_proposals", "min_area", "max_aspect", "seed", "cache", "cache_megabytes")
    settings = {name: getattr(args, name) for name in names}
    device = "auto" if args.processes == 1 else "cpu"
    if args.model is None and not args.latest:
        return build_proposer(ProposalsConfig(backend=args.backend, **settings), device), args.backend
    from detkit.inference import load

    model, reason = resolve_model(args.model, args.latest)
    predictor = load(model, device, "fp32")
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    return ProposalsConfig(backend=str(model), **settings).build(RPNProposals(predictor)), str(model)


def _read_data(args: argparse.Namespace) -> DetectionData | None:
    """Read the labeled data of ``--data``, and print its size and the reader's report; None without the flag."""
    if args.data is None:
        return None
    from detkit.data import SourceConfig, read_source
    from detkit.data.sources import with_split

    data = read_source(with_split(SourceConfig(path=args.data, images=args.images, split=args.split), "val", "test"))
    print(f"data: {data.name}: {count(len(data), 'image')}, {count(len(data.records.boxes), 'box', 'boxes')}")
    for line in data.report.summary():
        print(line)
    return data


def _with_bar(results: Iterable[ProposalResult], total: int) -> Iterable[ProposalResult]:
    """Yield the results, with a progress bar on a terminal."""
    from tqdm import tqdm

    return tqdm(results, total=total, unit="image", disable=None, leave=False, file=sys.stderr)


class _Job:
    """The results of one run of the command."""

    def __init__(self, args: argparse.Namespace, source: str, paths: list[Path], data: DetectionData | None) -> None:
        from detkit.proposals import ProposalRecall

        self.args, self.source, self.paths, self.data = args, source, paths, data
        self.recall = ProposalRecall()
        self.results: list[tuple[Path, ProposalResult]] = []
        self.failed: dict[Path, str] = {}
        self.counts: list[int] = []
        self.seconds: list[float] = []
        self.cached = 0

    def add(self, index: int, result: ProposalResult) -> None:
        """Add the proposals of one image."""
        path = self.paths[index]
        if result.error is not None:
            self.failed[path] = " ".join(str(result.error).split())
            print(f"detkit: {self.failed[path]}", file=sys.stderr, flush=True)
            return
        self.counts.append(len(result.proposals))
        if result.from_cache:
            self.cached += 1
        else:
            self.seconds.append(result.seconds)
        if self.args.report and self.data is not None:
            self.recall.add(self.data.records[index].targets, result.proposals)
        if self.args.output:
            self.results.append((path, result))

    def write(self, outputs: Outputs, preparing: float, searching: float) -> None:
        """Print a summary, and write the requested files."""
        from detkit.cli.propose.report import report, speed_line, write_proposals

        if self.counts:
            mean = sum(self.counts) / len(self.counts)
            print(f"{count(sum(self.counts), 'proposal')} in {count(len(self.counts), 'image')}, {mean:,.0f} per image")
        if self.failed:
            print(f"{count(len(self.failed), 'image')} could not be read")
        print(speed_line(self.seconds, self.cached))
        outputs.write("output", lambda path: write_proposals(path, self.results, self.failed))
        if self.args.report and self.data is not None:
            metadata = {
                "backend": self.source,
                "mode": self.args.mode,
                "seed": self.args.seed,
                "max_proposals": self.args.max_proposals,
                "data": self.data.name,
                "seconds_of_each": statistics.median(self.seconds or [0.0]),
            }
            title = f"{Path(self.args.data).name}: {self.source}, {self.args.mode}"
            report(self.recall, self.args.plot, title, outputs, metadata)
        if outputs.written:
            print(f"written: {', '.join(outputs.written)}")
        print(f"preparing {duration(preparing)}, proposing {duration(searching)}; {memory_line(workers=self.args.processes > 1)}")
