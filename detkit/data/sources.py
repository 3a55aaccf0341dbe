"""Where labeled images are, as a config names it, and the way from there to a :class:`DetectionData`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, field_validator

from detkit.config import Config
from detkit.data.classes import parse_renames
from detkit.data.crops import CropConfig
from detkit.data.readers import find_split, recognize
from detkit.data.records import DetectionData


class SourceConfig(Config):
    """One labeled set of images; its format is recognized from the path."""

    shorthand: ClassVar[str | None] = "path"

    path: str = ""
    """A COCO JSON file, a YOLO ``data.yaml``, or a folder that holds labels in one of the three formats."""
    images: str | None = None
    """The folder of the images; None: where the format keeps them, seen from the labels."""
    split: str | None = None
    """Which part of the data: ``train``, ``val``, ``test`` or another that it has; None: the file itself, or all of a folder."""
    max_checked_images: int = Field(20_000, ge=0)
    """At most so many image headers are compared with the sizes that the labels state; of more, an even choice."""
    fetch_command: str = ""
    """The command that gets this data, told when it is not there."""


def _source(value: Any) -> Any:
    return SourceConfig(path=value) if isinstance(value, str) else value


Source = Annotated[SourceConfig, BeforeValidator(_source)]
"""A field for a :class:`SourceConfig` that also takes its path alone."""


class DataConfig(Config):
    """The images to train and to validate on, and the classes to look for."""

    shorthand: ClassVar[str | None] = "train"

    train: Source = SourceConfig()
    """What is learned from. A folder with a part called ``train`` gives that part."""
    val: Source | None = None
    """What is validated on; None: the part ``val`` of the training data if it has one, else a fraction of its images."""
    val_fraction: float | None = Field(None, gt=0, lt=1)
    """This part of the training images, chosen by a hash of their ids, is kept for validation; None: 0.1 where there are no others."""
    seed: int = 0
    """Changes which images the fraction takes."""
    unlabeled: tuple[Source, ...] = ()
    """Images for a teacher to tell about (see ``distillation``): folders of images, or labeled data whose labels are not used."""
    labeled_repeats: float = Field(1.0, ge=1)
    """How often a labeled image comes in the time in which an unlabeled one comes once."""
    crops: CropConfig = CropConfig()
    """How objects become images, where a classifier learns from data that has boxes."""
    classes: tuple[str, ...] = ()
    """Only these classes, in this order; empty: all that the data has, in its own order."""
    rename: tuple[str, ...] = ()
    """Classes to rename, or to join, before anything else: ``("tvmonitor=tv",)``."""

    @field_validator("rename")
    @classmethod
    def _renames(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parse_renames(value)
        return value


def splits_of(config: SourceConfig) -> tuple[str, ...]:
    """The parts that a source has and that ``split`` can name; empty if it is one whole.

    Raises:
        FileNotFoundError: there is nothing at the path.
        ValueError: the format is not recognized.
    """
    path = existing(config)
    return recognize(path).splits(path)


def with_split(config: SourceConfig, *wanted: str) -> SourceConfig:
    """The source with the first of the ``wanted`` parts that it has; as it is if a part is named or it is one whole.

    Evaluation asks for ``with_split(config, "val", "test")``, training for ``with_split(config, "train")``.
    """
    if config.split is not None:
        return config
    available = splits_of(config)
    found = next((part for name in wanted if (part := find_split(name, available)) is not None), None)
    return config if found is None else config.replace(split=found)


def read_source(config: SourceConfig) -> DetectionData:
    """Read one labeled set of images.

    Raises:
        FileNotFoundError: there is nothing at the path; the line ends with the command that gets it, if one is known.
        ValueError: the format is not recognized, or the data is beyond use; the message names the file.
    """
    path = existing(config)
    images = Path(config.images).expanduser() if config.images else None
    if images is not None and not images.is_dir():
        raise FileNotFoundError(f"images {config.images}: no such folder, for the images of {config.path}; check the path")
    return recognize(path).read(path, images, config.split, config.max_checked_images)


def existing(config: SourceConfig) -> Path:
    """The path of a source.

    Raises:
        FileNotFoundError: there is nothing; the line ends with the command that gets it, if one is known.
        ValueError: no path is given.
    """
    if not config.path:
        raise ValueError("no data is named; give a COCO JSON file, a YOLO data.yaml or a folder: data=FOLDER")
    path = Path(config.path).expanduser()
    if not path.exists():
        how = f"get it with: {config.fetch_command}" if config.fetch_command else "check the path"
        raise FileNotFoundError(f"data {config.path}: no such file or folder; {how}")
    return path
