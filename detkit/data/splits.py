"""Loading of training and validation data with the same classes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detkit.data.classes import ClassMapping, parse_renames
from detkit.data.readers import find_split
from detkit.data.records import DetectionData, ImageId
from detkit.data.sources import DataConfig, SourceConfig, read_source, splits_of, with_split
from detkit.registry import did_you_mean

_log = logging.getLogger(__name__)

DEFAULT_FRACTION = 0.1


def load_data(config: DataConfig) -> tuple[DetectionData, DetectionData]:
    """Load the training and the validation data, with the same class names in the same order.

    Skipped or altered labels are in their reports; :func:`class_lines` shows the classes, and
    :func:`detkit.data.checks.labels.check_labels` finds problems, such as images that are in both.

    Raises:
        FileNotFoundError: If a path does not exist; the message ends with the command that downloads the data, if known.
        ValueError: If data cannot be used, or if the classes of the two differ; the message lists both.
    """
    train_source = with_split(config.train, "train")
    train = read_source(train_source)
    val = _validation(config, train_source)
    _check_renames(config, [train] if val is None else [train, val])
    train = _with_classes(train, config)
    if val is None:
        fraction = DEFAULT_FRACTION if config.val_fraction is None else config.val_fraction
        return split_by_image(train, fraction, config.seed)
    val = _with_classes(val, config, allow_missing=True)
    if not config.classes:
        val = _mapped(val, train.class_names)
    return train, val


def split_by_image(data: DetectionData, fraction: float, seed: int = 0) -> tuple[DetectionData, DetectionData]:
    """Split off about ``fraction`` of the images by a hash of their ids; return the rest and the held-out images.

    An image's side depends only on its id and the seed, so it does not change when other images are added or removed.
    Both sides get at least one image.

    Raises:
        ValueError: If there are fewer than two images.
    """
    if len(data) < 2:
        raise ValueError(f"{data.name}: {len(data)} image cannot be split into training and validation; expected two or more")
    hashes = [_unit_hash(image_id, seed) for image_id in data.records.image_ids]
    held_out = {index for index, value in enumerate(hashes) if value < fraction}
    order = sorted(range(len(hashes)), key=hashes.__getitem__)
    held_out = (held_out or {order[0]}) - ({order[-1]} if len(held_out) == len(hashes) else set())
    kept = [index for index in range(len(data)) if index not in held_out]
    percent = f"{100 * fraction:g} %"
    return data.take(kept, f"{data.name}, without the {percent} kept for validation"), data.take(
        sorted(held_out), f"{data.name}, {percent}"
    )


def hash_order(image_ids: Sequence[ImageId], seed: int = 0) -> list[int]:
    """Return the indices of the images in the order of a hash of their ids, in which any first part is a random sample."""
    return sorted(range(len(image_ids)), key=lambda index: _unit_hash(image_ids[index], seed))


def _unit_hash(image_id: ImageId, seed: int) -> float:
    """Hash an id to a number in [0, 1) that looks random and is the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{image_id}".encode()).digest()
    return float(int.from_bytes(digest[:8], "big") / 2**64)


def _validation(config: DataConfig, train_source: SourceConfig) -> DetectionData | None:
    """Read the validation data of the config, or of the training data's own split; None if a fraction is to be split off."""
    if config.val is not None:
        if config.val_fraction is not None:
            raise ValueError(
                "data.val and data.val_fraction are both given; expected one of them: add data.val=none to split the training images"
            )
        return read_source(with_split(config.val, "val", "test"))
    if config.val_fraction is not None:
        return None
    splits = splits_of(train_source)
    split = find_split("val", splits)
    if split is None or split == train_source.split:
        others = [name for name in splits if name != train_source.split and find_split("test", (name,)) is None]
        if others:
            _log.warning(
                "%s: validation uses %g %% of the images of the split %s; the other splits (%s) are not used: to use one, set data.val=%s "
                "data.val.split=NAME",
                train_source.path,
                100 * DEFAULT_FRACTION,
                train_source.split,
                ", ".join(others[:10]),
                train_source.path,
            )
        return None
    return read_source(train_source.replace(split=split))


