"""Config of labeled images, and reading them into a :class:`DetectionData`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from detkit.config import Config
from detkit.data.classes import parse_renames
from detkit.data.crops import CropConfig
from detkit.data.ignore import ignore_class, ignore_difficult
from detkit.data.readers import ReadOptions, find_split, recognize
from detkit.data.records import DetectionData
from detkit.data.storage.addresses import checked_address, is_address
from detkit.data.tiles import Tiles

Difficult = Literal["ignore", "object"]


class SourceConfig(Config):
    """One labeled set of images; the format is detected from the path."""

    shorthand: ClassVar[str | None] = "path"

    path: str = ""
    """A label file or a folder with labels (COCO, VOC, YOLO, labelme, CVAT, CreateML, Label Studio, CSV), a folder for each class, or
    shards: a folder, or an address such as ``s3://bucket/shards``."""
    images: str | None = None
    """The folder of the images, or the beginning of their addresses, such as ``s3://bucket/images``; None: the usual folder of the format,
    relative to the labels."""
    split: str | None = None
    """Split to read, such as ``train``, ``val`` or ``test``; None: the file itself, or all of a folder."""
    max_checked_images: int = Field(20_000, ge=0)
    """Largest number of image headers that are compared with the sizes in the labels; of more images, evenly spaced ones are checked."""
    outside: bool = False
    """Allow labels and image lists to name images outside of the data folder, by absolute paths, by paths that climb out of it, or by
    addresses in object storage."""
    difficult: Difficult = "ignore"
    """Whether objects marked difficult, as in Pascal VOC, are ignored as COCO's crowds are: nothing is learned from them, and in COCO's
    metrics they don't count; or are ordinary objects. VOC's AP ignores them either way."""
    ignore_classes: tuple[str, ...] = ("ignore", "ignored regions")
    """Names of classes, in any case, whose boxes are regions to ignore: nothing is learned there, and detections mostly inside count
    neither as correct nor as wrong, whatever their class. They are no classes of the data."""
    fetch_command: str = ""
    """Command that downloads this data, shown when the data is missing."""


def _source(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(names := value.get("ignore_classes"), list):
        return {**value, "ignore_classes": tuple(names)}  # in a validator of this mode pydantic no longer knows that the input was JSON
    return SourceConfig(path=value) if isinstance(value, str) else value


Source = Annotated[SourceConfig, BeforeValidator(_source)]
"""A field for a :class:`SourceConfig` that also accepts a bare path."""


class DataConfig(Config):
    """The images to train and validate on, and the classes to detect."""

    shorthand: ClassVar[str | None] = "train"

    train: Source = SourceConfig()
    """Training data. If a folder has a split called ``train``, that split is used."""
    val: Source | None = None
    """Validation data; None: the split ``val`` of the training data if it has one, else a fraction of its images."""
    val_fraction: float | None = Field(None, gt=0, lt=1)
    """Fraction of the training images, selected by a hash of their ids, to hold out for validation; None: 0.1 if there is no other."""
    seed: int = 0
    """Seed for the images that ``val_fraction`` selects."""
    unlabeled: tuple[Source, ...] = ()
    """Unlabeled images for a teacher (see ``distillation``): folders of images, or labeled data whose labels are ignored."""
    labeled_repeats: float = Field(1.0, ge=1)
    """How many times a labeled image occurs for each occurrence of an unlabeled one."""
    tiles: Tiles | None = None
    """Train on tiles of this size, drawn from the whole images, and validate and detect on such tiles: ``data.tiles=640``; none: on whole
    images."""
    crops: CropConfig = CropConfig()
    """How objects are cropped when a classifier is trained on data with boxes."""
    classes: tuple[str, ...] = ()
    """Use only these classes, in this order; empty: all classes of the data, in its order."""
    rename: tuple[str, ...] = ()
    """Classes to rename or merge before anything else, as ``("tvmonitor=tv",)``."""
    check: Literal["stop", "warn", "off"] = "stop"
    """Check of labels and image headers before the first step: ``stop`` at errors, ``warn`` of them and train anyway, or ``off``."""

    @field_validator("rename")
    @classmethod
    def _check_renames(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_renames(value)
        return value


def splits_of(config: SourceConfig) -> tuple[str, ...]:
    """Return the names of a source's splits; empty if it is not divided.

    Raises:
        FileNotFoundError: If the path does not exist.
        ValueError: If the format is not recognized.
    """
    path = existing_path(config)
    return recognize(path).splits(path)


def with_split(config: SourceConfig, *preferred: str) -> SourceConfig:
    """Return the source with the first of the ``preferred`` splits that it has; unchanged if a split is set or there is none.

    Evaluation calls ``with_split(config, "val", "test")``, training ``with_split(config, "train")``.
    """
    if config.split is not None:
        return config
    available = splits_of(config)
    split = next((match for name in preferred if (match := find_split(name, available)) is not None), None)
    return config if split is None else config.replace(split=split)


def read_source(config: SourceConfig) -> DetectionData:
    """Read one labeled set of images.

    Raises:
        FileNotFoundError: If the path does not exist; the message ends with the command that downloads the data, if known.
        ValueError: If the format is not recognized or the data cannot be used; the message names the file.
    """
    path = existing_path(config)
    images = _image_folder(config.images)
    if images is not None and not is_address(images) and not images.is_dir():
        raise FileNotFoundError(f"images {config.images}: no such folder, for the images of {config.path}; check the path")
    options = ReadOptions(images, config.split, config.max_checked_images, config.outside)
    data = ignore_class(recognize(path).read(path, options), config.ignore_classes)
    return ignore_difficult(data) if config.difficult == "ignore" else data


def _image_folder(images: str | None) -> Path | None:
    if not images:
        return None
    return Path(checked_address(images)) if is_address(images) else Path(images).expanduser()


def existing_path(config: SourceConfig) -> Path:
    """Return the path of a source after checking that it exists; an address is checked when it is read.

    Raises:
        FileNotFoundError: If it does not exist; the message ends with the command that downloads the data, if known.
        ValueError: If no path is set.
    """
    if not config.path:
        raise ValueError("no data is set; give a COCO JSON file, a YOLO data.yaml or a folder: data=FOLDER")
    if is_address(config.path):
        return Path(checked_address(config.path))
    path = Path(config.path).expanduser()
    if not path.exists():
        advice = f"get it with: {config.fetch_command}" if config.fetch_command else "check the path"
        raise FileNotFoundError(f"data {config.path}: no such file or folder; {advice}")
    return path
