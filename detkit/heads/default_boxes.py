"""SSD's default boxes (arXiv:1512.02325, section 2.2): their config and the module that holds them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from detkit.config import Config
from detkit.structures import Size


class DefaultBoxConfig(Config):
    """Default boxes centered on every cell; the defaults are those of SSD300 for COCO in torchvision.

    A level of scale s whose next level has scale t has squares with sides s and sqrt(s t), and for each ratio r one box of s sqrt(r) by s /
    sqrt(r) and the same box with its sides swapped.
    """

    scales: tuple[float, ...] = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
    """Scales of each level, finest first, and one more after the last level, as a fraction of the image's side."""
    ratios: tuple[tuple[float, ...], ...] = ((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,))
    """Aspect ratios of each level."""
    steps: tuple[float, ...] | None = (8.0, 16.0, 32.0, 64.0, 100.0, 300.0)
    """Pixels between neighboring cells of each level; none: the image's side divided by the number of cells."""
    clip: bool = True
    """Whether box sides are limited to the image's sides; the paper's code does not clip."""

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        levels = len(self.ratios)
        if len(self.scales) != levels + 1:
            raise ValueError(f"scales: expected {levels + 1}, one for each level of ratios and one more, got {len(self.scales)}")
        if self.steps is not None and len(self.steps) != levels:
            raise ValueError(f"steps: expected {levels}, one for each level of ratios, got {len(self.steps)}")
        return self

    def build(self, levels: int) -> DefaultBoxes:
        """Build the default boxes for ``levels`` levels.

        Raises:
            ValueError: If the config describes another number of levels.
        """
        if len(self.ratios) != levels:
            raise ValueError(
                f"head.default_boxes: expected ratios for the {levels} levels of the neck, got {len(self.ratios)}; give one entry of "
                "ratios (and of steps) for each level of the backbone and each of neck.extras, and one more scale than levels"
            )
        return DefaultBoxes(self)


class DefaultBoxes(nn.Module):
    """Default boxes placed on the grids of the feature maps.

    Args:
        config: Scales, ratios and steps.
    """

    def __init__(self, config: DefaultBoxConfig) -> None:
        super().__init__()
        self.steps = config.steps
        self.per_cell = tuple(2 + 2 * len(ratios) for ratios in config.ratios)
        for level, ratios in enumerate(config.ratios):
            sides = torch.tensor(_sides(config.scales[level], config.scales[level + 1], ratios))
            self.register_buffer(f"sides{level}", sides.clamp(max=1) if config.clip else sides, persistent=False)

    def forward(self, size: Size, grids: Sequence[Size]) -> list[Tensor]:
        """Return for each level the ``(H * W * A, 4)`` float32 boxes in pixels of an image of ``size``, cell by cell."""
        return [self._boxes_of_level(level, size, grid) for level, grid in enumerate(grids)]

    def _boxes_of_level(self, level: int, size: Size, grid: Size) -> Tensor:
        sides = self.get_buffer(f"sides{level}").float()
        # Number of cells along the image's height and width; with steps these are not whole numbers.
        rows, columns = grid if self.steps is None else (size[0] / self.steps[level], size[1] / self.steps[level])
        y = (torch.arange(grid[0], device=sides.device) + 0.5) / rows
        x = (torch.arange(grid[1], device=sides.device) + 0.5) / columns
        centers = torch.stack((x.repeat(grid[0]), y.repeat_interleave(grid[1])), 1)[:, None]
        corners = torch.cat((centers - 0.5 * sides, centers + 0.5 * sides), -1)
        return (corners * sides.new_tensor([size[1], size[0]] * 2)).reshape(-1, 4)


def _sides(scale: float, next_scale: float, ratios: Sequence[float]) -> list[tuple[float, float]]:
    """Return the width and height of each of a level's boxes."""
    middle = math.sqrt(scale * next_scale)
    sides = [(scale, scale), (middle, middle)]
    for ratio in ratios:
        wide, narrow = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        sides += [(wide, narrow), (narrow, wide)]
    return sides
