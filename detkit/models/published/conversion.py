"""Parts of the conversion of a publisher's file: its publication, renamed tensors, and the classes of COCO."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from detkit.models.detector import DetectorConfig

Renaming = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern for a complete name, and its replacement as in ``re.sub``."""

_COCO_ROWS = """
person bicycle car motorcycle airplane bus train truck boat traffic_light
fire_hydrant - stop_sign parking_meter bench bird cat dog horse sheep
cow elephant bear zebra giraffe - backpack umbrella - -
handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove
skateboard surfboard tennis_racket bottle - wine_glass cup fork knife spoon
bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut
cake chair couch potted_plant bed - dining_table - - toilet
- tv laptop mouse remote keyboard cell_phone microwave oven toaster
sink refrigerator - book clock vase scissors teddy_bear hair_drier toothbrush
"""

COCO_SLOTS: tuple[str | None, ...] = tuple(None if name == "-" else name.replace("_", " ") for name in _COCO_ROWS.split())
"""90 names, indexed by category id - 1, with None for the ten ids that were never used. Source: COCO's instances_train2017.json."""

COCO_CLASSES: tuple[str, ...] = tuple(name for name in COCO_SLOTS if name is not None)
"""The 80 names in the order of their ids."""


@dataclass(frozen=True)
class Publication:
    """How published weights become a detector of this package.

    Attributes:
        config: Config of the model.
        class_names: One per class, in the order of the converted weights; None for a slot that the publisher never used.
        convert: Renames the publisher's tensors and reorders their classes.
        weights: Name of the weights if they were published for something else, such as a classifier.
        for_classes: For a detector of arbitrary classes: returns the publication for given classes, and prompt templates if not its own.
            ``class_names`` is empty then.
    """

    config: DetectorConfig
    class_names: tuple[str | None, ...]
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]
    weights: str | None = None
    for_classes: Callable[[Sequence[str], Sequence[str] | None], Publication] | None = None


def rename_tensors(tensors: Mapping[str, Tensor], renamings: Iterable[Renaming]) -> dict[str, Tensor]:
    """Rename tensors by the first pattern that matches; a name that matches none is unchanged."""
    rules = [(re.compile(pattern), replacement) for pattern, replacement in renamings]
    return {_rename(name, rules): tensor for name, tensor in tensors.items()}


def _rename(name: str, rules: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]) -> str:
    for pattern, replacement in rules:
        if pattern.fullmatch(name):
            return pattern.sub(replacement, name)
    return name
