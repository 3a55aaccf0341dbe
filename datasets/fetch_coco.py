"""Fetch COCO 2017: python datasets/fetch_coco.py data/coco [--parts train val] [--yes]."""

from __future__ import annotations

import sys

from _fetch import Archive, DataSet, parser, run

_HOST = "http://images.cocodataset.org"
_RECORD = "ParlAI's record; COCO itself states none"
ANNOTATIONS = Archive(
    f"{_HOST}/annotations/annotations_trainval2017.zip",
    252_907_541,
    "sha256:113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
    _RECORD,
    keep=("annotations/instances_",),
    gives=("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
)
IMAGES = {
    "train": Archive(
        f"{_HOST}/zips/train2017.zip",
        19_336_861_798,
        "sha256:69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
        _RECORD,
        gives=("train2017",),
    ),
    "val": Archive(
        f"{_HOST}/zips/val2017.zip",
        815_585_330,
        "sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
        _RECORD,
        gives=("val2017",),
    ),
}
_UNPACKED = {"train": 19_500_000_000, "val": 820_000_000}


def main(argv: list[str] | None = None) -> int:
    """Run the script; give its exit status."""
    arguments = parser("Fetch COCO 2017: 118,287 training and 5,000 validation photographs with 80 classes of boxes.")
    arguments.add_argument("--parts", nargs="+", choices=sorted(IMAGES), default=["train", "val"], help="which photographs to fetch")
    options = arguments.parse_args(argv)
    data = DataSet(
        "COCO 2017",
        "The annotations are under CC BY 4.0; each photograph has its own Flickr license.",
        (ANNOTATIONS, *(IMAGES[part] for part in options.parts)),
        490_000_000 + sum(_UNPACKED[part] for part in options.parts),
        "ready; train with data={folder}",
    )
    return run(data, options.folder, yes=options.yes, keep=options.keep)


if __name__ == "__main__":
    sys.exit(main())
