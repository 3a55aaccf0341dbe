"""U-Net (arXiv:1505.04597): the paper's network, and its expansive path over any backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

from pydantic import Field
from torch import nn

from detkit.backbones import BackboneConfig
from detkit.config import Config
from detkit.heads.semantic.layers import PixelHead
from detkit.models.detector import Detector, Raw
from detkit.models.semantic.contracting_path import ContractingPath, PaperUNetConfig
from detkit.models.semantic.segmenter import Segmenter, SegmenterConfig
from detkit.necks.unet import UNetDecoder, mirrored
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Proposals, Targets


class UNetDecoderConfig(Config):
    """Expansive path: transposed convolutions, each followed by the backbone's map of the same stride and two 3x3 convolutions."""

    channels: tuple[int, ...] = Field(default=(256, 128, 64, 32, 16), min_length=1)
    """Channels of each step, coarsest first: one for each map of the backbone but the coarsest, then one for each further halving of the
    stride. With fewer, the logits are interpolated from the last stride to the input."""
    norm: Literal["batch", "group"] | None = "batch"
    """Norm after each convolution."""


class UNetConfig(SegmenterConfig):
    """U-Net: a backbone and a decoder that restores the resolution with the help of the backbone's finer maps."""

    kind: Literal["unet"] = "unet"
    """Kind of model."""
    preprocess: PreprocessConfig = PreprocessConfig(rule="letterbox", input_size=(512, 512), antialias=True)
    """How images are resized for the model."""
    backbone: BackboneConfig = BackboneConfig(name="resnet50", levels=("c1", "c2", "c3", "c4", "c5"), frozen_stages=0, norm="train")
    """Network that computes the feature maps; ``c1`` has stride 2. Not used with ``paper``."""
    decoder: UNetDecoderConfig = UNetDecoderConfig()
    """Decoder over the backbone's feature maps. Not used with ``paper``."""
    paper: PaperUNetConfig | None = None
    """The network of the paper, which has no pretrained weights, instead of backbone and decoder."""

    def build(self, num_classes: int) -> Segmenter:
        """Build the model for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the decoder does not fit the backbone's maps.
        """
        outputs = self.num_outputs(num_classes)
        if self.paper is not None:
            return PaperUNet(self.paper, outputs, num_classes, self)
        neck = UNetDecoder(self.backbone.build(), self.decoder.channels, norm=self.decoder.norm)
        return Segmenter(neck, PixelHead(neck.channels[-1], outputs), num_classes, self)

    def load_pretrained(self, detector: Detector) -> Any:
        """See :meth:`DetectorConfig.load_pretrained`; the paper's network has no published weights."""
        return None if self.paper is not None else super().load_pretrained(detector)


class PaperUNet(Segmenter):
    """The network of the paper.

    With valid convolutions, the input is mirrored at its edges, so that the output covers all of it.

    Args:
        paper: The settings of the network.
        num_outputs: Number of classes with background, if it is one.
        num_classes: K.
        config: See :class:`Segmenter`.
    """

    def __init__(self, paper: PaperUNetConfig, num_outputs: int, num_classes: int, config: SegmenterConfig) -> None:
        valid = paper.padding == "valid"
        neck = UNetDecoder(ContractingPath(paper), paper.channels[-2::-1], norm=paper.norm, valid=valid)
        super().__init__(neck, PixelHead(neck.channels[-1], num_outputs), num_classes, config)
        self.margin = cast("ContractingPath", neck.backbone).margin if valid else 0
        self.multiple = 2 ** (len(paper.channels) - 1)
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")  # section 3: a standard deviation of sqrt(2 / N)

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """See :meth:`Segmenter.raw`."""
        del proposals, targets
        height, width = batch.padded_size
        lost = 4 if self.margin else 0  # two valid convolutions before a pooling: its input is even if the sides are 4 less than a multiple
        extra_y, extra_x = (-(side + 2 * self.margin + lost) % self.multiple for side in (height, width))
        images = mirrored(batch.images, self.margin, self.margin, self.margin + extra_x, self.margin + extra_y)
        logits = self.head(self.neck(images)[-1])
        return (logits[..., :height, :width],)
