"""Propose where objects may be, without knowing which; tell how well labeled objects are met.

    detkit propose photos --output proposals.json
    detkit propose VOCdevkit/VOC2012 --split val --mode quality --report
    detkit propose instances_train.json --max-proposals 2000 --cache runs/proposals --processes 2
    detkit propose photos --backend runs/first-1

Images are named by files, folders or patterns; a data set by a COCO JSON file, a YOLO data.yaml, or a folder that holds labels. A
data set with parts gives its val part, or else its test part, unless --split names one. --report needs a data set.

Backends: detkit (selective search), opencv (where cv2.ximgproc is there), selectivesearch (the package of that name, with its defects), or
the region proposal network of a Faster R-CNN: a checkpoint, a run's folder, or a name that 'detkit weights' lists.

With --cache what was made before is not made again: after an interruption the same command goes on. A image that cannot be read is
named, the others are done, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.inputs import image_files
from detkit.cli.outputs import Outputs
from detkit.cli.report import count, duration, memory_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from detkit.data import DetectionData
    from detkit.proposals import Made, ProposalsConfig

SOME_FAILED = 1
OUTPUT_ENDINGS = (".json", ".npz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of ``detkit propose``."""
    parser.add_argument("inputs", nargs="+", metavar="IMAGES|DATASET", help="images, folders, patterns; or one labeled data set")
    parser.add_argument("--images", metavar="DIR", help="the folder of the data set's images, if it is not where the labels say")
    parser.add_argument("--split", metavar="NAME", help="which part of the data set (default: val, or else test, if it has such parts)")
    parser.add_argument("--backend", default="detkit", metavar="NAME|FILE", help="where proposals come from (default: %(default)s)")
    parser.add_argument("--mode", choices=("single", "fast", "quality"), default="fast", help="of selective search (default: %(default)s)")
    parser.add_argument("--max-proposals", type=int, metavar="N", help="at most so many a image, the best")
    parser.add_argument("--min-area", type=float, default=0.0, metavar="A", help="leave out smaller ones, in square pixels")
    parser.add_argument("--max-aspect", type=float, default=float("inf"), metavar="R", help="leave out longer ones: longer / shorter side")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers in the ranking (default: %(default)s)")
    parser.add_argument("--cache", metavar="DIR", help="folder that remembers the proposals of every image")
    parser.add_argument("--cache-megabytes", type=float, default=2000.0, metavar="MB", help="what it may take (default: %(default)g)")
    parser.add_argument("--processes", type=int, default=1, metavar="N", help="images searched at once (default: %(default)s)")
    parser.add_argument("--output", metavar="FILE", help="write all proposals: .json, or .npz (smaller)")
    parser.add_argument("--report", action="store_true", help="tell how well the data set's objects are met, and plot it")
    parser.add_argument("--json", metavar="FILE", help="write the numbers of --report")
    parser.add_argument("--plot", metavar="FILE", help="the PNG image of --report (default: recall.png in a new runs/propose-N)")


def run(args: argparse.Namespace) -> int:
    """Propose, print, write; 0 if every image could be read."""
    _check(args)
    with Outputs(args, "output", "json", "plot") as outputs:
        return _propose(args, outputs)


def _propose(args: argparse.Namespace, outputs: Outputs) -> int:
    start = time.perf_counter()
    data = _data_set(args)
    paths = [Path(path) for path in data.records.paths] if data is not None else image_files(args.inputs)
    from detkit.data.images import read_image
    from detkit.inference.proposals import build_proposer

    proposer = build_proposer(_config(args), "auto" if args.processes == 1 else "cpu")
    print(f"proposals: {proposer.backend.version.split()[0]}, mode {args.mode}, of {count(len(paths), 'image')}", flush=True)
    ready = time.perf_counter()
    job = _Job(args, paths, data)
    try:
        for place, made in enumerate(_with_bar(proposer.each(paths, read_image, args.processes), len(paths))):
            job.take(place, made)
    finally:  # also what was done before an interruption is kept
        job.write(outputs, ready - start, time.perf_counter() - ready)
    return SOME_FAILED if job.failed else 0


