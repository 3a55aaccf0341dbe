"""What every detector is: losses when targets are given, detections when not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from detkit.backbones import Backbone, BackboneConfig, load_backbone_weights
from detkit.config import Config, one_of_kinds
from detkit.models import MODELS
from detkit.models.checks import check_images, check_input_size, check_proposals, check_targets
from detkit.preprocess import PreprocessConfig
from detkit.proposals import ProposalsConfig
from detkit.structures import Batch, Detections, Proposals, Size, StageExplanation, Targets

Losses = dict[str, Tensor]
Raw = tuple[Tensor, ...]


@dataclass(frozen=True)
class ClassLayout:
    """How the first dimension of a parameter is laid out by class: ``groups`` x (``before`` + K * ``per_class`` + ``after``).

    A softmax layer with background last has ``after=1``; a dense head with 9 anchors has ``groups=9``; a layer with a box for
    every class has ``per_class=4``.
    """

    groups: int = 1
    per_class: int = 1
    before: int = 0
    after: int = 0

    def rows(self, num_classes: int) -> int:
        """Length of the dimension for so many classes."""
        return self.groups * (self.before + num_classes * self.per_class + self.after)


class DetectorConfig(Config):
    """What all detectors' configs have; a subclass adds ``kind`` and its parts, and builds the detector."""

    whole_images: ClassVar[bool] = False
    """Whether it learns what a image shows as a whole, and nothing of where."""

    kind: str
    """Which detector this is."""
    preprocess: PreprocessConfig = PreprocessConfig()
    """How images are resized before the model sees them."""
    backbone: BackboneConfig = BackboneConfig()
    """The network that makes the maps."""

    def build(self, num_classes: int) -> Detector:
        """The detector with random numbers, for so many classes.

        Raises:
            ValueError: parts do not fit together.
        """
        raise NotImplementedError

    def data_warnings(self, images: int, most_objects: int) -> tuple[str, ...]:
        """What speaks against training this detector from its backbone's weights on so many images, in words for a person.

        Args:
            images: Of the training data.
            most_objects: Of one image.
        """
        return ()

    @property
    def proposals_config(self) -> ProposalsConfig | None:
        """Where the proposals come from, for detectors that are told where to look."""
        return None

    def load_pretrained(self, detector: Detector) -> Any:
        """Fill the backbone with the weights that the config names, if it names any; for a training that starts here.

        Raises:
            FileNotFoundError: the weights are not on this machine; the message says how to get them.
        """
        return load_backbone_weights(detector.backbone, self.backbone)


AnyDetectorConfig = one_of_kinds(DetectorConfig, MODELS)
"""The annotation of a config field that takes any detector's config."""


