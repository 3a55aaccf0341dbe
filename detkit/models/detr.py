"""DETR (arXiv:2005.12872): detection as set prediction, without anchors and without NMS."""

from __future__ import annotations

from typing import ClassVar, Literal

from detkit.heads.queries.detr import DETRHeadConfig
from detkit.models.one_stage import OneStage, OneStageConfig
from detkit.necks import NeckConfig, SingleLevelConfig
from detkit.preprocess import PreprocessConfig

SMALL_DATA = 10_000
"""Number of images below which DETR is not known to train well from an ImageNet backbone. Its authors had success with 10,000 to 15,000 and
called 2,000 too few (github.com/facebookresearch/detr, issues 9 and 125); on the 2,975 images of Cityscapes it reached AP 11.7 in 300
epochs, and a related detector that attends to regions 22.2 in 50 (github.com/encounter1997/DE-DETRs, arXiv:2203.09507)."""


class DETR(OneStage):
    """A backbone's last map, and a transformer that predicts a set of objects from it.

    Images are padded to the largest of the batch and no further, as in the training of the released weights. The transformer masks the
    padding, the backbone does not.
    """

    pad_multiple: ClassVar[int] = 1


class DETRConfig(OneStageConfig):
    """DETR; the defaults are those of the released ``detr_resnet50``, which are also the paper's.

    There is one difference: a query that is matched to no object and is mostly inside a crowd region is ignored in the loss; the released
    code treats it as "no object", as if there were no crowds.
    """

    detector: ClassVar[type[OneStage]] = DETR

    kind: Literal["detr"] = "detr"
    """Kind of detector."""
    preprocess: PreprocessConfig = PreprocessConfig(rounding="short_first", antialias=True)
    """How images are resized for the model."""
    neck: NeckConfig = SingleLevelConfig()
    """Neck between backbone and transformer; it must have one level."""
    head: DETRHeadConfig = DETRHeadConfig()
    """Transformer, matching and losses."""

    def data_warnings(self, images: int, max_objects: int) -> tuple[str, ...]:
        """See :meth:`DetectorConfig.data_warnings`."""
        warnings = list(super().data_warnings(images, max_objects))
        if images < SMALL_DATA:
            warnings.append(
                f"{images:,} training images are few for DETR, which has no anchors and learns where to look from the data: its authors "
                f"had success with about {SMALL_DATA:,} or more, and on the 2,975 images of Cityscapes it reached AP 11.7; start from a "
                "trained detector (detkit train detr_r50 weights=detr_r50), or use presets.detr_small or a detector with anchors"
            )
        if max_objects > self.head.num_queries:
            warnings.append(
                f"a training image has {max_objects} objects, but DETR detects at most model.head.num_queries={self.head.num_queries} per "
                "image and does not learn the others; increase model.head.num_queries"
            )
        return tuple(warnings)