def _check(args: argparse.Namespace) -> None:
    """Complain about flags that do not go together, before any work."""
    if args.output and Path(args.output).suffix.lower() not in OUTPUT_ENDINGS:
        raise ValueError(f"--output {args.output}: expected a file that ends in {' or '.join(OUTPUT_ENDINGS)}")
    if args.processes < 1:
        raise ValueError(f"--processes: expected at least 1, got {args.processes}")
    for name in ("json", "plot"):
        if getattr(args, name) and not args.report:
            raise ValueError(f"--{name} is a part of --report; give that too")
    if args.plot and Path(args.plot).suffix.lower() != ".png":
        raise ValueError(f"--plot {args.plot}: expected a file that ends in .png")


def _config(args: argparse.Namespace) -> ProposalsConfig:
    from detkit.proposals import ProposalsConfig

    names = ("backend", "mode", "max_proposals", "min_area", "max_aspect", "seed", "cache", "cache_megabytes")
    return ProposalsConfig(**{name: getattr(args, name) for name in names})


def _data_set(args: argparse.Namespace) -> DetectionData | None:
    """The labeled data that is named, or None where images are."""
    from detkit.data.readers import BOX_READERS

    path = Path(args.inputs[0]).expanduser()
    labels = len(args.inputs) == 1 and path.exists() and any(reader.recognizes(path) for reader in BOX_READERS)
    if not labels:
        for name in ("report", "split", "images"):
            if getattr(args, name):
                raise ValueError(
                    f"--{name} needs one labeled data set (a COCO JSON file, a VOC folder, a YOLO data.yaml); "
                    f"{' '.join(args.inputs[:3])} is none"
                )
        return None
    from detkit.data import SourceConfig, read_source
    from detkit.data.sources import with_split

    data = read_source(with_split(SourceConfig(path=args.inputs[0], images=args.images, split=args.split), "val", "test"))
    print(f"data: {data.name}: {count(len(data), 'image')}, {count(len(data.records.boxes), 'box', 'boxes')}")
    for line in data.report.summary():
        print(line)
    return data


def _with_bar(made: Iterable[Made], total: int) -> Iterable[Made]:
    """Shows on a terminal how far it is."""
    from tqdm import tqdm

    return tqdm(made, total=total, unit="image", disable=None, leave=False, file=sys.stderr)


class _Job:
    """What one call of the command has made so far."""

    def __init__(self, args: argparse.Namespace, paths: list[Path], data: DetectionData | None) -> None:
        from detkit.proposals import ProposalRecall

        self.args, self.paths, self.data = args, paths, data
        self.recall = ProposalRecall()
        self.made: list[tuple[Path, Made]] = []
        self.failed: dict[Path, str] = {}
        self.counts: list[int] = []
        self.seconds: list[float] = []
        self.remembered = 0

    def take(self, place: int, made: Made) -> None:
        """Count the proposals of one image."""
        path = self.paths[place]
        if made.error is not None:
            self.failed[path] = " ".join(str(made.error).split())
            print(f"detkit: {self.failed[path]}", file=sys.stderr, flush=True)
            return
        self.counts.append(len(made.proposals))
        if made.is_remembered:
            self.remembered += 1
        else:
            self.seconds.append(made.seconds)
        if self.args.report and self.data is not None:
            self.recall.add(self.data.records[place].targets, made.proposals)
        if self.args.output:
            self.made.append((path, made))

    def write(self, outputs: Outputs, preparing: float, searching: float) -> None:
        """Print what was made, and write the files that were asked for."""
        from detkit.cli.propose_report import report, speed_line, write_proposals

        if self.counts:
            mean = sum(self.counts) / len(self.counts)
            print(f"{count(sum(self.counts), 'proposal')} of {count(len(self.counts), 'image')}: {mean:,.0f} each")
        if self.failed:
            print(f"{count(len(self.failed), 'image')} could not be read")
        print(speed_line(self.seconds, self.remembered))
        outputs.write("output", lambda path: write_proposals(path, self.made, self.failed))
        if self.args.report:
            about = {"backend": self.args.backend, "mode": self.args.mode, "seed": self.args.seed, "max_proposals": self.args.max_proposals}
            about |= {"data": self.data.name if self.data else None, "seconds_of_each": statistics.median(self.seconds or [0.0])}
            report(self.recall, self.args, outputs, about)
        if outputs.written:
            print(f"written: {', '.join(outputs.written)}")
        print(f"preparing {duration(preparing)}, proposing {duration(searching)}; {memory_line(workers=self.args.processes > 1)}")