def _mapped(val: DetectionData, names: Sequence[str]) -> DetectionData:
    """Map the classes of the validation data to those of the training data by name; it may lack some of them.

    Raises:
        ValueError: If it has others, or none of them.
    """
    mapping = ClassMapping.by_name(val.class_names, names)
    if mapping.dropped or len(mapping.missing) == len(names):
        mapping = ClassMapping.strict(val.class_names, names)
    return mapping.apply(val)


def _check_renames(config: DataConfig, datasets: Sequence[DetectionData]) -> None:
    """Check that every rename starts from a class of the training or of the validation data."""
    known = tuple(dict.fromkeys(name for data in datasets for name in data.class_names))
    for source in parse_renames(config.rename):
        if source not in known:
            raise ValueError(f"data.rename: the data has no class {source!r}: {did_you_mean(source, known)}")


def _with_classes(data: DetectionData, config: DataConfig, allow_missing: bool = False) -> DetectionData:
    """Return the data with its classes renamed, merged and selected as in the config."""
    renames = {source: target for source, target in parse_renames(config.rename).items() if source in data.class_names}
    if not renames and not config.classes:
        return data
    renamed = tuple(dict.fromkeys(renames.get(name, name) for name in data.class_names))
    for name in config.classes:
        if name not in renamed and not allow_missing:
            raise ValueError(f"data.classes: {data.name} has no class {name!r}: {did_you_mean(name, renamed)}")
    return ClassMapping.by_name(data.class_names, config.classes or renamed, renames).apply(data)


MOST_LINES = 40
"""Lines in which classes are listed; of more classes the most frequent ones are shown."""


def most_frequent(counts: NDArray[np.int64], lines: int) -> list[int]:
    """Return the labels of all classes, or if there are more than ``lines``, of those with the most boxes, with a line left."""
    if len(counts) <= lines:
        return list(range(len(counts)))
    labels: list[int] = np.sort(np.argsort(-counts, kind="stable")[: lines - 1]).tolist()
    return labels


def class_lines(data: DetectionData) -> list[str]:
    """Return one line per class: its number in the model, its name, its id in the data set and its number of boxes.

    Of more than :data:`MOST_LINES` classes, those with the most boxes are listed, and a last line counts the others.
    """
    counts = data.records.class_counts(len(data.class_names))
    labels = most_frequent(counts, MOST_LINES)
    width = max((len(data.class_names[label]) for label in labels), default=0)
    lines = [f"{n:>3} {data.class_names[n]:<{width}}  id {data.category_ids[n]}  {counts[n]:,} boxes" for n in labels]
    if len(lines) < len(counts):
        rest = len(counts) - len(lines)
        boxes, unused = int(counts.sum() - counts[labels].sum()), int((counts == 0).sum())
        lines.append(f"    and {rest:,} more classes with {boxes:,} boxes; {unused:,} of all {len(counts):,} classes have none")
    return lines


def crowded_line(data: DetectionData, max_detections: int | None, advice: str = "raise max_detections") -> str | None:
    """Return a line about images with more objects than a detector reports; None if there are none. Ignore regions are no objects.

    Args:
        data: The images.
        max_detections: Maximum number of detections per image; None: no limit.
        advice: What to do, such as the key or flag to raise.
    """
    if max_detections is None:
        return None
    lengths = np.bincount(data.records.image_index[~data.records.is_crowd], minlength=len(data))
    crowded = int((lengths > max_detections).sum())
    if not crowded:
        return None
    lost, total = int((lengths - max_detections).clip(min=0).sum()), int(lengths.sum())
    return (
        f"{data.name}: {crowded:,} of {len(data):,} images have more than {max_detections} objects (at most {int(lengths.max()):,}), "
        f"and no more than {max_detections} are detected in an image: {lost:,} of {total:,} objects cannot be found; {advice}"
    )
