"""The networks of exported models that classify whole images or pixels."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from detkit.export.graph import Graph
from detkit.export.resampling import replace_adaptive_pools
from detkit.heads.postprocess import PostprocessConfig
from detkit.inference.exported.metadata import OutputKind
from detkit.models.classifier import Classifier
from detkit.models.semantic.segmenter import Segmenter


class ClassScores(Graph):
    """An image classifier.

    Args:
        detector: The classifier; not modified.
        fold: Whether batch norms are folded into the convolutions.
    """

    kind: ClassVar[OutputKind] = "classes"

    def __init__(self, detector: Classifier, *, fold: bool = True) -> None:
        super().__init__(detector, fold=fold)
        replace_adaptive_pools(self.detector)
        self.rules = PostprocessConfig(min_score=0.0, pre_nms_top_k=None, nms_iou=None, max_detections=detector.config.top_k)

    def forward(self, images: Tensor) -> Tensor:
        """Return the probabilities of the classes of whole images, ``(B, K)``; -1 for classes that are never reported.

        Args:
            images: ``(B, 3, H, W)`` float RGB in [0, 1], resized according to the classifier's config.
        """
        scores: Tensor = self.detector.probabilities(self.detector.raw(self.batch(images)))
        return scores if self.detector.unreported is None else scores.masked_fill(self.detector.unreported, -1.0)


class PixelProbabilities(Graph):
    """A model for semantic segmentation.

    Args:
        detector: The model; not modified.
        fold: Whether batch norms are folded into the convolutions.
    """

    kind: ClassVar[OutputKind] = "pixels"

    def __init__(self, detector: Segmenter, *, fold: bool = True) -> None:
        super().__init__(detector, fold=fold)
        self.rules = PostprocessConfig(min_score=0.0, pre_nms_top_k=None, nms_iou=None, max_detections=None)

    def forward(self, images: Tensor) -> Tensor:
        """Return the probability of each class in every pixel, ``(B, K, H, W)``; the rest of 1 is that of the background.

        Args:
            images: ``(B, 3, H, W)`` float RGB in [0, 1], resized according to the model's config.
        """
        (logits,) = self.detector.raw(self.batch(images))
        probabilities: Tensor = logits.float().softmax(1)[:, : self.detector.num_classes]
        return probabilities
