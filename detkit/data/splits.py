"""The training and the validation images that a config asks for, with the same classes on both sides."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

from detkit.data.classes import ClassMapping, parse_renames
from detkit.data.readers import find_split
from detkit.data.records import DetectionData, ImageId
from detkit.data.sources import DataConfig, SourceConfig, read_source, splits_of, with_split
from detkit.registry import did_you_mean

_LOGGER = logging.getLogger(__name__)

DEFAULT_FRACTION = 0.1


def load_data(config: DataConfig) -> tuple[DetectionData, DetectionData]:
    """The data to train on and the data to validate on, with equal class names in equal order.

    What was left out, changed or noticed stands in their reports, and the classes' mapping in :func:`class_lines`.

    Raises:
        FileNotFoundError: a path is not there; the message ends with the command that gets the data, if one is known.
        ValueError: data is beyond use, or the classes of the two differ; the message names both lists.
    """
    train_source = with_split(config.train, "train")
    train = read_source(train_source)
    val = _validation(config, train_source)
    _check_renames(config, [train] if val is None else [train, val])
    train = _with_classes(train, config)
    if val is None:
        fraction = DEFAULT_FRACTION if config.val_fraction is None else config.val_fraction
        return split_by_image(train, fraction, config.seed)
    val = _with_classes(val, config, may_lack=True)
    if not config.classes:
        val = ClassMapping.strict(val.class_names, train.class_names).apply(val)
    _warn_of_shared_images(train, val)
    return train, val


def split_by_image(data: DetectionData, fraction: float, seed: int = 0) -> tuple[DetectionData, DetectionData]:
    """Split off about ``fraction`` of the images by a hash of their ids: the rest, and the part split off.

    A image's side depends on its id and the seed alone, so it stays where it is when images are added or removed.
    Both sides get at least one image.

    Raises:
        ValueError: there are fewer than two images.
    """
    if len(data) < 2:
        raise ValueError(f"{data.name}: {len(data)} image cannot be split into training and validation; expected two or more")
    places = [_place(image_id, seed) for image_id in data.records.image_ids]
    chosen = {index for index, place in enumerate(places) if place < fraction}
    order = sorted(range(len(places)), key=places.__getitem__)
    chosen = (chosen or {order[0]}) - ({order[-1]} if len(chosen) == len(places) else set())
    kept = [index for index in range(len(data)) if index not in chosen]
    percent = f"{100 * fraction:g} %"
    return data.take(kept, f"{data.name}, without the {percent} kept for validation"), data.take(sorted(chosen), f"{data.name}, {percent}")


def _place(image_id: ImageId, seed: int) -> float:
    """A number in [0, 1) that looks random and is the same on every machine."""
    digest = hashlib.sha256(f"{seed}:{image_id}".encode()).digest()
    return float(int.from_bytes(digest[:8], "big") / 2**64)


def _validation(config: DataConfig, train_source: SourceConfig) -> DetectionData | None:
    """The validation data that the config names or that lies beside the training data; None: split some off."""
    if config.val is not None:
        if config.val_fraction is not None:
            raise ValueError(
                "data.val and data.val_fraction are both given; expected one of them: add data.val=none to split the training images"
            )
        return read_source(with_split(config.val, "val", "test"))
    if config.val_fraction is not None:
        return None
    part = find_split("val", splits_of(train_source))
    if part is None or part == train_source.split:
        return None
    return read_source(train_source.replace(split=part))


def _check_renames(config: DataConfig, datasets: Sequence[DetectionData]) -> None:
    """A rename has to start from a class of the training or of the validation data."""
    known = tuple(dict.fromkeys(name for data in datasets for name in data.class_names))
    for source in parse_renames(config.rename):
        if source not in known:
            raise ValueError(f"data.rename: the data has no class {source!r}: {did_you_mean(source, known)}")


def _with_classes(data: DetectionData, config: DataConfig, may_lack: bool = False) -> DetectionData:
    """The data with its classes renamed, joined and chosen as the config says."""
    renames = {source: target for source, target in parse_renames(config.rename).items() if source in data.class_names}
    if not renames and not config.classes:
        return data
    renamed = tuple(dict.fromkeys(renames.get(name, name) for name in data.class_names))
    for name in config.classes:
        if name not in renamed and not may_lack:
            raise ValueError(f"data.classes: {data.name} has no class {name!r}: {did_you_mean(name, renamed)}")
    return ClassMapping.by_name(data.class_names, config.classes or renamed, renames).apply(data)


def class_lines(data: DetectionData) -> list[str]:
    """One line for each class: its number in the model, its name, its id in the data set and its boxes."""
    counts = [int((data.records.labels == label).sum()) for label in range(len(data.class_names))]
    width = max(map(len, data.class_names), default=0)
    rows = zip(data.class_names, data.category_ids, counts, strict=True)
    return [f"{label:>3} {name:<{width}}  id {number}  {count:,} boxes" for label, (name, number, count) in enumerate(rows)]


def _warn_of_shared_images(train: DetectionData, val: DetectionData) -> None:
    shared = set(train.records.paths) & set(val.records.paths)
    if shared:
        example = min(shared)
        _LOGGER.warning(
            "%d of %d validation images are training images too, such as %s; the validation numbers will be too good",
            len(shared),
            len(val),
            example,
        )


def joined_report(datasets: Sequence[DetectionData]) -> list[str]:
    """What all readers had to say, line by line, each line once."""
    return list(dict.fromkeys(line for data in datasets for line in data.report.summary()))
