"""Track objects through videos, cameras and streams: each object keeps its id. Draw them, count them, and write them to files.

    detkit track clip.mp4                             a video with boxes, ids and trails
    detkit track clips/ --classes person car --json tracks.json
    detkit track frames/ --frame-rate 30              numbered images as the frames of one video
    detkit track 0                                    the first camera, until Ctrl-C
    detkit track rtsp://192.168.1.20/stream1 http://192.168.1.21/video.mjpg
    detkit track street.mp4 --line gate=0,300,640,300 --zone yard=0,0,200,0,200,150,0,150
    detkit track clip.mp4 --follow 120,80,60,140      one object, given by its box in the first frame

Files are processed one after another, and cameras and streams all together. Ids begin with 1 in each. A folder has videos, or images that
are the frames of one video; a sequence of MOTChallenge (a folder with img1/) is one too.

Detections are matched to the objects of earlier frames by their boxes. --tracker bytetrack also uses weak detections where they continue
an object; sort does not. An object gets its id with its second detection (sort: its third), and keeps it if it is not detected for up to
--max-lost seconds. Its class is the one with the largest sum of scores.

The scores that the tracker uses follow from the minimum score of `detkit detect`: the operating points of the model, its suggestion, or
--min-score. Detections from there on continue a track, and a new one needs .1 more; bytetrack also uses detections from half of it on where
no better one continues a track. If classes have operating points of their own, their scores are scaled so that these are equal. The
command prints the scores.

A line counts each object whose anchor crosses it, "in" from left to right for somebody who stands at its first point and looks to the
second, as the drawn arrow shows, and "out" in the other direction. A zone counts the objects inside, those that entered and left, and how
long they stayed. Lines and zones are in pixels, or in fractions of width and height if no number is above 1.

The drawn videos go to a new folder runs/track-N unless --output names one. The files of --json, --csv and --mot are written at the end,
also after Ctrl-C. Until then, the tracks are in FILE.partial next to the first of them, as lines of JSON, which stays if the command is
killed. `detkit evaluate --metric hota` compares a file of --mot with labels. The exit code is 1 if a source cannot be read completely.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detkit.cli.detect.detector import add_detector_arguments, check_detector_options, load_detector
from detkit.cli.drawing_writer import DrawingWriter
from detkit.cli.flags import add_flags
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs
from detkit.cli.process import keep_freed_memory
from detkit.cli.results.failures import Failures
from detkit.cli.results.finishing import Finishing, print_written
from detkit.cli.results.partial import PartialFile
from detkit.cli.track import marks
from detkit.cli.track.arguments import add_counting_arguments, add_tracker_arguments, rate
from detkit.cli.track.files import check_mot, is_mot_folder, write_files
from detkit.cli.track.job import TrackJob
from detkit.cli.track.options import TrackOptions, tracker_settings
from detkit.cli.track.printing import print_totals, score_line
from detkit.cli.track.sources import open_sources
from detkit.cli.values import seconds
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.cli.detect.detector import FileDetector
    from detkit.cli.track.following import FollowTracker
    from detkit.data.media.source import FrameSource
    from detkit.inference.tracks import FrameTracker, TrackingSetup

SOME_FAILED = 1
Marks = tuple[tuple[marks.Mark, ...], tuple[marks.Mark, ...]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit track``."""
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="a video, a folder or pattern of videos or of images, the index of a camera, or an rtsp or http address",
    )
    add_detector_arguments(parser)
    add_tracker_arguments(parser)
    add_counting_arguments(parser)
    add_flags(parser, "--every", "--max-latency", "--seconds")
    parser.add_argument("--frame-rate", type=rate, metavar="R", help="frames per second of images (default: that of seqinfo.ini, or 25)")
    add_flags(parser, "--output", help="folder for the drawn videos (default: a new runs/track-N)")
    add_flags(parser, "--no-draw")
    parser.add_argument("--trail", type=seconds, metavar="S", help="length of the drawn trails in seconds; 0: none (default: 2)")
    add_flags(parser, "--json", help="write tracks, frames and counts as JSON")
    add_flags(parser, "--csv", help="write one row per track and frame as CSV")
    parser.add_argument("--mot", metavar="PATH", help="write a file in MOTChallenge's format; a folder of one per source for several")
    bind(parser, TrackOptions, run)


