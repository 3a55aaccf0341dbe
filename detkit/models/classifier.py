"""Classifiers: a backbone as it was published, trained to say what a whole image shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import BackboneConfig
from detkit.backbones.whole import WholeNetwork
from detkit.layers.distributed import loss_normalizer
from detkit.models.detector import ClassLayout, Detector, DetectorConfig, Losses, Raw
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Detections, Proposals, Targets

_LEAST_AUXILIARY = {"inception_v3": 299}
"""Pixels of the sides below which the library's auxiliary classifiers run out of map."""


class ClassifierConfig(DetectorConfig):
    """A classifier of whole images: a backbone with the head that it was published with, for the classes of the data."""

    whole_images: ClassVar[bool] = True

    kind: Literal["classifier"] = "classifier"
    """Which model this is."""
    preprocess: PreprocessConfig = PreprocessConfig(rule="letterbox", input_size=(224, 224), antialias=True)
    """How images are resized before the model sees them."""
    backbone: BackboneConfig = BackboneConfig(frozen_stages=0, norm="train")
    """The network; what it learns serves as the backbone's weights afterwards. Its ``levels`` and ``dilated_c5`` are not used."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of the certainty that is spread evenly over all classes (arXiv:1512.00567, section 7)."""
    mixup: float = Field(default=0.0, ge=0)
    """Alpha of the beta distribution from which the share is drawn by which images of a batch, and their classes, are blended in pairs
    (arXiv:1710.09412); 0: never."""
    auxiliary_weight: float = Field(default=0.3, ge=0)
    """Weight of the losses of auxiliary classifiers, which GoogLeNet and Inception v3 have; 0: they are left out."""
    top_k: int = Field(default=5, ge=1)
    """Classes that are told of a image, the likeliest first."""

    def build(self, num_classes: int) -> Classifier:
        """The classifier with random numbers, for so many classes.

        Raises:
            ValueError: images are too small for the auxiliary classifiers, or the backbone takes a choice that a classifier has not.
        """
        if self.backbone.dilated_c5 or self.backbone.levels is not None:
            raise ValueError("model.backbone: a classifier uses its network as published; set levels=none and dilated_c5=false")
        side, least = min(self.preprocess.input_size or (self.preprocess.short_side,)), _LEAST_AUXILIARY.get(self.backbone.name, 0)
        if self.auxiliary_weight and side < least:
            raise ValueError(
                f"model.auxiliary_weight: the auxiliary classifier of {self.backbone.name} takes images of {least} pixels and more, got {side}; "
                f"set model.preprocess.input_size={least},{least}, or model.auxiliary_weight=0"
            )
        network = WholeNetwork(self.backbone, num_classes, bool(self.auxiliary_weight))
        network.freeze(self.backbone.stages_to_freeze)
        return Classifier(network, num_classes, self)


class Classifier(Detector):
    """Says of a image which classes it may show, as detections of the whole image, the likeliest class first.

    Blending for mixup happens in :meth:`prepare` when it is given seeds, as it is for losses, and is drawn from the first of them.

    Args:
        network: Gives the logits.
        num_classes: K.
        config: The numbers.
    """

    def __init__(self, network: WholeNetwork, num_classes: int, config: ClassifierConfig) -> None:
        super().__init__(_Bare(network), num_classes)
        self.config = config
        self.input_size = config.preprocess.input_size

    @property
    def network(self) -> WholeNetwork:
        """What gives the logits."""
        return self.backbone  # type: ignore[return-value]

    def prepare(self, images: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Batch:
        """See :meth:`Detector.prepare`."""
        batch = super().prepare(images, seeds)
        return Batch(self.blended(batch.images, batch.seeds), batch.sizes, batch.seeds)

    def blended(self, values: Tensor, seeds: Sequence[int]) -> Tensor:
        """Images, or what is wanted of them, ``(B, ...)``, blended with those from the other end of the batch, if ``mixup`` is on."""
        if not self.config.mixup or not seeds:
            return values
        share = float(np.random.default_rng(seeds[0]).beta(self.config.mixup, self.config.mixup))
        return share * values + (1 - share) * values.flip(0)

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None) -> Raw:
        """Logits ``(B, K)`` of each head, then in training mode those of the auxiliary classifiers."""
        return self.neck(batch.images)  # type: ignore[no-any-return]

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Cross entropy ``class``, and ``auxiliary_1``, ``auxiliary_2`` where there are such; a image without a target counts nowhere.

        Raises:
            ValueError: a image has several targets.
        """
        wanted = self.wanted(targets, batch.seeds)
        heads, auxiliary_weight = raw[: self.network.heads], raw[self.network.heads :]
        losses = {"class": torch.stack([self.against(logits, wanted) for logits in heads]).mean()}
        return losses | {
            f"auxiliary_{k}": self.config.auxiliary_weight * self.against(aux, wanted) for k, aux in enumerate(auxiliary_weight, 1)
        }

    def wanted(self, targets: Sequence[Targets], seeds: Sequence[int] = ()) -> Tensor:
        """``(B, K)`` probability of each class, smoothed and blended; a row of zeros for a image without a target."""
        rows = torch.zeros(len(targets), self.num_classes, device=self.mean.device)
        for place, target in enumerate(targets):
            if len(target) > 1:
                raise ValueError(f"targets of image {place}: a image has one class for a classifier, got {len(target)} objects")
            if len(target):
                rows[place] = self.config.label_smoothing / self.num_classes
                rows[place, target.labels] += 1 - self.config.label_smoothing
        return self.blended(rows, seeds)

    def against(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """The mean cross entropy of logits over the images of which something is wanted."""
        return functional.cross_entropy(logits.float(), wanted, reduction="sum") / loss_normalizer(wanted.sum())

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """The likeliest of the classes that are reported of each image; where there are several heads their logits are averaged."""
        scores = torch.stack([logits.float() for logits in raw[: self.network.heads]]).mean(0).softmax(1)
        reported = self.num_classes
        if self.unreported is not None:
            scores, reported = scores.masked_fill(self.unreported, -1.0), int((~self.unreported).sum())
        best, labels = scores.topk(min(self.config.top_k, reported), 1)
        found = []
        for size, row, label in zip(batch.sizes, best, labels, strict=True):
            box = row.new_tensor([[0.0, 0.0, size[1], size[0]]])
            found.append(Detections(box.expand(len(row), 4).clone(), row, label))
        return found

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :meth:`Detector.class_layout`."""
        return {f"neck.backbone.{name}": ClassLayout() for name in self.network.head_names}


class _Bare(nn.Module):
    """No neck: holds the network where other detectors have theirs."""

    def __init__(self, backbone: WholeNetwork) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """What the network gives."""
        return self.backbone(images)  # type: ignore[no-any-return]
