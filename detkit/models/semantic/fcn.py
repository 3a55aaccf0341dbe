"""Fully convolutional networks for semantic segmentation (arXiv:1411.4038): torchvision's form, and that of the paper with skips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import nn

from detkit.backbones import BackboneConfig
from detkit.heads.class_layout import ClassLayout
from detkit.heads.semantic.layers import FCNHead, SkipHead
from detkit.heads.semantic.losses import pixel_losses
from detkit.models.detector import Losses, Raw
from detkit.models.semantic.segmenter import Segmenter, SegmenterConfig
from detkit.necks.backbone_maps import BackboneMaps
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Proposals, Targets


class FCNConfig(SegmenterConfig):
    """FCN: logits of the backbone's maps, interpolated bilinearly to the input.

    The defaults have the head of torchvision's ``fcn_resnet50`` on a map of stride 16. torchvision also dilates the stage before:
    ``backbone.dilated_c4=true``, for stride 8. ``auxiliary_weight`` needs the map before the last one too: ``backbone.levels=c4,c5``.
    """

    kind: Literal["fcn"] = "fcn"
    """Kind of model."""
    preprocess: PreprocessConfig = PreprocessConfig(rule="letterbox", input_size=(512, 512), antialias=True)
    """How images are resized for the model."""
    backbone: BackboneConfig = BackboneConfig(name="resnet50", levels=("c5",), dilated_c5=True, frozen_stages=0, norm="train")
    """Network that computes the feature maps."""
    head: Literal["fcn", "skips"] = "fcn"
    """``fcn``: two convolutions over the last map, as in torchvision; ``skips``: a 1x1 convolution over each map, whose logits are added at
    the next finer stride (FCN-8s with the levels c3, c4 and c5 of a backbone that is not dilated)."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the values before the last convolution that are dropped in training."""
    auxiliary_weight: float = Field(default=0.0, ge=0)
    """Weight of the same losses of a second head on the map before the last one, in training only; 0: no such head; torchvision: 0.5."""

    def build(self, num_classes: int) -> FCN:
        """Build the model for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the backbone's settings do not fit it, or it has too few maps.
        """
        neck, outputs = BackboneMaps(self.backbone.build()), self.num_outputs(num_classes)
        count = 2 if self.head == "skips" or self.auxiliary_weight else 1
        if len(neck.channels) < count:
            reason = (
                "head=skips adds the logits of several maps" if self.head == "skips" else "auxiliary_weight needs a map before the last"
            )
            raise ValueError(f"fcn: {reason}: expected {count} levels or more, got {len(neck.channels)}; set model.backbone.levels=c4,c5")
        if self.head == "skips":
            return FCN(neck, SkipHead(neck.channels, outputs, self.dropout), num_classes, self)
        auxiliary = FCNHead(neck.channels[-2], outputs, self.dropout) if self.auxiliary_weight else None
        return FCN(neck, FCNHead(neck.channels[-1], outputs, self.dropout), num_classes, self, auxiliary)


class FCN(Segmenter):
    """A fully convolutional network.

    Args:
        neck: Returns the backbone's maps, finest first.
        head: Predicts logits from the last map, or from all of them.
        num_classes: K.
        config: See :class:`Segmenter`.
        auxiliary: Predicts logits from the map before the last one in training.
    """

    config: FCNConfig

    def __init__(
        self, neck: nn.Module, head: FCNHead | SkipHead, num_classes: int, config: FCNConfig, auxiliary: FCNHead | None = None
    ) -> None:
        super().__init__(neck, head, num_classes, config)
        self.auxiliary = auxiliary

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """See :meth:`Segmenter.raw`; with targets, the logits of the auxiliary head are the second tensor."""
        del proposals
        maps = self.neck(batch.images)
        logits = self.head(maps) if isinstance(self.head, SkipHead) else self.head(maps[-1])
        if self.auxiliary is None or targets is None:
            return (self.interpolated(logits, batch),)
        return self.interpolated(logits, batch), self.interpolated(self.auxiliary(maps[-2]), batch)

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """See :meth:`Segmenter.loss`; the losses of the auxiliary head are named ``auxiliary_...``."""
        if len(raw) == 1:
            return super().loss(raw, batch, targets)
        labels, losses = self.label_maps(batch, targets), self.config.losses
        auxiliary = pixel_losses(raw[1], labels, losses)
        weighted = {f"auxiliary_{name}": value * self.config.auxiliary_weight for name, value in auxiliary.items()}
        return pixel_losses(raw[0], labels, losses) | weighted

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :meth:`Detector.class_layout`."""
        layout = ClassLayout(after=int(self.config.background))
        names = [f"head.logits.{index}" for index in range(len(self.head.logits))] if isinstance(self.head, SkipHead) else ["head.logits"]
        names += [] if self.auxiliary is None else ["auxiliary.logits"]
        return {f"{name}.{part}": layout for name in names for part in ("weight", "bias")}
