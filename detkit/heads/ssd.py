"""SSD's head (arXiv:1512.02325): per level, one convolution for the classes of its default boxes and one for their deltas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from pydantic import Field
from torch import Tensor, nn

from detkit.heads.assigned import AssignedTargets, AssigningHead
from detkit.heads.class_layout import ClassLayout
from detkit.heads.default_boxes import DefaultBoxConfig, DefaultBoxes
from detkit.heads.dense import by_anchor
from detkit.heads.float32 import Float32Conv2d
from detkit.heads.one_stage import OneStageHeadConfig, Outputs
from detkit.heads.postprocess import PostprocessConfig
from detkit.layers import ConvNormAct, set_batch_norms
from detkit.ops.coder import decode, encode
from detkit.ops.losses import smooth_l1
from detkit.ops.match import BACKGROUND, match_every_target
from detkit.ops.select import Selection
from detkit.structures import Batch, Size, Targets


class SSDHeadConfig(OneStageHeadConfig):
    """Parameters of SSD's head; the defaults are those of torchvision for SSD300."""

    default_boxes: DefaultBoxConfig = DefaultBoxConfig()
    """Default boxes of every level."""
    lite: bool = False
    """Whether each convolution is replaced by a depthwise one with norm and ReLU6 and a 1x1 one (SSDLite)."""
    positive_iou: float = Field(0.5, ge=0, le=1)
    """IoU with an object from which a default box is positive; each object's best box is positive at any IoU (section 2.2)."""
    negatives_per_positive: float = Field(3.0, ge=0)
    """Background boxes per positive box in the loss of an image, those with the highest loss (hard negative mining, section 2.2)."""
    box_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0)
    """Factors on the deltas of x, y, width and height; SSD's code calls their inverses variances."""
    postprocess: PostprocessConfig = PostprocessConfig(
        min_score=0.01, pre_nms_top_k=None, pre_nms_top_k_per_class=400, nms_iou=0.45, max_detections=200
    )
    """How scored boxes become detections."""

    def build(self, channels: Sequence[int], strides: Sequence[int], num_classes: int, input_size: Size | None = None) -> SSDHead:
        """Build the head; see :meth:`OneStageHeadConfig.build`.

        Raises:
            ValueError: If the default boxes are for another number of levels.
        """
        return SSDHead(channels, num_classes, self.default_boxes.build(len(channels)), self)


class SSDHead(AssigningHead):
    """Classifies every default box and refines it.

    Args:
        channels: Channels of each map.
        num_classes: K; the softmax has background after them, at index K.
        anchors: The default boxes.
        config: Layers, assignment, losses and postprocessing.
    """

    num_outputs = 2
    keeps_score_order_in_bf16 = True

    def __init__(self, channels: Sequence[int], num_classes: int, anchors: DefaultBoxes, config: SSDHeadConfig) -> None:
        super().__init__(num_classes, config.postprocess)
        self.anchors, self.config = anchors, config
        layer = _separable if config.lite else _plain
        counts = list(zip(channels, anchors.per_cell, strict=True))
        self.logits = nn.ModuleList(layer(width, count * (num_classes + 1)) for width, count in counts)
        self.deltas = nn.ModuleList(layer(width, count * 4) for width, count in counts)

    def forward(self, maps: Sequence[Tensor], batch: Batch) -> Outputs:
        """Return ``(B, N, K + 1)`` logits, background last, and ``(B, N, 4)`` deltas."""
        logits = [by_anchor(layer(level), self.num_classes + 1) for layer, level in zip(self.logits, maps, strict=True)]
        deltas = [by_anchor(layer(level), 4) for layer, level in zip(self.deltas, maps, strict=True)]
        return torch.cat(logits, 1), torch.cat(deltas, 1)

    def locations(self, grids: Sequence[Size], batch: Batch) -> list[Tensor]:
        """Return the ``(N_l, 4)`` default boxes of each level."""
        levels: list[Tensor] = self.anchors(batch.padded_size, grids)
        return levels

    def match(self, locations: list[Tensor], targets: Targets) -> Tensor:
        """Assign by IoU, at least one box to every object; background boxes that mining skips are background here too."""
        return match_every_target(torch.cat(locations), targets, positive_iou=self.config.positive_iou)

    def scores(self, outputs: Outputs) -> Tensor:
        """Return the softmax without background."""
        return outputs[0].softmax(-1)[..., : self.num_classes]

    def boxes(self, outputs: Outputs, locations: Tensor, image: int, selection: Selection) -> Tensor:
        """Decode the deltas of the selected default boxes."""
        return decode(outputs[1][image, selection.rows], locations[selection.rows], self.config.box_weights)

    def image_losses(self, outputs: Outputs, assigned: AssignedTargets) -> dict[str, Tensor]:
        """Return ``class`` and ``box`` of one image (equations 1 to 3)."""
        logits, deltas = outputs
        target_deltas = encode(assigned.boxes, assigned.locations, self.config.box_weights)
        return {
            "class": self._class_loss(logits, assigned),
            "box": smooth_l1(deltas[assigned.positive], target_deltas, beta=1.0),
        }

    def _class_loss(self, logits: Tensor, assigned: AssignedTargets) -> Tensor:
        """Return the summed cross entropy of the positive boxes of an image and of its hardest background boxes."""
        log_probabilities = logits.float().log_softmax(-1)
        background_losses = -log_probabilities[assigned.assignment == BACKGROUND, self.num_classes]
        count = min(len(background_losses), int(self.config.negatives_per_positive * len(assigned.positive)))
        return background_losses.topk(count).values.sum() - log_probabilities[assigned.positive, assigned.labels].sum()

    def class_layout(self) -> Mapping[str, ClassLayout]:
        """Return the layout of the last layers of the classes: anchor by anchor, background after the classes."""
        last = "1." if self.config.lite else ""
        return {
            f"logits.{level}.{last}{part}": ClassLayout(groups=count, after=1)
            for level, count in enumerate(self.anchors.per_cell)
            for part in ("weight", "bias")
        }


def _plain(in_channels: int, out_channels: int) -> nn.Module:
    layer = Float32Conv2d(in_channels, out_channels, 3, padding=1)
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _separable(in_channels: int, out_channels: int) -> nn.Module:
    depthwise = ConvNormAct(in_channels, in_channels, groups=in_channels, norm="batch", activation=nn.ReLU6)
    layer = nn.Sequential(depthwise, Float32Conv2d(in_channels, out_channels, 1))
    for part in layer.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=0.03)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    set_batch_norms(layer)
    return layer
