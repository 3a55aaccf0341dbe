"""From a record to a sample: the image read, augmented, and turned into tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.data.augment import AnnotatedImage, Augmenter
from detkit.data.augment.annotated_image import Image, Other
from detkit.data.cache import ImageCache
from detkit.data.record_image import read_record, whole_image
from detkit.data.records import ImageId, ImageRecord, Records
from detkit.data.sampler import SampleKey
from detkit.structures import Proposals, Targets

ProposalSource = Callable[[ImageRecord, Image], Proposals]
"""Gives the proposals of a record's image, ``(H, W, 3)`` uint8 RGB, in its own pixels."""


class SampleError(RuntimeError):
    """A training sample could not be made; the message names the image's file."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One training image.

    Attributes:
        image: ``(3, H, W)`` uint8 RGB.
        targets: Its objects, in the image's pixels.
        path: The image's file.
        image_id: The image's id in its data set.
        seed: The number from which this sample was made, a function of the run's seed, the epoch and the index.
        proposals: Boxes that may show an object, in the image's pixels, if there is a source of them.
        is_labeled: False where ``targets`` say too little because nobody labeled the image, or one that was mixed into it.
    """

    image: Tensor
    targets: Targets
    path: str
    image_id: ImageId
    seed: int
    proposals: Proposals | None = None
    is_labeled: bool = True


class DetectionDataset(torch.utils.data.Dataset[Sample]):
    """Samples by ``(epoch, index)``: the same key gives the same sample, in any process, at any time.

    Args:
        records: The images.
        augmenter: What is done to them.
        seed: The run's seed.
        proposals: Gives each image's proposals, for detectors that are trained on given ones.
        cache: Keeps decoded images.
        is_labeled: ``(M,)`` bool; None if every image was labeled.
        whole: Whether labels are of images as a whole, and stay whatever augmentation leaves of these.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        augmenter: Augmenter,
        seed: int = 0,
        *,
        proposals: ProposalSource | None = None,
        cache: ImageCache | None = None,
        is_labeled: NDArray[np.bool_] | None = None,
        whole: bool = False,
    ) -> None:
        self.records = Records.of(records)
        self.augmenter, self.seed = augmenter, seed
        self._proposals, self._cache, self._is_labeled, self._whole = proposals, cache, is_labeled, whole

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: SampleKey | tuple[int, int]) -> Sample:
        """The sample of a key.

        Raises:
            SampleError: the image cannot be read, is not of the size that its labels were made for, or cannot be augmented.
        """
        epoch, index, copy = SampleKey(*key)
        record = self.records[index]
        seed = image_seed(self.seed, epoch, f"{index} {copy}")
        try:
            photo = self.image(index)
            photo = self.augmenter(photo, np.random.default_rng(seed), self._others(photo.is_labeled), epoch)
        except Exception as error:
            said = str(error) if str(record.path) in str(error) else f"{record.path}: no training sample could be made of it: {error}"
            raise SampleError(said) from error
        image, targets = _planes(photo.image), photo.targets
        if self._whole:
            targets = whole_image(photo.size, record.targets.labels)
        return Sample(image, targets, str(record.path), record.image_id, seed, photo.proposals, photo.is_labeled)

    def image(self, index: int) -> AnnotatedImage:
        """A record's image as it is in its file, with its rows.

        Raises:
            ValueError: it has another size than its record says.
        """
        record = self.records[index]
        image = None if self._cache is None else self._cache.get(index)
        if image is None:
            image = read_record(record)
            if image.shape[:2] != record.size:
                raise ValueError(
                    f"{record.path}: its labels are for {record.size[1]} x {record.size[0]} pixels, but the image has "
                    f"{image.shape[1]} x {image.shape[0]}; was it replaced or rotated after the labels were read?"
                )
            if self._cache is not None:
                self._cache.put(index, image)
        labeled = self._is_labeled is None or bool(self._is_labeled[index])
        return AnnotatedImage(image, record.targets, None if self._proposals is None else self._proposals(record, image), labeled)

    def _others(self, labeled: bool) -> Other:
        """Gives any image, but to a labeled one labeled ones only: what it is mixed with must not cost it its labels."""
        chosen = None if self._is_labeled is None or not labeled else np.flatnonzero(self._is_labeled)

        def another(random_numbers: np.random.Generator) -> AnnotatedImage:
            place = int(random_numbers.integers(len(self) if chosen is None else len(chosen)))
            return self.image(place if chosen is None else int(chosen[place]))

        return another


def _planes(image: Image) -> Tensor:
    """``(3, H, W)`` from ``(H, W, 3)``; OpenCV takes half of NumPy's time and an eighth of PyTorch's."""
    tensor = torch.empty((3, *image.shape[:2]), dtype=torch.uint8)
    cv2.split(image, list(tensor.numpy()))
    return tensor


def image_seed(seed: int, step: int, image_id: ImageId) -> int:
    """A number from 0 to 2^63 - 1 for random choices about one image in one step; the same in every process."""
    text = f"{seed} {step} {type(image_id).__name__} {image_id}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
