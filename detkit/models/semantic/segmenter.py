"""Semantic segmentation: models that predict the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.heads.class_layout import ClassLayout
from detkit.heads.semantic.losses import PixelLossConfig, pixel_losses
from detkit.models.detector import Detector, DetectorConfig, Losses, Raw
from detkit.structures import Batch, Detections, Proposals, Targets
from detkit.structures.label_maps import IGNORED, MAX_CLASSES, target_map


class SegmenterConfig(DetectorConfig):
    """Base of the configs of models for semantic segmentation."""

    segments: ClassVar[bool] = True
    learns_masks: ClassVar[bool] = True

    background: bool = True
    """Whether pixels of no object are a class of their own; false: they are not learned, for data in which each pixel has a class."""
    losses: PixelLossConfig = PixelLossConfig()
    """Losses and their weights."""

    def num_outputs(self, num_classes: int) -> int:
        """Return the number of classes that the network predicts.

        Raises:
            ValueError: If a label map cannot hold as many.
        """
        if num_classes > MAX_CLASSES:
            raise ValueError(f"semantic segmentation: expected up to {MAX_CLASSES} classes, got {num_classes}; select some (data.classes)")
        return num_classes + self.background


class Segmenter(Detector):
    """Predicts the class of every pixel.

    :meth:`detect` returns one row for each class: its probability in every pixel of the input, as ``mask_probabilities`` over a box of the
    whole input. A predictor makes a label map of them in the pixels of the original image, and returns the region of each class in it.

    Args:
        neck: Returns the map to predict from, as the last of its maps.
        head: Predicts the logits of every class in every cell of the map; its last layer is ``logits``.
        num_classes: K; background, if it is a class, is output K.
        config: Losses, and whether background is a class.
    """

    def __init__(self, neck: nn.Module, head: nn.Module, num_classes: int, config: SegmenterConfig) -> None:
        super().__init__(neck, num_classes)
        self.head, self.config = head, config
        self.input_size = config.preprocess.input_size

    @property
    def background(self) -> int:
        """Label of the pixels of no object: K, or :data:`~detkit.structures.label_maps.IGNORED` if background is no class."""
        return self.num_classes if self.config.background else IGNORED

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """Return the logits ``(B, C, H, W)`` of every pixel of the padded input; background, if it is a class, is the last of C."""
        del proposals, targets
        return (self.interpolated(self.head(self.neck(batch.images)[-1]), batch),)

    @staticmethod
    def interpolated(logits: Tensor, batch: Batch) -> Tensor:
        """Return logits of cells as those of every pixel of the padded input."""
        if logits.shape[-2:] == batch.padded_size:
            return logits
        return functional.interpolate(logits, size=batch.padded_size, mode="bilinear", align_corners=False)

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Return the cross entropy and the Dice loss of the pixels whose class is known; padding is ignored.

        Raises:
            ValueError: If there are objects without masks.
        """
        return pixel_losses(raw[0], self.label_maps(batch, targets), self.config.losses)

    def label_maps(self, batch: Batch, targets: Sequence[Targets]) -> Tensor:
        """Return the class of every pixel of the padded input, ``(B, H, W)`` int64."""
        labels = np.full((len(batch), *batch.padded_size), IGNORED, np.uint8)
        for row, size, target in zip(labels, batch.sizes, targets, strict=True):
            row[: size[0], : size[1]] = target_map(target, size, self.background)
        return torch.from_numpy(labels).to(self.mean.device).long()

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """Return the probability of each class in every pixel of each image, one row for each class in the order of the labels."""
        probabilities = raw[0].float().softmax(1)[:, : self.num_classes]
        detections = []
        for values, (height, width) in zip(probabilities, batch.sizes, strict=True):
            pixels = values[:, :height, :width]
            box = pixels.new_tensor([0.0, 0.0, width, height]).expand(self.num_classes, 4).clone()
            labels = torch.arange(self.num_classes, device=pixels.device)
            detections.append(Detections(box, pixels.amax((1, 2)), labels, mask_probabilities=pixels))
        return detections

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :meth:`Detector.class_layout`."""
        return {f"head.logits.{part}": ClassLayout(after=int(self.config.background)) for part in ("weight", "bias")}
