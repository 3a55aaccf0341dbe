"""Mask head: a fully convolutional network that predicts a mask for each region (Mask R-CNN, arXiv:1703.06870, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from detkit.accelerate.upsampled_product import upsampled_product
from detkit.config import Config
from detkit.heads.dense import common_channels
from detkit.heads.float32 import Float32Conv2d
from detkit.heads.region.classifier import RegionTargets
from detkit.layers import ConvNormAct, NormName, loss_normalizer
from detkit.ops.losses import binary_cross_entropy, zero_loss
from detkit.ops.masks.targets import mask_targets
from detkit.ops.pooling import as_regions, multilevel_roi_align
from detkit.structures import Batch, Detections, Size, Targets

CHUNK = 100
"""Boxes of which masks are predicted together, which bounds the memory of an image with many objects."""


class MaskHeadConfig(Config):
    """Parameters of the mask head; the defaults are those of torchvision's ``maskrcnn_resnet50_fpn`` (version 2 has ``norm=batch``)."""

    pool_size: int = Field(14, ge=1)
    """Side of a pooled region in cells; a mask has twice as many."""
    sampling_ratio: int = Field(2, ge=0)
    """Samples per cell and direction of the region; 0: as many as the cell has map cells."""
    convs: int = Field(4, ge=0)
    """Number of 3x3 convolutions before the transposed convolution."""
    width: int = Field(256, ge=1)
    """Channels of each convolution, and of the transposed convolution."""
    norm: Literal["batch", "frozen", "group"] | None = None
    """Norm after each 3x3 convolution."""

    def build(self, channels: Sequence[int], strides: tuple[float, ...], num_classes: int) -> MaskHead:
        """Build the head for feature maps with these channels and strides.

        Raises:
            ValueError: If the levels differ in channels.
        """
        network = MaskNetwork(common_channels(channels, "mask"), num_classes, convs=self.convs, width=self.width, norm=self.norm)
        return MaskHead(network, strides, self)