class Detector(nn.Module):
    """Base of all detectors. A subclass has a ``neck`` and gives :meth:`raw`, :meth:`loss`, :meth:`detect` and :meth:`class_layout`.

    Args:
        neck: What makes the maps: a neck round a backbone.
        num_classes: K; labels are 0 to K - 1.
    """

    takes_proposals: ClassVar[bool] = False
    pad_multiple: ClassVar[int] = 32
    mean: Tensor
    std: Tensor

    def __init__(self, neck: nn.Module, num_classes: int) -> None:
        super().__init__()
        if num_classes < 1:
            raise ValueError(f"a detector needs at least one class, got {num_classes}")
        self.neck, self.num_classes = neck, num_classes
        backbone = self.backbone
        self.register_buffer("mean", torch.tensor(backbone.mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(backbone.std).reshape(3, 1, 1), persistent=False)
        self.input_size: Size | None = None
        self.unreported: Tensor | None
        self.register_buffer("unreported", None, persistent=False)

    @property
    def backbone(self) -> Backbone:
        """The network inside the neck."""
        found: Backbone = self.neck.backbone  # type: ignore[assignment]
        return found

    def forward(
        self,
        images: Sequence[Tensor],
        targets: Sequence[Targets] | None = None,
        proposals: Sequence[Proposals] | None = None,
        seeds: Sequence[int] | None = None,
    ) -> Losses | list[Detections]:
        """Weighted losses to be summed if ``targets`` are given, else detections; the training flag decides nothing.

        Args:
            images: ``(3, H, W)`` float RGB in [0, 1], of any sizes.
            targets: What each image truly shows.
            proposals: Where to look, for detectors that take proposals.
            seeds: One an image, for random choices in the loss; drawn from torch's generator unless given.

        Returns:
            Detections are in the pixels of the images that came in, best first.

        Raises:
            ValueError: the arguments do not fit each other or the model.
        """
        check_images(images)
        if self.takes_proposals:
            check_proposals(proposals, len(images))
        if targets is None:
            batch = self.prepare(images)
            return self.detect(self.raw(batch, proposals), batch)
        check_targets(targets, len(images), self.num_classes)
        batch = self.prepare(images, torch.randint(2**62, (len(images),)).tolist() if seeds is None else seeds)
        return self.loss(self.raw(batch, proposals), batch, targets)

    def prepare(self, images: Sequence[Tensor], seeds: Sequence[int] | None = None) -> Batch:
        """Normalize the images and pad them with zeros, at the right and the bottom, to one size that the strides divide.

        A detector with an ``input_size`` takes images of that size and pads nothing.

        Raises:
            ValueError: an image has another size than ``input_size``.
        """
        sizes = tuple((int(image.shape[-2]), int(image.shape[-1])) for image in images)
        if self.input_size is not None:
            check_input_size(sizes, self.input_size)
        multiple = self.pad_multiple if self.input_size is None else 1
        height, width = (-(-max(sides) // multiple) * multiple for sides in zip(*sizes, strict=True))
        padded = self.mean.new_zeros((len(images), 3, height, width))
        for place, image in enumerate(images):
            padded[place, :, : image.shape[-2], : image.shape[-1]] = (image.to(self.mean.device) - self.mean) / self.std
        return Batch(padded, sizes, tuple(seeds or ()))

    def raw(self, batch: Batch, proposals: Sequence[Proposals] | None = None) -> Raw:
        """All that the networks say about a batch before anything is chosen: a tuple of tensors."""
        raise NotImplementedError

    def loss(self, raw: Raw, batch: Batch, targets: Sequence[Targets]) -> Losses:
        """Weighted losses whose sum is minimized, and nothing else; all stay in the graph also with nothing to learn from."""
        raise NotImplementedError

    def detect(self, raw: Raw, batch: Batch) -> list[Detections]:
        """The detections of each image, best first."""
        raise NotImplementedError

    def set_progress(self, progress: float) -> None:
        """Hear before each step of a training which share of it is over, 0 to 1; most detectors learn the same way throughout."""

    def explain(self, raw: Raw, batch: Batch, targets: Targets) -> tuple[StageExplanation, ...]:
        """What each stage did with the one image of a batch, and what it would have learned there from ``targets``.

        Raises:
            ValueError: this detector has no way to tell.
        """
        raise ValueError(f"{type(self).__name__} cannot be explained: it does not tell its places, its matches and its scores")

    def class_layout(self) -> dict[str, ClassLayout]:
        """The parameters and buffers whose first dimension is laid out by class."""
        raise NotImplementedError

    def report_only(self, class_names: Sequence[str | None]) -> None:
        """Never report classes without a name: slots that a publisher left unused count in a softmax and nowhere else.

        Raises:
            ValueError: there are not as many names as classes.
        """
        if len(class_names) != self.num_classes:
            raise ValueError(f"expected a name (or None) for each of {self.num_classes} classes, got {len(class_names)}")
        unnamed = torch.tensor([name is None for name in class_names], device=self.mean.device)
        self.unreported = unnamed if bool(unnamed.any()) else None
