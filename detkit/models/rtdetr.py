"""RT-DETR (arXiv:2304.08069) and RT-DETRv2 (arXiv:2407.17140): a DETR that selects its queries and runs in real time, without NMS."""

from __future__ import annotations

from typing import Literal

from detkit.backbones import BackboneConfig
from detkit.heads.queries.rtdetr import RTDETRHeadConfig
from detkit.models.one_stage import OneStageConfig
from detkit.necks import HybridEncoderConfig, NeckConfig
from detkit.preprocess import PreprocessConfig


class QueryDetectorConfig(OneStageConfig):
    """Base of the configs of detectors with selected queries."""

    preprocess: PreprocessConfig = PreprocessConfig(rule="fixed", input_size=(640, 640), antialias=True)
    """How images are resized for the model: stretched to one size."""
    neck: NeckConfig = HybridEncoderConfig()
    """Encoder between backbone and decoder."""
    head: RTDETRHeadConfig = RTDETRHeadConfig()
    """Query selection, decoder, matching and losses."""

    def data_warnings(self, images: int, max_objects: int) -> tuple[str, ...]:
        """See :meth:`DetectorConfig.data_warnings`."""
        warnings = super().data_warnings(images, max_objects)
        if max_objects <= self.head.num_queries:
            return warnings
        return (
            *warnings,
            f"a training image has {max_objects} objects, but at most model.head.num_queries={self.head.num_queries} per image are "
            "detected, and the others are not learned; increase model.head.num_queries",
        )


class RTDETRConfig(QueryDetectorConfig):
    """RT-DETR; the defaults are those of the released RT-DETRv2 on a ResNet-50, which has the network of RT-DETR.

    Version 2 differs in its training, and by ``head.points`` it may read another number of cells on each level. Smaller models have
    fewer decoder layers and narrower blocks; see ``presets.rtdetr_v2_r18`` and others.
    """

    kind: Literal["rtdetr"] = "rtdetr"
    """Kind of detector."""
    backbone: BackboneConfig = BackboneConfig(
        name="resnet50d", levels=("c3", "c4", "c5"), normalization="none", norm="frozen", frozen_stages=1
    )
    """Network that computes the feature maps."""
