"""``detkit data merge-results``: the shards of bulk detection as one file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.cli.flags import add_flags
from detkit.cli.options import bind
from detkit.cli.outputs import Outputs
from detkit.cli.report import count
from detkit.printable import printable

if TYPE_CHECKING:
    from detkit.bulk import MergedShards
    from detkit.cli.detect.coco import CocoIds
    from detkit.cli.detect.results import ImageResult

Actions = argparse._SubParsersAction

_EMPTY = "[]"

_DESCRIPTION = """Check that the shards of a bulk detection are complete, and merge them.

  detkit data merge-results found                        check only
  detkit data merge-results found --parquet all.parquet  one row for each image, with its detections as lists
  detkit data merge-results found --json results.json    a COCO results file, as of `detkit detect --coco`

The folder has the files that `detkit detect --shard I/N --output DIR` wrote. Missing and unfinished shards, shards of another N, of
another model, of other settings or of other images, and images that are there twice, are reported on one line each; the exit code is 2 then
and nothing is merged. Rows are ordered by the names of the images; the merged file is that of a single run.

In the JSON file, an image_id is the number at the end of the image's name, or the name without its extension if there is none, and a
category_id is the label + 1; --annotations takes both from a COCO annotation file. Unreadable images have no rows in it."""


@dataclass(frozen=True, kw_only=True)
class MergeResultsCommand:
    """Options of ``detkit data merge-results``.

    Attributes:
        folder: Folder of the shards.
        json: File of the detections as COCO results.
        parquet: File of all rows.
        annotations: COCO annotation file that gives the ids for ``json``.
    """

    folder: Path
    json: str | None = None
    parquet: str | None = None
    annotations: str | None = None


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "merge-results",
        help="check and merge the shards of `detkit detect --shard`",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the shards")
    add_flags(parser, "--json", help="write a COCO results file")
    parser.add_argument("--parquet", metavar="FILE", help="write all rows to one Parquet file")
    add_flags(parser, "--annotations", help="COCO annotation file that gives the ids for --json")
    bind(parser, MergeResultsCommand, _run)


def _run(options: MergeResultsCommand) -> int:
    from detkit.bulk import check_shards
    from detkit.cli.detect.coco import CocoIds

    if options.annotations and not options.json:
        raise ValueError("--annotations gives the ids of --json; add --json FILE")
    _check_outside(options)
    ids = CocoIds.from_annotations(options.annotations) if options.annotations else CocoIds()
    with Outputs({"json": options.json, "parquet": options.parquet}) as outputs:
        shards = check_shards(options.folder)
        if shards.problems:
            for line in shards.problems:
                print(f"detkit: {printable(line)}", file=sys.stderr)
            raise ValueError(f"{options.folder}: {count(len(shards.problems), 'problem')}; nothing was merged")
        _print_summary(shards)
        outputs.write("json", lambda path: _write_coco(path, shards, ids))
        outputs.write("parquet", shards.write)
    if outputs.written:
        print(f"written: {', '.join(map(printable, outputs.written))}")
    return 0


def _check_outside(options: MergeResultsCommand) -> None:
    """Refuse a merged file in the folder of the shards, where the next check would take it for one of them."""
    if options.parquet and Path(options.parquet).resolve().parent == options.folder.resolve():
        raise ValueError(f"--parquet {options.parquet}: expected a file outside of the folder of the shards; give another path")


def _print_summary(shards: MergedShards) -> None:
    info = shards.info
    failed = f", {shards.failed:,} of them not readable" if shards.failed else ""
    print(
        f"{count(len(shards.paths), 'shard')}: complete; {count(shards.images, 'image')}{failed}, {count(shards.detections, 'detection')}"
    )
    print(f"model: {printable(info.model)}, SHA-256 {info.model_sha256}")
    for key in sorted(info.machine):
        values = info.machine[key]
        if "," in values:
            print(f"note: shards were computed with more than one {key}: {values}; their detections differ by rounding")


def _write_coco(path: str, shards: MergedShards, ids: CocoIds) -> None:
    """Write COCO results image by image, atomically."""
    from detkit.checkpoint import atomic_write
    from detkit.cli.detect.coco import as_coco

    skipped, separator, names = 0, "[", shards.info.class_names
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for result in _results(shards, ids):
            text, lost = as_coco([result], names, ids)
            skipped += lost
            if text != _EMPTY:
                file.write(separator + text.removeprefix("[").removesuffix("]"))
                separator = ", "
        file.write(_EMPTY if separator == "[" else "]")
    if skipped:
        print(f"{printable(path)}: skipped {count(skipped, 'detection')} of classes that the annotations do not have")


def _results(shards: MergedShards, ids: CocoIds) -> Iterator[ImageResult]:
    """Yield the result of each image that could be read.

    Raises:
        ValueError: If two images have the same image id, or the annotations do not have one.
    """
    import numpy as np

    from detkit.bulk.rows import masks_of
    from detkit.cli.detect.coco import image_path
    from detkit.cli.detect.results import ImageResult
    from detkit.structures.detection import DetectionArrays

    seen: dict[Any, str] = {}
    for row in (row for table in shards.tables() for row in table.to_pylist() if row["error"] is None):
        name = row["image"]
        image_id = ids.image_id(image_path(name))
        if seen.setdefault(image_id, name) != name:
            raise ValueError(f"{seen[image_id]} and {name} have the same image id {image_id!r}; give their ids with --annotations FILE")
        boxes = np.array(row["boxes"], np.float32).reshape(-1, 4)
        detections = DetectionArrays(boxes, np.array(row["scores"], np.float32), np.array(row["labels"], np.int64))
        size = row["height"], row["width"]
        yield ImageResult(name, size, detections if row["masks"] is None else detections.replace(masks=masks_of(row["masks"], size)))
