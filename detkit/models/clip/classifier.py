"""CLIP as a classifier of whole images, whose classes are phrases (arXiv:2103.00020, section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, field_validator

from detkit.backbones import BackboneConfig
from detkit.backbones.tower import ImageTower
from detkit.heads.class_layout import ClassLayout
from detkit.heads.text_classes import CosineLogits, check_templates
from detkit.models.classifier import Classifier, ClassifierConfig
from detkit.models.detector import Raw
from detkit.preprocess import PreprocessConfig
from detkit.structures import Batch, Proposals, Targets


class CLIPConfig(ClassifierConfig):
    """CLIP: an image tower, and the embeddings of the classes, which its text tower computed from their names.

    Training adapts the image tower; the embeddings are those in ``weights``, a checkpoint from ``detkit models import``.
    """

    kind: Literal["clip"] = "clip"  # type: ignore[assignment]
    """Kind of model."""
    preprocess: PreprocessConfig = PreprocessConfig(
        rule="center_crop", input_size=(224, 224), rounding="short_first", interpolation="bicubic", antialias=True
    )
    """How images are resized for the model: as by CLIP's own transforms."""
    backbone: BackboneConfig = BackboneConfig(name="vit_base_patch32_clip_quickgelu_224", norm="frozen")
    """The image tower: a network followed by the projection. Its ``levels`` and ``dilated_c5`` are not used."""
    auxiliary_weight: float = Field(default=0.0, ge=0, le=0)
    """Not used: an image tower has no auxiliary classifiers."""
    dimensions: int = Field(default=512, ge=1)
    """Dimensions of the embeddings: 512 for CLIP's ViT-B/32, ViT-B/16 and ResNet-101, 1024 for its ResNet-50, 640 for its ResNet-50x4."""
    templates: tuple[str, ...] = Field(default=("a photo of a {}.",), min_length=1)
    """Prompt templates for each class name, which replaces ``{}``: the embedding is the mean over all templates, normalized to length 1."""

    @field_validator("templates")
    @classmethod
    def _check_placeholders(cls, templates: tuple[str, ...]) -> tuple[str, ...]:
        return check_templates(templates)

    def build(self, num_classes: int) -> CLIP:
        """Build the classifier for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the image tower has settings that a classifier does not support.
        """
        self.check_backbone()
        tower = ImageTower(self.backbone, self.dimensions)
        tower.freeze(self.backbone.stages_to_freeze)
        return CLIP(tower, num_classes, self)


class CLIP(Classifier):
    """Predicts which phrase matches an image; the probabilities are the softmax of scaled cosines.

    Args:
        tower: Computes the embedding of an image.
        num_classes: K.
        config: Dimensions of the embeddings, losses, and number of classes reported.
    """

    config: CLIPConfig

    def __init__(self, tower: ImageTower, num_classes: int, config: CLIPConfig) -> None:
        super().__init__(tower, num_classes, config)
        self.logits = CosineLogits(num_classes, config.dimensions)

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """Return the logits ``(B, K)`` of the images."""
        (embedding,) = self.neck(batch.images)
        return (self.logits(embedding.flatten(1)),)

    def class_layout(self) -> dict[str, ClassLayout]:
        """See :meth:`Detector.class_layout`."""
        return {"logits.embeddings": ClassLayout()}
