"""Base of all detectors: losses if targets are given, detections otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from detkit.backbones import Backbone, BackboneConfig, load_backbone_weights
from detkit.config import Config, one_of_kinds
from detkit.heads.class_layout import ClassLayout
from detkit.heads.postprocess import PostprocessConfig
from detkit.heads.region.classifier import RegionConfig
from detkit.models import MODELS
from detkit.models.checks import check_images, check_input_size, check_proposals, check_targets
from detkit.ops.match import extend_regions
from detkit.preprocess import PreprocessConfig
from detkit.proposals import ProposalsConfig
from detkit.structures import Batch, Detections, Proposals, Size, StageExplanation, Targets

Losses = dict[str, Tensor]
Raw = tuple[Tensor, ...]


class DetectorConfig(Config):
    """Base of the configs of all detectors; a subclass adds ``kind`` and its parts, and builds the detector."""

    whole_images: ClassVar[bool] = False
    """Whether the model classifies whole images instead of detecting objects."""
    segments: ClassVar[bool] = False
    """Whether the model predicts the class of every pixel instead of detecting objects."""
    learns_masks: ClassVar[bool] = False
    """Whether training needs the masks of the objects."""

    kind: str
    """Kind of detector."""
    preprocess: PreprocessConfig = PreprocessConfig()
    """How images are resized for the model."""
    backbone: BackboneConfig = BackboneConfig()
    """Network that computes the feature maps."""

    def build(self, num_classes: int) -> Detector:
        """Build the detector for ``num_classes`` classes with randomly initialized weights.

        Raises:
            ValueError: If the parts do not fit together.
        """
        raise NotImplementedError

    def data_warnings(self, images: int, max_objects: int) -> tuple[str, ...]:
        """Return warnings about training this detector on such data from the weights of its backbone only.

        Args:
            images: Number of training images.
            max_objects: Maximum number of objects in an image.
        """
        del images, max_objects
        return ()

    @property
    def detection_limit(self) -> tuple[str, int | None]:
        """Config key of the maximum number of detections per image, and its value; None: no limit."""
        parts = {"head.postprocess": getattr(getattr(self, "head", None), "postprocess", None), "region": getattr(self, "region", None)}
        for name, part in parts.items():
            if isinstance(part, PostprocessConfig):
                return f"{name}.max_detections", part.max_detections
        return "", None

    @property
    def proposals_config(self) -> ProposalsConfig | None:
        """Source of the proposals, for detectors that take proposals; otherwise None."""
        return None

    @property
    def region_config(self) -> RegionConfig | None:
        """Settings of the second stage, for detectors with regions; otherwise None."""
        return None

    def load_pretrained(self, detector: Detector) -> Any:
        """Load the weights that the config names, if any, into the backbone, at the start of a training.

        Raises:
            FileNotFoundError: If the weights are not on this machine; the message gives the command that fetches them.
        """
        return load_backbone_weights(detector.backbone, self.backbone)


AnyDetectorConfig = one_of_kinds(DetectorConfig, MODELS)
"""Type annotation of a config field that accepts the config of any detector."""


class Detector(nn.Module):
    """Base of all detectors.

    A subclass has a ``neck`` and implements :meth:`raw`, :meth:`loss`, :meth:`detect` and :meth:`class_layout`.

    Args:
        neck: Computes the feature maps: a neck over a backbone.
        num_classes: K; labels are 0 to K - 1.
    """

    takes_proposals: ClassVar[bool] = False
    pad_multiple: ClassVar[int] = 32
    mean: Tensor
    std: Tensor

    def __init__(self, neck: nn.Module, num_classes: int) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"num_classes: expected at least one class, got {num_classes}")
        self.neck, self.num_classes = neck, num_classes
        backbone = self.backbone
        self.register_buffer("mean", torch.tensor(backbone.mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).reshape(3, 1, 1), persistent=False)
        self.input_size: Size | None = None
        self.unreported: Tensor | None
        self.register_buffer("unreported", None, persistent=False)

    @property
    def backbone(self) -> Backbone:
        """The backbone inside the neck."""
        return cast("Backbone", self.neck.backbone)

    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets] | None = None,
        proposals: Sequence[Proposals] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Losses | list[Detections]:
        """Return weighted losses to be summed if ``targets`` are given, otherwise detections.

        The training flag does not matter for this choice.

        Args:
            images: ``(3, H, W)`` float RGB in [0, 1], of any sizes.
            targets: Ground truth of each image.
            proposals: Proposals of each image, for detectors that take them.
            seeds: One per image, for random choices in the loss; drawn from torch's generator by default.

        Returns:
            Losses by name, or the detections of each image in pixels of the input image, best first.

        Raises:
            ValueError: If the arguments do not fit each other or the model.
        """
        check_images(images)
        if self.takes_proposals:
            check_proposals(proposals, len(images))
        if targets is None:
            batch = self.prepare(images)
            return self.detect(self.raw(batch, proposals), batch)
        check_targets(targets, len(images), self.num_classes)
        batch = self.prepare(images, torch.randint(2**62, (len(images),)).tolist() if seeds is None else seeds)
        targets = extend_regions(targets, batch.sizes)
        return self.loss(self.raw(batch, proposals, targets), batch, targets)

    def prepare(self, images: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Batch:
        """Normalize the images and pad them with zeros, at the right and the bottom, to one size divisible by the strides.

        A detector with an ``input_size`` takes images of that size and does not pad.

        Raises:
            ValueError: If an image does not have the size ``input_size``.
        """
        sizes = tuple((int(image.shape[-2]), int(image.shape[-1])) for image in images)
        if self.input_size is not None:
            check_input_size(sizes, self.input_size)
        multiple = self.pad_multiple if self.input_size is None else 1
        height, width = (-(-max(sides) // multiple) * multiple for sides in zip(*sizes, strict=True))
        padded = self.mean.new_zeros((len(images), 3, height, width))
        for index, image in enumerate(images):
            padded[index, :, : image.shape[-2], : image.shape[-1]] = (image.to(self.mean.device) - self.mean) / self.std
        return Batch(padded, sizes, tuple(seeds or ()))

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None, targets: Sequence[Targets] | None = None) -> Raw:
        """Return the raw outputs of the networks for a batch, before postprocessing, as a tuple of tensors.

        Args:
            batch: The images, as :meth:`prepare` returns them.
            proposals: Proposals of each image, for detectors that take them.
            targets: Ground truth of each image, given only while losses are computed, for networks that are shown the objects as they
                learn, such as with denoising queries; other networks ignore them. Detection, export, explanations and teachers never
                pass them.
        """
        raise NotImplementedError

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Return the weighted losses, whose sum is minimized.

        They are the only entries, and all of them stay in the graph even if there is nothing to learn from.
        """
        raise NotImplementedError

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """Return the detections of each image, best first."""
        raise NotImplementedError

    def set_progress(self, progress: float) -> None:
        """Set the fraction of the training that is done, 0 to 1, before each step.

        Most detectors ignore it, as their losses do not change during training.
        """

    def explain(self, raw: Raw, batch: Batch, targets: Targets) -> tuple[StageExplanation, ...]:
        """Explain each stage for a batch of one image, including the assignment of ``targets`` in it.

        Raises:
            ValueError: If this detector does not support it.
        """
        raise ValueError(f"explain: {type(self).__name__} does not support it; use a detector that implements explain()")

    def class_layout(self) -> dict[str, ClassLayout]:
        """Return the parameters and buffers whose first dimension is laid out by class, with their layouts."""
        raise NotImplementedError

    def hide_unnamed_classes(self, class_names: Sequence[str | None]) -> None:
        """Never report classes without a name.

        Such slots, which a publisher left unused, count in the softmax but not in the detections.

        Raises:
            ValueError: If the number of names is not the number of classes.
        """
        if len(class_names) != self.num_classes:
            raise ValueError(f"class names: expected a name (or None) for each of {self.num_classes} classes, got {len(class_names)}")
        unnamed = torch.tensor([name is None for name in class_names], device=self.mean.device)
        self.unreported = unnamed if bool(unnamed.any()) else None
