"""Multi-scale deformable attention of RT-DETR, RT-DETRv2 and D-FINE."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from detkit.ops.deformable import sample_deformable


class DeformableAttention(nn.Module):
    """Attention of queries to a few cells around their boxes, on maps of several sizes (Deformable DETR, arXiv:2010.04159, section 4.1).

    Every head of every query samples ``points[level]`` locations on each level. A location is the center of the query's box plus a learned
    offset in units of ``size of the box * offset_scale / points[level]``, as in RT-DETRv2 (arXiv:2407.17140, section 2.1) and D-FINE;
    RT-DETR is the same with 4 points on each level. Parameters have the names of these three repositories.

    ``num_points_scale`` is not in the state dict: the files of RT-DETRv2 and D-FINE contain it, those of RT-DETR do not.

    Args:
        channels: Channels of queries, cells and output.
        heads: Number of attention heads, among which the channels are divided.
        points: Number of sampled locations on each level, finest first.
        offset_scale: Factor of the offsets.
        projections: Project the cells before and the result after sampling by linear layers, as RT-DETR does. D-FINE does neither (arXiv:
            2410.13842, section 4): the cells are divided among the heads as they are.
        discrete: Read single cells instead of interpolating, without learning the offsets, as RT-DETRv2's discrete sampling does; see
            :func:`detkit.ops.deformable.sample_deformable`.

    Raises:
        ValueError: If the channels cannot be divided among the heads.
    """

    num_points_scale: Tensor

    def __init__(
        self,
        channels: int,
        heads: int,
        points: Sequence[int],
        *,
        offset_scale: float = 0.5,
        projections: bool,
        discrete: bool = False,
    ) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"DeformableAttention: expected channels that are a multiple of {heads} heads, got {channels}")
        self.channels, self.heads, self.points = channels, heads, tuple(points)
        self.offset_scale, self.discrete = offset_scale, discrete
        total = heads * sum(self.points)
        self.sampling_offsets = nn.Linear(channels, 2 * total)
        self.attention_weights = nn.Linear(channels, total)
        self.value_proj = nn.Linear(channels, channels) if projections else None
        self.output_proj = nn.Linear(channels, channels) if projections else None
        scale = torch.tensor([1 / count for count in self.points for _ in range(count)])
        self.register_buffer("num_points_scale", scale, persistent=False)
        self._initialize()

    def _initialize(self) -> None:
        """Let heads look in different directions, further away with every point of a level, and weigh all points equally."""
        angles = torch.arange(self.heads) * (2 * math.pi / self.heads)
        directions = torch.stack([angles.cos(), angles.sin()], -1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        distances = torch.cat([torch.arange(1, count + 1) for count in self.points])
        nn.init.zeros_(self.sampling_offsets.weight)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_((directions[:, None] * distances[:, None]).flatten())
        for projection in (self.value_proj, self.output_proj):
            if projection is not None:
                nn.init.xavier_uniform_(projection.weight)
                nn.init.zeros_(projection.bias)
        if self.discrete:
            self.sampling_offsets.requires_grad_(False)

    def forward(self, queries: Tensor, references: Tensor, cells: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """Attend to the cells of all levels.

        Args:
            queries: ``(B, Q, channels)``, positions included.
            references: ``(B, Q, 4)`` boxes of the queries, center x, center y, width and height as fractions of the image.
            cells: ``(B, S, channels)`` cells of all levels, finest first, row by row.
            sizes: ``(height, width)`` of each level; S is the sum of their areas.

        Returns:
            ``(B, Q, channels)``.
        """
        values = cells if self.value_proj is None else self.value_proj(cells)
        values = values.reshape(*cells.shape[:2], self.heads, self.channels // self.heads)
        weights = self.attention_weights(queries).reshape(*queries.shape[:2], self.heads, sum(self.points)).softmax(-1)
        locations = self.locations(queries, references)
        sampled = sample_deformable(values, sizes, locations, weights, self.points, discrete=self.discrete)
        if self.output_proj is None:
            return sampled
        projected: Tensor = self.output_proj(sampled)
        return projected

    def locations(self, queries: Tensor, references: Tensor) -> Tensor:
        """Sampled locations ``(B, Q, heads, P, 2)``, x and y as fractions of the image, level by level; arguments as of ``forward``."""
        offsets: Tensor = self.sampling_offsets(queries).reshape(*queries.shape[:2], self.heads, sum(self.points), 2)
        scale = (self.num_points_scale * self.offset_scale)[:, None]
        boxes = references[:, :, None, None]
        return boxes[..., :2] + offsets * scale * boxes[..., 2:]
