"""DETR (arXiv:2005.12872): detection as the prediction of a set, without anchors and without suppression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from detkit.heads.detr import DETRHead, DETRHeadConfig
from detkit.models.detector import DetectorConfig, Raw
from detkit.models.one_stage import OneStage
from detkit.necks import NeckConfig, SingleLevelConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Proposals

SMALL_DATA = 10_000
"""Images below which DETR is not known to learn well from an ImageNet backbone alone. Its authors had success with 10,000 to 15,000
and called 2,000 too few (github.com/facebookresearch/detr, issues 9 and 125); on Cityscapes' 2,975 it came to AP 11.7 in 300 epochs, where
a kin that looks at regions came to 22.2 in 50 (github.com/encounter1997/DE-DETRs, arXiv:2203.09507)."""


class DETRConfig(DetectorConfig):
    """DETR; the defaults are those of the released ``detr_resnet50``.

    They are the paper's too. The house differs in one thing: a query that answers for nothing and lies mostly inside a crowd region
    is left out of the loss, where the released code learns as if crowds were not there.
    """

    kind: Literal["detr"] = "detr"
    """Which detector this is."""
    preprocess: PreprocessConfig = PreprocessConfig(rounding="short_first", antialias=True)
    """How images are resized before the model sees them."""
    neck: NeckConfig = SingleLevelConfig()
    """What lies between backbone and transformer; it must give one level."""
    head: DETRHeadConfig = DETRHeadConfig()
    """The transformer, its matching and its losses."""

    def build(self, num_classes: int) -> DETR:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        neck = self.neck.build(self.backbone.build())
        if len(neck.channels) != 1:
            raise ValueError(
                f"detr: expected a neck that gives one level, got {self.neck.kind} with {len(neck.channels)} "
                f"(strides {', '.join(map(str, neck.strides))}); set model.neck.kind=single"
            )
        return DETR(neck, DETRHead(neck.channels[0], num_classes, self.head))

    def data_warnings(self, images: int, most_objects: int) -> tuple[str, ...]:
        """See :meth:`DetectorConfig.doubts`."""
        found = []
        if images < SMALL_DATA:
            found.append(
                f"{images:,} training images are few for DETR, which has to learn from them alone where to look: its authors had "
                f"success from about {SMALL_DATA:,} on, and 2,975 images of Cityscapes gave it AP 11.7; start from a trained detector "
                "(weights=detr_r50 with configs/detr_r50.py), take the model presets_detr.detr_small, or a detector with anchors"
            )
        if most_objects > self.head.num_queries:
            found.append(
                f"a training image has {most_objects} objects, and DETR finds at most model.head.num_queries={self.head.num_queries} in one: "
                "the others are never learned"
            )
        return tuple(found)


class DETR(OneStage):
    """A backbone's last map and a transformer that reads a set of objects out of it.

    Images are padded to the largest of a batch and no further, as when the released weights were trained; what is padding is masked
    in the transformer, and seen by the backbone alone.
    """

    pad_multiple: ClassVar[int] = 1
    head: DETRHead

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None) -> Raw:
        """The head's two tensors, see :meth:`DETRHead.forward`, and behind them the map ``(B, C, h, w)``."""
        maps = self.neck(batch.images)
        return (*self.head(maps, batch), *maps)
