"""Compute object proposals, boxes that may hold an object of any class; report their recall against labels.

    detkit propose photos --output proposals.json
    detkit propose --data VOCdevkit/VOC2012 --split val --mode quality --recall
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

from detkit.cli.inputs import image_files
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs
from detkit.cli.process import announce_stop
from detkit.cli.propose.options import ProposeOptions, add_propose_flags, check_propose_options
from detkit.cli.report import count, duration, memory_line, with_bar
from detkit.cli.resolve import model_line, resolve_model
from detkit.printable import printable, printable_message

if TYPE_CHECKING:
    from detkit.data import DetectionData
    from detkit.proposals import ProposalResult, Proposer

SOME_FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit propose``."""
    add_propose_flags(parser)
    bind(parser, ProposeOptions, run)


def run(options: ProposeOptions) -> int:
    """Propose, print and write; 0 if every image could be read."""
    check_propose_options(options)
    with Outputs({"output": options.output, "json": options.json, "plot": options.plot}) as outputs:
        return _propose(options, outputs)


def _propose(options: ProposeOptions, outputs: Outputs) -> int:
    start = time.perf_counter()
    data = _read_data(options)
    paths = [Path(path) for path in data.records.paths] if data is not None else image_files(options.image_words)
    from detkit.data.media.images import read_image

    proposer, source = _proposer(options)
    print(f"proposals: {proposer.backend.version.split()[0]}, mode {options.mode}, of {count(len(paths), 'image')}", flush=True)
    ready = time.perf_counter()
    job = _Job(options, source, paths, data)
    try:
        results = proposer.results(paths, read_image, options.processes)
        for index, result in enumerate(with_bar(results, len(paths), "image")):
            job.add(index, result)
    except KeyboardInterrupt:
        if outputs.requested:
            announce_stop("writing what was computed")
        raise
    finally:  # an interruption keeps the proposals computed before it
        job.write(outputs, ready - start, time.perf_counter() - ready)
    return SOME_FAILED if job.failed else 0


def _proposer(options: ProposeOptions) -> tuple[Proposer, str]:
    """Return the source of the proposals, and its name for the report."""
    from detkit.inference.proposals import RPNProposals, build_proposer
    from detkit.proposals import ProposalsConfig

    names = ("mode", "max_proposals", "min_area", "max_aspect", "seed", "cache", "cache_megabytes")
    settings = {name: getattr(options, name) for name in names}
    device = "auto" if options.processes == 1 else "cpu"
    if options.model is None and not options.latest:
        return build_proposer(ProposalsConfig(backend=options.backend, **settings), device), options.backend
    from detkit.inference import load

    model, reason = resolve_model(options.model, options.latest)
    predictor = load(model, device, "fp32")
    print(model_line(model, reason, predictor.class_names, predictor.device, predictor.precision))
    return ProposalsConfig(backend=str(model), **settings).build(RPNProposals(predictor)), str(model)


def _read_data(options: ProposeOptions) -> DetectionData | None:
    """Read the labeled data of ``--data``, and print its size and the reader's report; None without the flag."""
    if options.data is None:
        return None
    from detkit.data import SourceConfig, read_source
    from detkit.data.sources import with_split

    data = read_source(with_split(SourceConfig(path=options.data, images=options.images, split=options.split), "val", "test"))
    print(f"data: {printable(data.name)}: {count(len(data), 'image')}, {count(len(data.records.boxes), 'box', 'boxes')}")
    for line in data.report.summary():
        print(line)
    return data


class _Job:
    """The results of one run of the command."""

    def __init__(self, options: ProposeOptions, source: str, paths: list[Path], data: DetectionData | None) -> None:
        from detkit.proposals import ProposalRecall

        self.options, self.source, self.paths, self.data = options, source, paths, data
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
            self.failed[path] = printable_message(result.error)
            print(f"detkit: {self.failed[path]}", file=sys.stderr, flush=True)
            return
        self.counts.append(len(result.proposals))
        if result.from_cache:
            self.cached += 1
        else:
            self.seconds.append(result.seconds)
        if self.options.recall and self.data is not None:
            self.recall.add(self.data.records[index].targets, result.proposals)
        if self.options.output:
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
        if self.options.recall and self.data is not None:
            metadata = {
                "backend": self.source,
                "mode": self.options.mode,
                "seed": self.options.seed,
                "max_proposals": self.options.max_proposals,
                "data": self.data.name,
                "seconds_of_each": statistics.median(self.seconds or [0.0]),
            }
            title = f"{Path(self.options.data or '').name}: {self.source}, {self.options.mode}"
            report(self.recall, self.options.plot, title, outputs, metadata)
        if outputs.written:
            print(f"written: {', '.join(outputs.written)}")
        print(f"preparing {duration(preparing)}, proposing {duration(searching)}; {memory_line(workers=self.options.processes > 1)}")
