"""The anchors of a dense head, as numbers and as a module that knows its device."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from detkit.config import Config
from detkit.ops.anchors import cell_anchors, grid_anchors, grid_strides
from detkit.structures import Size


class AnchorConfig(Config):
    """Which anchors stand at every cell of every level; every level has as many."""

    sizes: tuple[tuple[float, ...], ...] = ((32.0,), (64.0,), (128.0,), (256.0,), (512.0,))
    """Square roots of the anchors' areas in pixels, for each level, finest first."""
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height / width; every size comes in each of them."""

    def build(self, levels: int) -> GridAnchors:
        """The module, for a pyramid of so many levels.

        Raises:
            ValueError: the sizes are for another number of levels, or levels differ in how many they have.
        """
        if len(self.sizes) != levels:
            raise ValueError(
                f"anchors.sizes has {len(self.sizes)} levels, the neck gives {levels}: "
                f"give one tuple of sizes for each level, got {self.sizes}"
            )
        counts = {len(sizes) for sizes in self.sizes}
        if len(counts) != 1 or 0 in counts or not self.ratios:
            raise ValueError(
                f"anchors: expected as many sizes on every level, at least one, and a ratio; got {self.sizes} and {self.ratios}"
            )
        return GridAnchors(self.sizes, self.ratios)


class GridAnchors(nn.Module):
    """Cell anchors for each level, laid out on the grids of the maps.

    Args:
        sizes: Sizes in pixels, for each level.
        ratios: Height / width.
    """

    def __init__(self, sizes: Sequence[Sequence[float]], ratios: Sequence[float]) -> None:
        super().__init__()
        self.per_cell = len(sizes[0]) * len(ratios)
        self.levels = len(sizes)
        for level, level_sizes in enumerate(sizes):
            self.register_buffer(f"cell{level}", cell_anchors(level_sizes, ratios), persistent=False)

    def forward(self, padded_size: Size, grids: Sequence[Size]) -> list[Tensor]:
        """For each level ``(H * W * A, 4)`` float32 anchors in pixels of the padded image, cell by cell."""
        cells = [self.get_buffer(f"cell{level}").float() for level in range(self.levels)]
        return grid_anchors(cells, grids, grid_strides(padded_size, grids))
