"""``detkit detect --shard``: one of several parts of many images, as a Parquet file."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from detkit.bulk.shard import Shard
from detkit.cli.detect.detector import load_detector
from detkit.cli.detect.options import DetectOptions
from detkit.cli.outputs import check_folder
from detkit.cli.process import keep_freed_memory
from detkit.cli.report import count, duration, memory_line, progress_bar
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.bulk import Listing, ShardInfo, ShardResult
    from detkit.cli.detect.detector import FileDetector

SOME_FAILED = 1
_ALLOWED = {"images", "shard", "output", "no_draw"}
"""Options of ``detkit detect`` itself that have a meaning for a shard; those of the detector all have."""
_LINE_SECONDS = 60.0
"""Time between two lines about the progress where there is no terminal."""
_NOT_SETTINGS = {"model"}
"""Keys of the description of a detector that do not change its detections."""


class _Progress(Protocol):
    def __call__(self, done: int, failed: int) -> None: ...


def shard(text: str) -> Shard:
    """Parse ``0/4``, for ``type=``.

    Raises:
        argparse.ArgumentTypeError: If the text is anything else.
    """
    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def check_shard_options(options: DetectOptions) -> tuple[Shard, str]:
    """Return the shard and the folder of all shards; refuse flags that do not go with ``--shard``, before any work.

    Raises:
        ValueError: If one was given, or the images or ``--output`` are missing.
    """
    own = {field.name: field.default for field in dataclasses.fields(DetectOptions) if field.name in DetectOptions.__annotations__}
    given = [name for name, default in own.items() if name not in _ALLOWED and getattr(options, name) != default]
    if given:
        advice = "; write the file from all shards with `detkit data merge-results`" if given[0] in {"json", "coco"} else ""
        raise ValueError(f"--{given[0].replace('_', '-')} cannot be used with --shard, which writes one Parquet file{advice}")
    if not options.images:
        raise ValueError("--shard: expected images, such as a folder or a .txt file that lists them; name them before the flags")
    if options.shard is None or options.output is None:
        raise ValueError("--shard needs --output DIR, the folder of all shards")
    check_folder("--output", options.output)
    return options.shard, options.output


def run_shard(options: DetectOptions) -> int:
    """Detect on the images of a shard and write its file; 0 if every image of it could be read."""
    from detkit.bulk import detect_shard, list_images

    chosen, folder = check_shard_options(options)
    keep_freed_memory()
    listing = list_images(options.images, chosen)
    print(f"shard {chosen}: {len(listing.paths):,} of {count(listing.count, 'image')}")
    detector, metadata = load_detector(options)
    info = _info(options, chosen, listing, (detector, metadata))
    start = time.perf_counter()
    with _progress(chosen, info.images) as progress:
        result = detect_shard(detector, listing, folder, info, progress=progress)
    _conclude(result, time.perf_counter() - start)
    return SOME_FAILED if result.failed else 0


def _info(options: DetectOptions, chosen: Shard, listing: Listing, loaded: tuple[FileDetector, dict[str, object]]) -> ShardInfo:
    """Return what the file records about the run, from the detector and its description, see :func:`load_detector`."""
    from detkit.bulk import ShardInfo
    from detkit.bulk.model_files import files_sha256, model_files

    detector, metadata = loaded
    model = str(metadata["model"])
    settings = {key: value for key, value in metadata.items() if key not in _NOT_SETTINGS}
    settings |= {"classes": options.classes, "max_detections": detector.max_detections, "svd": options.svd}
    return ShardInfo(
        shard=chosen,
        images=len(listing.paths),
        listed=listing.count,
        listing=listing.digest,
        model=model,
        model_sha256=files_sha256(model_files(model, options.weights_file)),
        class_names=detector.class_names,
        settings=settings,
        machine={"device": str(detector.device), "precision": str(detector.precision)},
    )


@contextmanager
def _progress(shard: Shard, images: int) -> Iterator[_Progress]:
    """Yield what shows the number of finished images: on a bar, or without a terminal on a line from time to time."""
    with progress_bar(images, "image", f"shard {shard}") as bar:
        last = time.monotonic()

        def update(done: int, failed: int) -> None:
            nonlocal last
            bar.update(done - bar.n)
            now = time.monotonic()
            if bar.disable and now - last >= _LINE_SECONDS:
                last = now
                print(f"shard {shard}: {done:,} of {count(images, 'image')}, {failed:,} not readable", file=sys.stderr, flush=True)

        yield update


def _conclude(result: ShardResult, seconds: float) -> None:
    """Print what was done, the written file, and the number of images that could not be read."""
    if result.resumed:
        print(f"{count(result.resumed, 'image')} finished before")
    new = result.images - result.resumed
    rate = f" in {duration(seconds)}, {new / seconds:.1f} images/s" if new else ""
    print(f"{count(new, 'image')} processed{rate}; {memory_line()}")
    print(f"written: {printable(result.path)}")
    if result.failed:
        text = f"detkit: {result.failed:,} of {count(result.images, 'image')} could not be read; their rows have the error"
        print(text, file=sys.stderr)
