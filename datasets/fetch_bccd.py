"""Fetch BCCD, 364 micrographs of blood cells: python datasets/fetch_bccd.py data/bccd [--yes]."""

from __future__ import annotations

import sys
from pathlib import Path

from _fetch import Archive, DataSet, parser, run

ARCHIVE = Archive(
    "https://github.com/Shenggan/BCCD_Dataset/archive/refs/heads/master.zip",
    None,  # GitHub packs it anew when it is asked for, and states neither size nor checksum: the files are counted instead
    strip="BCCD_Dataset-master/BCCD/",
    keep=("Annotations/", "ImageSets/", "JPEGImages/"),
    gives=("Annotations", "ImageSets/Main", "JPEGImages"),
)
IMAGES = 364


def check(folder: Path) -> None:
    """Count what came.

    Raises:
        ValueError: images or labels are missing.
    """
    found = {name: len(list((folder / name).glob(ending))) for name, ending in (("Annotations", "*.xml"), ("JPEGImages", "*.jpg"))}
    for name, count in found.items():
        if count != IMAGES:
            raise ValueError(f"{folder / name}: expected {IMAGES} files, got {count}; delete {folder} and start again")


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status."""
    options = parser("Fetch BCCD: 364 micrographs of blood cells, 640 x 480, with 4,888 boxes of 3 classes.").parse_args(argv)
    data = DataSet("BCCD", "MIT license.", (ARCHIVE,), 10_000_000, "ready; train with data={folder}")
    return run(data, options.folder, yes=options.yes, keep=options.keep, check=check)


if __name__ == "__main__":
    sys.exit(main())
