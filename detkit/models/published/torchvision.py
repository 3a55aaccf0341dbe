"""What torchvision's files have in common: the names of backbones and pyramids, old and new, and how models were published."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from detkit.models.detector import DetectorConfig
from detkit.models.published.coco import COCO_SLOTS
from detkit.models.published.load import Publication

Renaming = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern for a whole name, and what ``re.sub`` puts in its place."""

# Convolutions of the FPN stood alone before torchvision 0.13 (`inner_blocks.0.weight`); since then each is the first part of a block
# (`inner_blocks.0.0.weight`). Files of both kinds are published.
PYRAMID: tuple[Renaming, ...] = (
    (r"backbone\.body\.(\d+\..*)", r"neck.backbone.features.\1"),
    (r"backbone\.body\.(.*)", r"neck.backbone.\1"),
    (r"backbone\.fpn\.((?:inner|layer)_blocks\.\d+)\.(weight|bias)", r"neck.\1.0.\2"),
    (r"backbone\.fpn\.(.*)", r"neck.\1"),
)
"""Names of a backbone and of the pyramid over it."""


def renamed(tensors: Mapping[str, Tensor], renamings: Iterable[Renaming]) -> dict[str, Tensor]:
    """The tensors under our names: of the first pattern that fits; a name that none fits stays as it is."""
    rules = [(re.compile(pattern), ours) for pattern, ours in renamings]
    return {_renamed(name, rules): tensor for name, tensor in tensors.items()}


def _renamed(name: str, rules: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]) -> str:
    for pattern, ours in rules:
        if pattern.fullmatch(name):
            return pattern.sub(ours, name)
    return name


def numbered(ours: str, step: int) -> Callable[[re.Match[str]], str]:
    """A replacement for names of convolutions that were counted together with what follows each.

    Args:
        ours: The name of the tower.
        step: Layers to each convolution in the file, itself included; a pattern's groups are the layer's number and the rest.
    """

    def place(found: re.Match[str]) -> str:
        block, part = divmod(int(found[1]), step)
        return f"{ours}.{block}.{part}.{found[2]}"

    return place


def without_background(rows: Tensor, anchors: int) -> Tensor:
    """A last layer of sigmoids, laid out anchor by anchor, without class 0, which torchvision's targets never have."""
    return rows.reshape(anchors, -1, *rows.shape[1:])[:, 1:].flatten(0, 1)


def as_published(preset: DetectorConfig, convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]], **backbone: object) -> Publication:
    """The file fills the backbone too, so nothing else does; what is frozen stays frozen when training goes on."""
    config = preset.replace(backbone=preset.backbone.replace(weights=None, **backbone))
    return Publication(config, COCO_SLOTS, convert)
