"""Check, convert and change labeled data sets; make an example, or download a public one.

detkit data check my_folder                       find what is wrong with images and labels before it costs a training
detkit data convert my_folder new --format yolo   write the labels in another format
detkit data split my_folder new --val 0.15        divide the images; near duplicates stay together
detkit data shard my_folder shards                pack images and labels into tar files, for object storage and many nodes
detkit data example data/sample                   make a small labeled data set, offline, from the photographs of scikit-image
detkit data fetch coco                            download COCO 2017; 'detkit data fetch --help' lists the other data sets

Commands that write take a new folder: nothing is overwritten, and the source stays as it is.
"""

from __future__ import annotations

import argparse

from detkit.cli.data import (
    check,
    convert,
    example,
    fetch,
    filter,
    label_errors,
    merge,
    merge_results,
    rename,
    shard,
    split,
    subset,
    tile,
)

SUBCOMMANDS = (check, convert, split, merge, merge_results, filter, rename, subset, tile, shard, label_errors, example, fetch)
"""Every subcommand, in the order of the help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of ``detkit data``."""
    actions = parser.add_subparsers(required=True, metavar="COMMAND")
    for subcommand in SUBCOMMANDS:
        subcommand.add(actions)
