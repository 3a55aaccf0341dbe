"""``detkit data shard``: pack a data set into tar files with an index."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from detkit.cli.data.progress import image_progress
from detkit.cli.data.source import SourceFlags, add_source_flags
from detkit.cli.options import bind
from detkit.cli.report import count
from detkit.cli.values import positive

Actions = argparse._SubParsersAction

_DESCRIPTION = """Pack a data set into shards: tar files in WebDataset's layout, with an index by which any image is read at any time, and
the labels as Parquet. Images keep their bytes and their order, so a training on shards has the same losses as one on the files.

  detkit data shard my_data shards
  detkit data shard my_data shards --size-mb 512 --parts train val
  detkit train shards                            on this machine
  detkit train s3://bucket/shards                after 'aws s3 sync shards s3://bucket/shards'

A command that was interrupted continues when it is repeated. Needs: pip install 'detkit-vision[parquet]', and [storage] for addresses."""


@dataclass(frozen=True, kw_only=True)
class ShardOptions(SourceFlags):
    """Options of ``detkit data shard``.

    Attributes:
        output: The new folder.
        size_mb: Size of a shard in megabytes.
        copy_annotations: Whether to copy the COCO file of the data.
    """

    output: Path
    size_mb: int = 256
    copy_annotations: bool = True


def add(actions: Actions[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = actions.add_parser(
        "shard",
        help="pack images and labels into tar files, for object storage and many nodes",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_source_flags(parser)
    parser.add_argument("output", type=Path, metavar="OUTPUT", help="a new folder")
    parser.add_argument("--size-mb", type=positive, metavar="N", help="size of a shard in units of 10^6 bytes (default: %(default)s)")
    parser.add_argument(
        "--copy-annotations",
        action=argparse.BooleanOptionalAction,
        help="copy the COCO file of the data as well (default), so that COCO's metrics are computed on its unrounded numbers",
    )
    bind(parser, ShardOptions, _run)


def _run(options: ShardOptions) -> int:
    from detkit.curation.output import check_apart
    from detkit.curation.parts import read_splits
    from detkit.data import SourceConfig
    from detkit.data.shards.writer import write_shards

    check_apart(Path(options.data), options.output)
    parts = read_splits(SourceConfig(path=options.data, images=options.images), options.parts)
    for line in dict.fromkeys(line for data in parts.values() for line in data.report.summary()):
        print(line)
    with image_progress() as progress:
        written = write_shards(parts, options.output, options.size_mb, progress, annotations=options.copy_annotations)
    if written.resumed:
        print(f"{count(written.resumed, 'shard')} of an interrupted run kept")
    for name, split in written.manifest.splits.items():
        contents = f"{count(split.images, 'image')}, {count(split.boxes, 'box', 'boxes')} in {count(len(split.shards), 'shard')}"
        print(f"{name or 'images'}: {contents}, {sum(shard.bytes for shard in split.shards) / 1e6:,.1f} MB")
    print(f"{options.output}: ready; look at it with: detkit data check {options.output}")
    return 0
