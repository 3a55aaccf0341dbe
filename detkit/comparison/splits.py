"""Training, validation and test images of a comparison: the splits of the data, or a division by a hash of the image ids."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from detkit.checkpoint import write_text
from detkit.comparison.plan import Protocol
from detkit.data import DetectionData, SourceConfig, read_source, split_by_image
from detkit.data.readers import find_split
from detkit.data.sources import splits_of
from detkit.data.splits import hash_order
from detkit.data.writers.coco import coco_dict
from detkit.training.fingerprint import DataFingerprint

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, eq=False)
class Parts:
    """The data of a comparison.

    Attributes:
        sources: Where each of ``train``, ``val`` and ``test`` is read.
        data: The images of each.
        description: How they were divided, in one sentence.
        folder: Folder of the label files that were written for the division, and for fractions of the training images.
    """

    sources: dict[str, SourceConfig]
    data: dict[str, DetectionData]
    description: str
    folder: Path

    def fingerprint(self) -> dict[str, dict[str, object]]:
        """Return the number of images and boxes of each part, and hashes of its ids and labels."""
        rows = {name: DataFingerprint.of(part) for name, part in self.data.items()}
        return {name: {"images": row.images, "boxes": row.boxes, "ids": row.ids, "labels": row.labels} for name, row in rows.items()}

    def images_in(self, fraction: float) -> int:
        """Return the number of training images in a fraction of them."""
        return max(1, round(fraction * len(self.data["train"])))

    def fraction_of_training(self, fraction: float, seed: int = 0) -> SourceConfig:
        """Return a fraction of the training images; a smaller fraction is a subset of a larger one."""
        if fraction == 1:
            return self.sources["train"]
        train = self.data["train"]
        order = hash_order(train.records.image_ids, seed + 2)
        kept = sorted(order[: self.images_in(fraction)])
        return _written(train.take(kept), self.folder / f"train-{fraction:.4g}.json")


def prepare(protocol: Protocol, folder: Path) -> Parts:
    """Read the data, and divide it if it has no splits of its own.

    Args:
        protocol: The protocol.
        folder: Where label files of a division are written; they hold the same labels on every machine.

    Raises:
        FileNotFoundError: If the data does not exist.
        ValueError: If it cannot be read or divided, or has no boxes.
    """
    source = SourceConfig(path=protocol.data, images=protocol.images)
    available = splits_of(source)
    own = {name: split for name in SPLITS if (split := find_split(name, available)) is not None}
    if "train" not in own and available:
        raise ValueError(f"{protocol.data}: it has the splits {', '.join(available)}, expected one called train; rename one of them")
    parts = {name: source.replace(split=split) for name, split in own.items()}
    data = {name: read_source(part) for name, part in parts.items()}
    missing = [name for name in ("test", "val") if name not in own]
    rest = data["train"] if "train" in own else read_source(source)
    _check_boxes(protocol.data, [rest, *data.values()])
    fractions = {"test": protocol.test_fraction, "val": protocol.val_fraction}
    left = 1.0
    for number, name in enumerate(missing):
        rest, data[name] = split_by_image(rest, fractions[name] / left, protocol.split_seed + number)
        left -= fractions[name]
    if missing:
        data["train"] = rest
        parts |= {name: _written(data[name], folder / f"{name}.json") for name in ("train", *missing)}
        data |= {name: read_source(parts[name]) for name in ("train", *missing)}
    ordered = {name: parts[name] for name in SPLITS}
    return Parts(ordered, {name: data[name] for name in SPLITS}, _description(own, missing, fractions), folder)


def _description(own: dict[str, str], missing: Sequence[str], fractions: dict[str, float]) -> str:
    if not missing:
        return f"the data's own splits {', '.join(own.values())}"
    taken = " and ".join(f"{100 * fractions[name]:g} % for {name}" for name in missing)
    kept = f"the data's own splits {', '.join(own.values())}; " if own else ""
    return f"{kept}{taken}{' of the training images' if own else ''}, by a hash of the image ids"


def _check_boxes(name: str, datasets: Sequence[DetectionData]) -> None:
    if any(data.is_classification for data in datasets):
        raise ValueError(f"{name}: expected labels with boxes, got a folder for each class; compare compares detectors")


def _written(data: DetectionData, path: Path) -> SourceConfig:
    """Write labels as a COCO file unless the same are there, and return where to read them."""
    root = Path(os.path.commonpath([str(Path(image).parent) for image in data.records.paths]))
    text = json.dumps(coco_dict(data, root), ensure_ascii=False)
    if not path.is_file() or path.read_text("utf-8") != text:
        write_text(path, text)
    return SourceConfig(path=str(path), images=str(root))
