"""Contrastive denoising queries: noised copies of the objects that the decoder learns to restore (DINO, arXiv:2203.03605, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor

from detkit.config import Config
from detkit.layers import max_over_processes
from detkit.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh
from detkit.ops.match import BACKGROUND, ignore_crowds
from detkit.ops.sample import generator_for
from detkit.structures import Batch, Targets

_SALT = 0x6E6F697365
"""Separates the noise from other random choices about the same image."""


class DenoisingConfig(Config):
    """Denoising queries, which exist only in training; the defaults are those of RT-DETR and D-FINE."""

    queries: int = Field(100, ge=0)
    """Approximate number of noised copies per image, and as many copies of background. They form groups with one copy of every object;
    the number of groups is ``queries`` divided by the largest number of objects in an image of the batch, at least 1. 0: no denoising."""
    label_noise: float = Field(0.5, ge=0, le=1)
    """Twice the probability that a copy has a random class."""
    box_noise: float = Field(1.0, ge=0)
    """Largest shift of each corner of a copy, as a fraction of half the width or height; copies that are to be recognized as background
    are shifted by one to two times that."""


@dataclass(frozen=True, eq=False)
class Noise:
    """Random numbers for the copies of one image: G groups of M objects, each as an object and as background.

    Attributes:
        label_draws: ``(G, 2, M)`` in [0, 1); below half the label noise, the class is random.
        labels: ``(G, 2, M)`` int64 random classes.
        signs: ``(G, 2, M, 4)`` -1 or 1.
        shifts: ``(G, 2, M, 4)`` in [0, 1).
    """

    label_draws: Tensor
    labels: Tensor
    signs: Tensor
    shifts: Tensor

    @classmethod
    def draw(cls, shape: tuple[int, int, int], num_classes: int, generator: torch.Generator) -> Noise:
        """Draw the numbers for a shape ``(G, 2, M)``, on the CPU."""
        signs = torch.randint(0, 2, (*shape, 4), generator=generator) * 2.0 - 1.0
        return cls(
            torch.rand(shape, generator=generator),
            torch.randint(0, num_classes, shape, generator=generator),
            signs,
            torch.rand((*shape, 4), generator=generator),
        )


@dataclass(frozen=True, eq=False)
class DenoisingQueries:
    """Noised copies of the objects of a batch, D per image.

    Attributes:
        labels: ``(B, D)`` noised labels; the number of classes for copies of nothing, which fill up images with fewer objects.
        boxes: ``(B, D, 4)`` noised boxes as center and size, fractions of the image, clipped to it.
        assignment: ``(B, D)`` rows of the targets that are to be restored, or ``BACKGROUND``, or ``IGNORE`` in ignore regions.
        num_groups: Number of groups; a query sees only its own group and the other queries of the decoder.
    """

    labels: Tensor
    boxes: Tensor
    assignment: Tensor
    num_groups: int

    def mask(self, num_queries: int) -> Tensor:
        """Return ``(D + N, D + N)`` bool, True where the query of a row must not see the query of a column.

        The groups do not see each other, and the N queries of the decoder, which come last, see no copy.
        """
        count = self.labels.shape[1]
        group = torch.arange(count, device=self.labels.device) // max(1, count // max(1, self.num_groups))
        mask = torch.zeros(count + num_queries, count + num_queries, dtype=torch.bool, device=self.labels.device)
        mask[:count, :count] = group[:, None] != group
        mask[count:, :count] = True
        return mask


def denoising_queries(
    targets: Sequence[Targets], extents: Tensor, num_classes: int, config: DenoisingConfig, noise: Sequence[Noise]
) -> DenoisingQueries:
    """Build the noised copies of the objects of a batch.

    Args:
        targets: Targets of each image; crowds are not copied.
        extents: ``(B, 4)`` width, height, width and height of which the boxes become fractions.
        num_classes: K.
        config: Amounts of noise.
        noise: Random numbers of each image; see :func:`draw_noise`.
    """
    num_groups, largest = _layout(targets, config, extents.device)
    device, batch_size = extents.device, len(targets)
    labels = torch.full((batch_size, num_groups, 2, largest), num_classes, device=device)
    boxes = torch.zeros(batch_size, num_groups, 2, largest, 4, device=device)
    assignment = torch.full_like(labels, BACKGROUND)
    for image, (target, numbers) in enumerate(zip(targets, noise, strict=True)):
        rows = (~target.is_crowd).nonzero().flatten()
        objects = slice(len(rows))
        is_random = numbers.label_draws.to(device) < config.label_noise / 2
        labels[image, :, :, objects] = torch.where(is_random, numbers.labels.to(device), target.labels[rows])
        boxes[image, :, :, objects] = _noised(target.boxes[rows] / extents[image], numbers, config.box_noise)
        assignment[image, :, 0, objects] = rows
        corners = cxcywh_to_xyxy(boxes[image] * extents[image]).flatten(0, 2)
        assignment[image] = ignore_crowds(assignment[image].flatten(), _at_least_a_pixel(corners), target).view_as(assignment[image])
    return DenoisingQueries(labels.flatten(1), boxes.flatten(1, 3), assignment.flatten(1), num_groups)


def _at_least_a_pixel(corners: Tensor) -> Tensor:
    """Return ``(N, 4)`` boxes, those without an area as one pixel around them, so that copies of nothing have a place too."""
    has_area = (corners[:, 2:] > corners[:, :2]).all(1, keepdim=True)
    return torch.where(has_area, corners, corners + corners.new_tensor([-0.5, -0.5, 0.5, 0.5]))


def draw_noise(targets: Sequence[Targets], batch: Batch, num_classes: int, config: DenoisingConfig) -> list[Noise]:
    """Draw the random numbers of each image from its own seed, or from its position in the batch if it has none."""
    num_groups, _ = _layout(targets, config, batch.images.device)
    seeds = batch.seeds or range(len(batch))
    return [
        Noise.draw((num_groups, 2, int((~target.is_crowd).sum())), num_classes, generator_for(seed, _SALT))
        for target, seed in zip(targets, seeds, strict=True)
    ]


def _layout(targets: Sequence[Targets], config: DenoisingConfig, device: torch.device) -> tuple[int, int]:
    """Return the number of groups, 0 without objects or denoising, and the largest number of objects in an image, of all processes."""
    largest = max_over_processes(max(int((~target.is_crowd).sum()) for target in targets), device)
    return max(1, config.queries // largest) if largest and config.queries else 0, largest


def _noised(boxes: Tensor, noise: Noise, scale: float) -> Tensor:
    """Shift the corners of ``(M, 4)`` boxes; returns ``(G, 2, M, 4)`` clipped boxes as center and size."""
    half_sizes = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2) * 0.5 * scale
    is_background = torch.tensor([0.0, 1.0], device=boxes.device)[:, None, None]
    shifts = noise.signs.to(boxes.device) * (noise.shifts.to(boxes.device) + is_background) * half_sizes
    # Corners may swap sides: sizes are then the absolute ones, as in the released code.
    return xyxy_to_cxcywh((boxes + shifts).clamp(0, 1)).abs()
