"""Public data sets that can be downloaded: archives, sizes, licenses and usual folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from detkit.curation.archives import Archive
from detkit.registry import did_you_mean

_COCO = "http://images.cocodataset.org"
_COCO_CHECKSUMS = "ParlAI's record; COCO itself states none"
_VOC = "https://thor.robots.ox.ac.uk/pascal/VOC"
_VOC_CHECKSUMS = "torchvision 0.29.1; the publisher states none"


@dataclass(frozen=True)
class DataSet:
    """A published data set.

    Attributes:
        name: Its full name.
        description: Its content, in one sentence.
        license: Its license or terms of use, in one sentence.
        destination: The folder in which the configs of ``detkit.zoo`` expect it.
        archives: Archives that are always downloaded.
        parts: Archives that can be chosen, by name.
        file_counts: Number of files expected afterwards for each ``(folder, pattern)``: a check if the publisher states no checksum.
        train_with: Words for ``detkit train`` to train on it; ``{folder}`` is its folder.
    """

    name: str
    description: str
    license: str
    destination: str
    archives: tuple[Archive, ...] = ()
    parts: Mapping[str, Archive] = field(default_factory=dict)
    file_counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    train_with: str = "data={folder}"

    def select(self, parts: Sequence[str] | None = None) -> tuple[Archive, ...]:
        """Return the archives of the given parts; None: all parts.

        Raises:
            ValueError: If there is no such part.
        """
        for part in parts or ():
            if part not in self.parts:
                raise ValueError(f"{self.name}: unknown part {part!r}: {did_you_mean(part, list(self.parts)) or 'it has no parts'}")
        return (*self.archives, *(self.parts[part] for part in (self.parts if parts is None else parts)))

    def check_files(self, folder: Path) -> None:
        """Count the unpacked files.

        Raises:
            ValueError: If images or labels are missing.
        """
        for (name, pattern), expected in self.file_counts.items():
            count = len(list((folder / name).glob(pattern)))
            if count != expected:
                raise ValueError(f"{folder / name}: expected {expected} files, got {count}; delete {folder} and start again")


def _voc_archive(path: str, size: int, md5: str, gives: str) -> Archive:
    return Archive(f"{_VOC}/{path}", size, size, f"md5:{md5}", _VOC_CHECKSUMS, strip="VOCdevkit/", gives=(gives,))


DATA_SETS = {
    "coco": DataSet(
        "COCO 2017",
        "118,287 training and 5,000 validation photographs with boxes of 80 classes.",
        "The annotations are under CC BY 4.0; each photograph has its own Flickr license.",
        "data/coco",
        archives=(
            Archive(
                f"{_COCO}/annotations/annotations_trainval2017.zip",
                252_907_541,
                490_000_000,
                "sha256:113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
                _COCO_CHECKSUMS,
                keep=("annotations/instances_",),
                gives=("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
            ),
        ),
        parts={
            "train": Archive(
                f"{_COCO}/zips/train2017.zip",
                19_336_861_798,
                19_500_000_000,
                "sha256:69a8bb58ea5f8f99d24875f21416de2e9ded3178e903f1f7603e283b9e06d929",
                _COCO_CHECKSUMS,
                gives=("train2017",),
            ),
            "val": Archive(
                f"{_COCO}/zips/val2017.zip",
                815_585_330,
                820_000_000,
                "sha256:4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
                _COCO_CHECKSUMS,
                gives=("val2017",),
            ),
        },
    ),
    "voc": DataSet(
        "Pascal VOC 2007 and 2012",
        "About 27,000 photographs with boxes of 20 classes.",
        "The photographs are from Flickr, under Flickr's terms of use.",
        "data/voc",
        parts={
            "2007": _voc_archive(
                "voc2007/VOCtrainval_06-Nov-2007.tar",
                460_032_000,
                "c52e279531787c972589f7e41ab4ae64",
                "VOC2007/ImageSets/Main/trainval.txt",
            ),
            "2007-test": _voc_archive(
                "voc2007/VOCtest_06-Nov-2007.tar", 451_020_800, "b6e924de25625d8de591ea690078ad9f", "VOC2007/ImageSets/Main/test.txt"
            ),
            "2012": _voc_archive(
                "voc2012/VOCtrainval_11-May-2012.tar",
                1_999_639_040,
                "6cd6e144f989b92b3379bac3b3de84fd",
                "VOC2012/ImageSets/Main/trainval.txt",
            ),
        },
        train_with="data={folder} data.train.split=trainval data.val={folder} data.val.split=test",
    ),
    "bccd": DataSet(
        "BCCD",
        "364 micrographs of blood cells, 640 x 480 pixels, with 4,888 boxes of 3 classes.",
        "MIT license.",
        "data/bccd",
        archives=(
            Archive(
                "https://github.com/Shenggan/BCCD_Dataset/archive/refs/heads/master.zip",
                None,  # GitHub packs it on request and states neither size nor checksum, so the files are counted instead
                10_000_000,
                strip="BCCD_Dataset-master/BCCD/",
                keep=("Annotations/", "ImageSets/", "JPEGImages/"),
                gives=("Annotations", "ImageSets/Main", "JPEGImages"),
            ),
        ),
        file_counts={("Annotations", "*.xml"): 364, ("JPEGImages", "*.jpg"): 364},
    ),
}
"""The data sets, by the name that ``detkit data fetch`` uses."""
