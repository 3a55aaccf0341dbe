"""Loss of the heads that assign the targets of an image to its locations: the loop over images, shared by all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal

import torch
from torch import Tensor

from detkit.heads.one_stage import OneStageHead, Outputs
from detkit.layers import loss_normalizer, mean_over_processes
from detkit.structures import Batch, Targets


@dataclass(frozen=True, eq=False)
class AssignedTargets:
    """The targets of one image and the locations that they are assigned to.

    Attributes:
        targets: The targets of the image.
        assignment: ``(N,)`` as returned by ``detkit.ops.match``.
        every_location: ``(N, 4)`` anchors or ``(N, 2)`` points of all levels.
    """

    targets: Targets
    assignment: Tensor
    every_location: Tensor

    @cached_property
    def positive(self) -> Tensor:
        """The locations that are assigned to a target, ``(n,)`` rows."""
        return (self.assignment >= 0).nonzero().flatten()

    @cached_property
    def locations(self) -> Tensor:
        """The positive locations, ``(n, 4)`` anchors or ``(n, 2)`` points."""
        return self.every_location[self.positive]

    @cached_property
    def boxes(self) -> Tensor:
        """The boxes ``(n, 4)`` of the targets of the positive locations."""
        return self.targets.boxes[self.assignment[self.positive]]

    @cached_property
    def labels(self) -> Tensor:
        """The labels ``(n,)`` of the targets of the positive locations."""
        return self.targets.labels[self.assignment[self.positive]]


class AssigningHead(OneStageHead):
    """Head whose loss is a sum over images of what it learns at their locations.

    A subclass implements :meth:`image_losses`, and :meth:`match` unless it overrides :meth:`assignment`.

    Attributes:
        loss_divisor: Number in the batch that the summed losses are divided by: positive locations, or images.
    """

    loss_divisor: ClassVar[Literal["positives", "images"]] = "positives"

    def match(self, locations: list[Tensor], targets: Targets) -> Tensor:
        """Assign the targets of an image to its locations, whatever is predicted there; see :meth:`assignment`."""
        raise NotImplementedError

    def image_losses(self, outputs: Outputs, assigned: AssignedTargets) -> dict[str, Tensor]:
        """Return the losses summed over the locations of one image.

        Args:
            outputs: Outputs for this image, each without its first dimension.
            assigned: The targets of the image and their locations.
        """
        raise NotImplementedError

    def assignment(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> list[Tensor]:
        """Assign the targets of each image by :meth:`match`; see :meth:`OneStageHead.assignment`."""
        return [self.match(locations, rows) for rows in targets]

    def loss(self, outputs: Outputs, locations: list[Tensor], batch: Batch, targets: Sequence[Targets]) -> dict[str, Tensor]:
        """Return the losses of :meth:`image_losses`, summed over the images and divided by the number that ``loss_divisor`` names."""
        every_location, losses, positives = torch.cat(locations), [], 0
        for image, rows in enumerate(self.assignment(outputs, locations, batch, targets)):
            assigned = AssignedTargets(targets[image], rows, every_location)
            losses.append(self.image_losses(tuple(output[image] for output in outputs), assigned))
            positives += len(assigned.positive)
        number = outputs[0].new_tensor(float(positives if self.loss_divisor == "positives" else len(targets)))
        total = loss_normalizer(number) if self.loss_divisor == "positives" else mean_over_processes(number)
        return {name: torch.stack([part[name] for part in losses]).sum() / total for name in losses[0]}
