"""Rows of results without detection: listing, writing, resuming and merging, their processor time, bytes and memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from detkit.bulk import Listing, Shard, ShardInfo, check_shards, list_images
from detkit.bulk.rows import ImageRow
from detkit.bulk.shard_writer import ShardWriter
from detkit.machine import peak_memory
from detkit.structures.detection import DetectionArrays

SHARDS = 4
DETECTIONS = 7
"""Detections of an image: the mean of COCO's labels."""
CLASSES = tuple(f"class {index}" for index in range(80))
_BLOCK = 500


def measure_rows(rows: int, folder: Path) -> dict[str, Any]:
    """Measure one shard with all rows, and four shards with the same rows that are merged.

    Returns:
        Processor seconds, bytes and peak memory; memory is that of this process, which must be a new one.
    """
    listing_file = folder / "names.txt"
    with listing_file.open("w") as file:
        file.writelines(f"photos/{index // 1000:04d}/{index:09d}.jpg\n" for index in range(rows))
    result: dict[str, Any] = {"rows": rows, "detections": rows * DETECTIONS, "lists": SHARDS, "memory_at_start": memory()}
    seconds: dict[str, float] = {}
    result["processor_seconds"] = seconds
    listings = []
    for index in range(SHARDS):
        with timed(seconds, "list"):
            listings.append(list_images([str(listing_file)], Shard(index, SHARDS)))
    result["memory_after_listing"] = memory()
    peaks = []
    for index, listing in enumerate(listings):
        with timed(seconds, "write"):
            write_shard(listing, Shard(index, SHARDS), folder / "shards")
        peaks.append(memory())
    result["memory_after_each_shard"] = peaks
    files = sorted((folder / "shards").glob("*.parquet"))
    result["bytes_of_row"] = sum(path.stat().st_size for path in files) / rows
    with timed(seconds, "check"):
        merged = check_shards(folder / "shards")
    if merged.problems or merged.images != rows:
        raise RuntimeError(f"{merged.problems[:3]}, {merged.images} rows")
    with timed(seconds, "merge"):
        merged.write(folder / "merged.parquet")
    result["memory_after_merging"] = memory()
    return result


def write_shard(listing: Listing, shard: Shard, folder: Path) -> None:
    """Write rows of random detections, as the detection does."""
    info = ShardInfo(
        shard=shard,
        images=len(listing.paths),
        listed=listing.count,
        listing=listing.digest,
        model="none",
        model_sha256="0" * 64,
        class_names=CLASSES,
    )
    detections = random_detections()
    with ShardWriter(folder, info) as writer:
        writer.resume(listing.paths)
        for path, row in zip(listing.paths, detections, strict=False):
            writer.add(ImageRow(path, (480, 640), row))
        writer.finish()


def random_detections() -> Iterator[DetectionArrays]:
    """Yield detections without end; their numbers compress as badly as those of real ones."""
    generator = np.random.default_rng(0)
    while True:
        boxes = generator.uniform(0, 640, (_BLOCK, DETECTIONS, 4)).astype(np.float32)
        scores = -np.sort(-generator.random((_BLOCK, DETECTIONS), np.float32))
        labels = generator.integers(0, len(CLASSES), (_BLOCK, DETECTIONS))
        for row in zip(boxes, scores, labels, strict=True):
            yield DetectionArrays(*row)


def memory() -> float:
    """Return the peak memory of this process so far in MB."""
    peaks = peak_memory()
    return 0.0 if peaks is None else peaks[0] / 1e6


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the processor time of a block to an entry."""
    start = time.process_time()
    yield
    seconds[name] = seconds.get(name, 0.0) + time.process_time() - start
