"""Loading of training and validation data with the same classes."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

from detkit.data.classes import ClassMapping, parse_renames
from detkit.data.readers import find_split
from detkit.data.records import DetectionData, ImageId
from detkit.data.sources import DataConfig, SourceConfig, read_source, splits_of, with_split
from detkit.registry import did_you_mean

_log = logging.getLogger(__name__)

DEFAULT_FRACTION = 0.1


def load_data(config: DataConfig) -> tuple[DetectionData, DetectionData]:
    """Load the training and the validation data, with the same class names in the same order.

    Skipped or altered labels are in their reports; :func:`class_lines` shows the classes.

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
        val = ClassMapping.strict(val.class_names, train.class_names).apply(val)
    _warn_of_shared_images(train, val)
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
    split = find_split("val", splits_of(train_source))
    if split is None or split == train_source.split:
        return None
    return read_source(train_source.replace(split=split))


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


def class_lines(data: DetectionData) -> list[str]:
    """Return one line per class: its number in the model, its name, its id in the data set and its number of boxes."""
    counts = [int((data.records.labels == label).sum()) for label in range(len(data.class_names))]
    width = max(map(len, data.class_names), default=0)
    rows = zip(data.class_names, data.category_ids, counts, strict=True)
    return [f"{label:>3} {name:<{width}}  id {number}  {count:,} boxes" for label, (name, number, count) in enumerate(rows)]


def _warn_of_shared_images(train: DetectionData, val: DetectionData) -> None:
    shared = set(train.records.paths) & set(val.records.paths)
    if shared:
        example = min(shared)
        _log.warning(
            "%d of %d validation images are also training images, such as %s; the validation results will be too high",
            len(shared),
            len(val),
            example,
        )


def report_lines(datasets: Sequence[DetectionData]) -> list[str]:
    """Return the lines of the readers' reports, each line once."""
    return list(dict.fromkeys(line for data in datasets for line in data.report.summary()))
