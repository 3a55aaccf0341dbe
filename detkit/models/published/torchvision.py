"""Conversion of torchvision's files: names of backbones and pyramids, old and new."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from torch import Tensor

from detkit.models.detector import DetectorConfig
from detkit.models.published.coco import COCO_SLOTS
from detkit.models.published.load import Publication

Renaming = tuple[str, str | Callable[[re.Match[str]], str]]
"""A pattern for a complete name, and its replacement as in ``re.sub``."""

# Convolutions of the FPN were separate before torchvision 0.13 (`inner_blocks.0.weight`); since then each is the first part of a block
# (`inner_blocks.0.0.weight`). Files of both kinds are published.
PYRAMID: tuple[Renaming, ...] = (
    (r"backbone\.body\.(\d+\..*)", r"neck.backbone.features.\1"),
    (r"backbone\.body\.(.*)", r"neck.backbone.\1"),
    (r"backbone\.fpn\.((?:inner|layer)_blocks\.\d+)\.(weight|bias)", r"neck.\1.0.\2"),
    (r"backbone\.fpn\.(.*)", r"neck.\1"),
)
"""Names of a backbone and of the pyramid over it."""


def rename_tensors(tensors: Mapping[str, Tensor], renamings: Iterable[Renaming]) -> dict[str, Tensor]:
    """Rename tensors by the first pattern that matches; a name that matches none is unchanged."""
    rules = [(re.compile(pattern), replacement) for pattern, replacement in renamings]
    return {_rename(name, rules): tensor for name, tensor in tensors.items()}


def _rename(name: str, rules: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]) -> str:
    for pattern, replacement in rules:
        if pattern.fullmatch(name):
            return pattern.sub(replacement, name)
    return name


def renumber(target: str, step: int) -> Callable[[re.Match[str]], str]:
    """Return a replacement for names of layers that are numbered together with the layers that follow each convolution.

    The groups of the pattern are the number of the layer and the rest of the name.

    Args:
        target: Name of the tower.
        step: Layers per convolution in the file, including the convolution.
    """

    def replacement(match: re.Match[str]) -> str:
        block, part = divmod(int(match[1]), step)
        return f"{target}.{block}.{part}.{match[2]}"

    return replacement


def drop_background(rows: Tensor, anchors: int) -> Tensor:
    """Remove class 0, which torchvision's targets never have, from a last layer of sigmoids, laid out anchor by anchor."""
    return rows.reshape(anchors, -1, *rows.shape[1:])[:, 1:].flatten(0, 1)


def torchvision_publication(
    preset: DetectorConfig, convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]], **backbone: object
) -> Publication:
    """Return the publication of a preset with torchvision's weights.

    The file contains the backbone too, so that no other weights are loaded; frozen stages stay frozen in fine-tuning.
    """
    config = preset.replace(backbone=preset.backbone.replace(weights=None, **backbone))
    return Publication(config, COCO_SLOTS, convert)