class ClassMasks(Float32Conv2d):
    """1x1 convolution with an output for each class, of which only that of each region's class is computed.

    Args:
        channels: Channels of the input.
        num_classes: K.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__(channels, num_classes, 1)

    def forward(self, regions: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Return the logits ``(N, S, S)``, float32, of the classes ``labels (N,)`` of regions ``(N, C, S, S)``."""
        with torch.autocast(regions.device.type, enabled=False):
            logits = self.kernels(labels)[:, None] @ regions.float().flatten(2)
        return self.shifted(logits.reshape(-1, *regions.shape[2:]), labels)

    def kernels(self, labels: Tensor) -> Tensor:
        """Return ``(N, C)`` float32, the weights of the outputs of some classes."""
        return self.weight.float().flatten(1)[labels]

    def shifted(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the logits ``(N, S, S)`` plus the bias of the class of each."""
        return logits if self.bias is None else logits + self.bias.float()[labels, None, None]


class MaskNetwork(nn.Module):
    """3x3 convolutions, a transposed convolution that doubles the side, and a mask for each class.

    Args:
        channels: Channels of a pooled region.
        num_classes: K.
        convs: Number of 3x3 convolutions.
        width: Channels of each convolution.
        norm: Norm after each 3x3 convolution.
    """

    def __init__(self, channels: int, num_classes: int, *, convs: int, width: int, norm: NormName | None) -> None:
        super().__init__()
        inputs = [channels, *[width] * convs]
        self.convs = nn.Sequential(*(ConvNormAct(count, width, norm=norm) for count in inputs[:convs]))
        self.upsample = nn.ConvTranspose2d(inputs[-1], width, 2, 2)
        self.logits = ClassMasks(width, num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, pooled: Tensor, labels: Tensor) -> Tensor:
        """Return the logits ``(N, 2 S, 2 S)`` of the masks of the classes ``labels (N,)`` of pooled regions ``(N, C, S, S)``."""
        regions, upsample = self.convs(pooled), self.upsample
        if torch.is_grad_enabled() and regions.device.type == "cpu" and upsample.bias is not None:
            values = upsampled_product(regions, upsample.weight, upsample.bias, self.logits.kernels(labels))
            return self.logits.shifted(values, labels)
        logits: Tensor = self.logits(functional.relu(upsample(regions)), labels)
        return logits


class MaskHead(nn.Module):
    """Predicts the mask of the object in each box.

    Args:
        network: The network over pooled regions.
        strides: Strides of the maps that regions are pooled from, finest first.
        config: Parameters of the head.
    """

    def __init__(self, network: MaskNetwork, strides: tuple[float, ...], config: MaskHeadConfig) -> None:
        super().__init__()
        self.network, self.strides, self.config = network, strides, config

    @property
    def side(self) -> int:
        """Cells of a side of a mask."""
        return 2 * self.config.pool_size

    def forward(self, maps: Sequence[Tensor], regions: Tensor, labels: Tensor, *, compiled: bool = True) -> Tensor:
        """Return the logits ``(N, M, M)`` of the masks in boxes of given classes; only the first ``len(strides)`` maps are used.

        Args:
            maps: ``(B, C, H_l, W_l)``.
            regions: ``(N, 5)`` position of the image, ``x1 y1 x2 y2``.
            labels: ``(N,)`` classes.
            compiled: Whether pooling may load compiled kernels; see :func:`detkit.ops.pooling.multilevel_roi_align`.
        """
        size, ratio = self.config.pool_size, self.config.sampling_ratio
        levels = tuple(maps[: len(self.strides)])
        pooled = multilevel_roi_align(levels, regions, output_size=size, sampling_ratio=ratio, strides=self.strides, compiled=compiled)
        logits: Tensor = self.network(pooled, labels)
        return logits

    def loss(self, maps: Sequence[Tensor], samples: Sequence[RegionTargets], batch: Batch, targets: Sequence[Targets]) -> Tensor:
        """Return the mean binary cross entropy over the cells of the positive boxes, each in the mask of the class of its object.

        Boxes of objects without a labeled mask are left out.
        """
        parts = [_learned(*rows, self.side) for rows in zip(samples, targets, batch.sizes, strict=True)]
        labels = torch.cat([part.labels for part, _ in parts])
        total = loss_normalizer(torch.tensor(float(len(labels)), device=labels.device)) * self.side**2
        if not len(labels):
            return zero_loss(*(parameter for parameter in self.parameters() if parameter.requires_grad))
        logits = self(maps, as_regions([part.boxes for part, _ in parts]), labels)
        return binary_cross_entropy(logits, torch.cat([grids for _, grids in parts])) / total

    def with_masks(self, maps: Sequence[Tensor], detections: Sequence[Detections], *, compiled: bool = True) -> list[Detections]:
        """Return the detections of each image with the probabilities of their masks, by the class of each.

        Args:
            maps: ``(B, C, H_l, W_l)``.
            detections: Detections of each image, in pixels of the maps' input.
            compiled: As in :meth:`forward`.
        """
        regions = as_regions([rows.boxes for rows in detections])
        labels = torch.cat([rows.labels for rows in detections])
        chunks = zip(torch.split(regions, CHUNK), torch.split(labels, CHUNK), strict=True)
        logits = [self(maps, *chunk, compiled=compiled) for chunk in chunks if len(chunk[0])]
        masks = torch.cat(logits).sigmoid() if logits else regions.new_zeros((0, self.side, self.side))
        parts = torch.split(masks, [len(rows) for rows in detections])
        return [rows.replace(mask_probabilities=part) for rows, part in zip(detections, parts, strict=True)]


@torch.no_grad()
def _learned(sample: RegionTargets, targets: Targets, size: Size, side: int) -> tuple[RegionTargets, Tensor]:
    """Return the positive boxes of an image whose objects have a labeled mask, and their target masks ``(n, side, side)``."""
    boxes, rows = sample.boxes[: len(sample.rows)], sample.rows.cpu().numpy()
    if targets.masks is None:
        return _part(sample, sample.rows[:0]), boxes.new_zeros((0, side, side))
    present = targets.masks.present[rows]
    grids = mask_targets(targets.masks, rows[present], boxes.cpu().numpy()[present], size, side)
    kept = torch.from_numpy(present).nonzero().flatten().to(boxes.device)
    return _part(sample, kept), torch.from_numpy(grids).to(boxes.device)


def _part(sample: RegionTargets, index: Tensor) -> RegionTargets:
    """Return some of the positive boxes."""
    return RegionTargets(sample.boxes[index], sample.labels[index], sample.deltas[index], sample.rows[index])
