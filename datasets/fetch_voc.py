"""Fetch Pascal VOC: python datasets/fetch_voc.py data/voc [--parts 2007 2007-test 2012] [--yes]."""

from __future__ import annotations

import sys

from _fetch import Archive, DataSet, parser, run

_HOST = "https://thor.robots.ox.ac.uk/pascal/VOC"
_RECORD = "torchvision 0.29.1; the publisher states none"


def _archive(path: str, size: int, md5: str, gives: str) -> Archive:
    return Archive(f"{_HOST}/{path}", size, f"md5:{md5}", _RECORD, strip="VOCdevkit/", gives=(gives,))


ARCHIVES = {
    "2007": _archive(
        "voc2007/VOCtrainval_06-Nov-2007.tar", 460_032_000, "c52e279531787c972589f7e41ab4ae64", "VOC2007/ImageSets/Main/trainval.txt"
    ),
    "2007-test": _archive(
        "voc2007/VOCtest_06-Nov-2007.tar", 451_020_800, "b6e924de25625d8de591ea690078ad9f", "VOC2007/ImageSets/Main/test.txt"
    ),
    "2012": _archive(
        "voc2012/VOCtrainval_11-May-2012.tar", 1_999_639_040, "6cd6e144f989b92b3379bac3b3de84fd", "VOC2012/ImageSets/Main/trainval.txt"
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status."""
    arguments = parser("Fetch Pascal VOC 2007 and 2012: about 27,000 photographs with 20 classes of boxes.")
    arguments.add_argument(
        "--parts", nargs="+", choices=sorted(ARCHIVES), default=list(ARCHIVES), help="which archives to fetch (default: all)"
    )
    options = arguments.parse_args(argv)
    archives = tuple(ARCHIVES[part] for part in options.parts)
    data = DataSet(
        "Pascal VOC",
        "The photographs are from Flickr, under Flickr's terms of use.",
        archives,
        sum(archive.size or 0 for archive in archives),
        "ready; train with data={folder} data.train.split=trainval data.val={folder} data.val.split=test",
    )
    return run(data, options.folder, yes=options.yes, keep=options.keep)


if __name__ == "__main__":
    sys.exit(main())