def run(options: TrackOptions) -> int:
    """Track, print, draw and write; 0 if every source could be read completely."""
    check_detector_options(options)
    if not options.sources:
        raise ValueError("name a video, a folder, a camera such as 0, or an address; see detkit track --help")
    counted = marks.named(options.line or (), options.zone or ())
    failures = Failures()
    sources = open_sources(options.sources, options.frame_rate, failures)
    if options.follow and len(sources) > 1:
        raise ValueError(f"--follow X,Y,W,H follows an object of one source, got {len(sources)}; give one")
    if options.mot:
        check_mot(options.mot, [source.stem for source in sources])
    mot = {"mot": options.mot}
    folders = mot if options.mot and is_mot_folder(options.mot, len(sources)) else {}
    with Outputs({"json": options.json, "csv": options.csv, **({} if folders else mot)}, folders) as outputs:
        return _track(options, outputs, sources, counted, failures)


def _track(options: TrackOptions, outputs: Outputs, sources: Sequence[FrameSource], counted: Marks, failures: Failures) -> int:
    start = time.perf_counter()
    keep_freed_memory()
    drawings = None if options.no_draw else DrawingWriter(options.output, [Path(row.name) for row in sources if not row.live], "track")
    partial = PartialFile(next(filter(None, (options.json, options.csv, (options.mot or "").rstrip("/\\"))), None))
    detector, metadata = load_detector(options)
    setup, build, followed = _tracker(detector, options)
    metadata |= {"tracker": {"name": setup.name, **setup.settings}}
    partial.begin({**metadata, "class_names": list(detector.class_names)})
    job = TrackJob(setup.predictor(detector), build, options, counted, drawings)
    job.failures, job.partial, job.keep, job.followed = failures, partial, outputs.requested, followed
    loaded = time.perf_counter()

    def write() -> None:
        write_files(list(job.sources.values()), outputs, failures.messages, detector.class_names, metadata)
        partial.close(outputs.complete)

    with Finishing(write, "writing what was tracked" if outputs.requested else None) as finishing:
        job.track(sources)
    _conclude(job, outputs, loaded - start, time.perf_counter() - loaded)
    finishing.raise_interruption()
    return SOME_FAILED if failures else 0


def _conclude(job: TrackJob, outputs: Outputs, loading: float, tracking: float) -> None:
    """Print totals, times, memory and the written files."""
    sources = list(job.sources.values())
    print_totals(sources, job.predictor.class_names, loading, tracking)
    best = job.predictor.best_left_out
    if not any(source.summaries for source in sources) and best is not None:
        print(f"note: the best detection that was not used is {printable(best.class_name)} {best.score:.3g}; see --min-score")
    print_written(outputs, job.drawings if any(source.read for source in sources) else None)
    job.failures.conclude(len({*job.sources, *job.failures.messages}), "source")


def _tracker(detector: FileDetector, options: TrackOptions) -> tuple[TrackingSetup, Callable[[], FrameTracker], FollowTracker | None]:
    """Return the tracker with its scores, what makes one for a source, and what follows one object, after printing the scores."""
    from detkit.cli.track.following import FollowTracker, follower
    from detkit.inference.tracks import ScaledTracker, TrackingSetup

    setup = TrackingSetup.of(detector.min_scores, options.tracker, options.set or (), **tracker_settings(options))
    if options.follow is None:
        print(score_line(setup))
        return setup, setup.build, None
    (x1, y1), (x2, y2) = options.follow.points
    found = FollowTracker(follower((x1, y1, x2, y2), setup.scores.high if setup.scores else 0.0, options.max_lost), _report)
    return setup, lambda: ScaledTracker(found, setup.scores, setup.lowest), found


def _report(line: str) -> None:
    print(line, flush=True)
