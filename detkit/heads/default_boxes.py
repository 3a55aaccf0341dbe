"""SSD's default boxes (arXiv:1512.02325, section 2.2): as numbers and as a module that knows its device."""

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
    """Which boxes stand in the middle of every cell; the defaults are those of SSD300 for COCO, as torchvision has them.

    A level of scale s whose next level has scale t has squares of s and sqrt(s t), and for each ratio r one box of
    s sqrt(r) by s / sqrt(r) and one that stands where that lies.
    """

    scales: tuple[float, ...] = (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
    """For each level, finest first, and one behind the last: sides as a share of the image's."""
    ratios: tuple[tuple[float, ...], ...] = ((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,))
    """For each level."""
    steps: tuple[float, ...] | None = (8.0, 16.0, 32.0, 64.0, 100.0, 300.0)
    """Pixels between the cells of each level; none: the image's side divided by the cells."""
    clip: bool = True
    """Whether no side is greater than the image's; the paper's code clips nothing."""

    @model_validator(mode="after")
    def _fit(self) -> Self:
        levels = len(self.ratios)
        if len(self.scales) != levels + 1:
            raise ValueError(f"scales: expected {levels + 1}, one for each level's ratios and one behind, got {len(self.scales)}")
        if self.steps is not None and len(self.steps) != levels:
            raise ValueError(f"steps: expected {levels}, one for each level's ratios, got {len(self.steps)}")
        return self

    def build(self, levels: int) -> DefaultBoxes:
        """The module, for so many levels.

        Raises:
            ValueError: the boxes are for another number of levels.
        """
        if len(self.ratios) != levels:
            raise ValueError(
                f"default boxes are for {len(self.ratios)} levels and the neck gives {levels}: give head.boxes as many ratios (and steps), "
                "and one scale more, as there are levels of the backbone and extras of the neck"
            )
        return DefaultBoxes(self)


class DefaultBoxes(nn.Module):
    """Default boxes laid out on the grids of the maps.

    Args:
        config: The numbers.
    """

    def __init__(self, config: DefaultBoxConfig) -> None:
        super().__init__()
        self.steps = config.steps
        self.per_cell = tuple(2 + 2 * len(ratios) for ratios in config.ratios)
        for level, ratios in enumerate(config.ratios):
            sides = torch.tensor(_sides(config.scales[level], config.scales[level + 1], ratios))
            self.register_buffer(f"sides{level}", sides.clamp(max=1) if config.clip else sides, persistent=False)

    def forward(self, size: Size, grids: Sequence[Size]) -> list[Tensor]:
        """For each level ``(H * W * A, 4)`` float32 boxes in pixels of an image of ``size``, cell by cell."""
        return [self._on_one(level, size, grid) for level, grid in enumerate(grids)]

    def _on_one(self, level: int, size: Size, grid: Size) -> Tensor:
        sides = self.get_buffer(f"sides{level}").float()
        # Cells of the image's height and width; with steps that is no whole number.
        rows, columns = grid if self.steps is None else (size[0] / self.steps[level], size[1] / self.steps[level])
        y = (torch.arange(grid[0], device=sides.device) + 0.5) / rows
        x = (torch.arange(grid[1], device=sides.device) + 0.5) / columns
        centers = torch.stack((x.repeat(grid[0]), y.repeat_interleave(grid[1])), 1)[:, None]
        corners = torch.cat((centers - 0.5 * sides, centers + 0.5 * sides), -1)
        return (corners * sides.new_tensor([size[1], size[0]] * 2)).reshape(-1, 4)


def _sides(scale: float, next_scale: float, ratios: Sequence[float]) -> list[tuple[float, float]]:
    """Width and height of a level's boxes."""
    middle = math.sqrt(scale * next_scale)
    sides = [(scale, scale), (middle, middle)]
    for ratio in ratios:
        wide, narrow = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        sides += [(wide, narrow), (narrow, wide)]
    return sides
