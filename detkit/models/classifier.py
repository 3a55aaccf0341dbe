"""Image classifiers: a backbone with its original head, trained to predict the class of a whole image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal, cast

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import BackboneConfig
from detkit.backbones.full_network import FullNetwork
from detkit.heads.class_layout import ClassLayout
from detkit.layers.distributed import loss_normalizer
from detkit.models.detector import Detector, DetectorConfig, Losses, Raw
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Detections, Proposals, Targets

_MIN_AUXILIARY_SIDE = {"inception_v3": 299}
"""Minimum side in pixels at which the library's auxiliary classifiers still get a map of sufficient size."""


class ClassifierConfig(DetectorConfig):
    """Classifier of whole images: a backbone with its original head, for the classes of the data."""

    whole_images: ClassVar[bool] = True

    kind: Literal["classifier"] = "classifier"
    """Kind of model."""
    preprocess: PreprocessConfig = PreprocessConfig(rule="letterbox", input_size=(224, 224), antialias=True)
    """How images are resized for the model."""
    backbone: BackboneConfig = BackboneConfig(frozen_stages=0, norm="train")
    """The network; once trained, its weights can be those of a detector's backbone. ``levels`` and ``dilated_c5`` are not used."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Label smoothing: fraction of the target probability spread evenly over all classes (arXiv:1512.00567, section 7); usually 0.1."""
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of the beta distribution of the mixup ratio with which pairs of images of a batch, and their classes, are blended
    (arXiv:1710.09412); 0: no mixup."""
    auxiliary_weight: float = Field(default=0.3, ge=0)
    """Weight of the losses of auxiliary classifiers, which GoogLeNet and Inception v3 have; 0: no auxiliary classifiers."""
    top_k: int = Field(default=5, ge=1)
    """Number of classes reported per image, most probable first."""

    def build(self, num_classes: int) -> Classifier:
        """Build the classifier for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the images are too small for the auxiliary classifiers, or the backbone has settings that a classifier does not
                support.
        """
        self.check_backbone()
        side, min_side = min(self.preprocess.input_size or (self.preprocess.short_side,)), _MIN_AUXILIARY_SIDE.get(self.backbone.name, 0)
        if self.auxiliary_weight and side < min_side:
            raise ValueError(
                f"model.auxiliary_weight: the auxiliary classifier of {self.backbone.name} takes images of {min_side} pixels or more, "
                f"got {side}; "
                f"set model.preprocess.input_size={min_side},{min_side}, or model.auxiliary_weight=0"
            )
        network = FullNetwork(self.backbone, num_classes, bool(self.auxiliary_weight))
        network.freeze(self.backbone.stages_to_freeze)
        return Classifier(network, num_classes, self)

    def check_backbone(self) -> None:
        """Check that the backbone is the published network.

        Raises:
            ValueError: If it is not.
        """
        if self.backbone.dilated_c5 or self.backbone.levels is not None:
            raise ValueError("model.backbone: a classifier uses its network as published; expected levels=none and dilated_c5=false")


class Classifier(Detector):
    """Predicts the classes of an image, as detections of the whole image, most probable class first.

    :meth:`prepare` applies mixup if it gets seeds, as it does for losses; the first seed determines the mixup ratio.

    Args:
        network: Computes the logits.
        num_classes: K.
        config: Losses, mixup and number of classes reported.
    """

    def __init__(self, network: FullNetwork, num_classes: int, config: ClassifierConfig) -> None:
        super().__init__(_NoNeck(network), num_classes)
        self.config = config
        self.input_size = config.preprocess.input_size

    @property
    def network(self) -> FullNetwork:
        """The network that computes the logits."""
        return cast("FullNetwork", self.backbone)

    def prepare(self, images: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Batch:
        """See :meth:`Detector.prepare`."""
        batch = super().prepare(images, seeds)
        return Batch(self.blend(batch.images, batch.seeds), batch.sizes, batch.seeds)

    def blend(self, values: Tensor, seeds: Sequence[int]) -> Tensor:
        """Blend images or target probabilities ``(B, ...)`` with the batch in reverse order, if ``mixup`` is on."""
        if not self.config.mixup or not seeds:
            return values
        ratio = float(np.random.default_rng(seeds[0]).beta(self.config.mixup, self.config.mixup))
        return ratio * values + (1 - ratio) * values.flip(0)

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """Return the logits ``(B, K)`` of each head, followed in training mode by those of the auxiliary classifiers."""
        logits: Raw = self.neck(batch.images)
        return logits

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Return the cross entropy ``class`` and, with auxiliary classifiers, ``auxiliary_1`` and ``auxiliary_2``.

        An image without a target is ignored.

        Raises:
            ValueError: If an image has more than one target.
        """
        target_probabilities = self.target_probabilities(targets, batch.seeds)
        heads, auxiliary = raw[: self.network.num_heads], raw[self.network.num_heads :]
        losses = {"class": torch.stack([self.cross_entropy(logits, target_probabilities) for logits in heads]).mean()}
        return losses | {
            f"auxiliary_{k}": self.config.auxiliary_weight * self.cross_entropy(aux, target_probabilities)
            for k, aux in enumerate(auxiliary, 1)
        }

    def target_probabilities(self, targets: Sequence[Targets], seeds: Sequence[int] = ()) -> Tensor:
        """Return ``(B, K)`` target probabilities, smoothed and blended; a row of zeros for an image without a target."""
        rows = torch.zeros(len(targets), self.num_classes, device=self.mean.device)
        for index, target in enumerate(targets):
            if len(target) > 1:
                raise ValueError(f"targets of image {index}: a classifier expects one object per image, got {len(target)}")
            if len(target):
                rows[index] = self.config.label_smoothing / self.num_classes
                rows[index, target.labels] += 1 - self.config.label_smoothing
        return self.blend(rows, seeds)

    def cross_entropy(self, logits: Tensor, target_probabilities: Tensor) -> Tensor:
        """Return the cross entropy averaged over the images that have a target."""
        return functional.cross_entropy(logits.float(), target_probabilities, reduction="sum") / loss_normalizer(target_probabilities.sum())

    def probabilities(self, raw: Raw) -> Tensor:
        """Return the probability of each class ``(B, K)``; the logits of several heads are averaged."""
        return torch.stack([logits.float() for logits in raw[: self.network.num_heads]]).mean(0).softmax(1)

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """Return the most probable reported classes of each image."""
        scores = self.probabilities(raw)
        num_reported = self.num_classes
        if self.unreported is not None:
            scores, num_reported = scores.masked_fill(self.unreported, -1.0), int((~self.unreported).sum())
        best, labels = scores.topk(min(self.config.top_k, num_reported), 1)
        detections = []
        for size, row, label in zip(batch.sizes, best, labels, strict=True):
            box = row.new_tensor([[0.0, 0.0, size[1], size[0]]])
            detections.append(Detections(box.expand(len(row), 4).clone(), row, label))
        return detections

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :meth:`Detector.class_layout`."""
        return {f"neck.backbone.{name}": ClassLayout() for name in self.network.head_names}


class _NoNeck(nn.Module):
    """Placeholder for a neck: holds the network where other detectors have theirs."""

    def __init__(self, backbone: FullNetwork) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs of the network."""
        outputs: tuple[Tensor, ...] = self.backbone(images)
        return outputs
