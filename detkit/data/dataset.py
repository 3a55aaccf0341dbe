"""Training samples: an image is read, augmented and converted to tensors."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.arrays import ImageArray
from detkit.data.augment import AnnotatedImage, Augmenter
from detkit.data.augment.annotated_image import ImageSampler
from detkit.data.cache import ImageCache
from detkit.data.mask_pixels import mask_pixels
from detkit.data.record_image import cut_window, read_record, whole_image_targets
from detkit.data.records import ImageId, ImageRecord, Records
from detkit.data.sampler import SampleKey
from detkit.data.storage.files import prefetch
from detkit.data.tiles import TileSampler, targets_of_tile
from detkit.ops.windows import Window
from detkit.structures import Proposals, Targets

ProposalSource = Callable[[ImageRecord, ImageArray], Proposals]
"""Returns the proposals of a record's image or of a tile of it, ``(H, W, 3)`` uint8 RGB, in pixels of that image."""


class SampleError(RuntimeError):
    """A training sample could not be created; the message names the image file."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One training image.

    Attributes:
        image: ``(3, H, W)`` uint8 RGB.
        targets: Its objects, in pixels of the image.
        path: The image file.
        image_id: The image's id in its data set.
        seed: The seed of this sample, a function of the run's seed, the epoch and the index.
        proposals: Boxes that may contain an object, in pixels of the image; None without a source of proposals.
        is_labeled: False where ``targets`` are incomplete because the image, or one that was mixed into it, is unlabeled.
    """

    image: Tensor
    targets: Targets
    path: str
    image_id: ImageId
    seed: int
    proposals: Proposals | None = None
    is_labeled: bool = True


class DetectionDataset(torch.utils.data.Dataset[Sample]):
    """Samples by ``(epoch, index)``; the same key gives the same sample in any process, at any time.

    Args:
        records: The images.
        augmenter: The augmentation to apply.
        seed: The run's seed.
        proposals: Returns each image's proposals, for detectors that are trained on external ones.
        cache: Keeps decoded images.
        is_labeled: ``(M,)`` bool; None if every image is labeled.
        is_classification: Whether labels are of whole images, and so are kept whatever augmentation crops.
        tiles: Draws a part of each image; None: images are used whole.
        masks: Whether the targets get the masks of their objects.
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
        is_classification: bool = False,
        tiles: TileSampler | None = None,
        masks: bool = False,
    ) -> None:
        self.records = Records.of(records)
        self.augmenter, self.seed = augmenter, seed
        self._proposals, self._cache, self._is_labeled, self._is_classification = proposals, cache, is_labeled, is_classification
        self._tiles, self._masks = tiles, masks

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: SampleKey | tuple[int, int]) -> Sample:
        """Return the sample of a key.

        Raises:
            SampleError: If the image cannot be read, has another size than its labels state, or cannot be augmented.
        """
        epoch, index, copy = SampleKey(*key)
        record = self.records[index]
        seed = image_seed(self.seed, epoch, f"{index} {copy}")
        try:
            random_numbers = np.random.default_rng(seed)
            annotated = self._view(index, random_numbers)
            annotated = self.augmenter(annotated, random_numbers, self._image_sampler(annotated.is_labeled), epoch)
        except Exception as error:
            named = str(record.path) in str(error)
            message = str(error) if named else f"{record.path}: the training sample could not be created: {error}"
            raise SampleError(message) from error
        image, targets = _to_tensor(annotated.image), annotated.targets
        if self._is_classification:
            targets = whole_image_targets(annotated.size, record.targets.labels)
        return Sample(image, targets, str(record.path), record.image_id, seed, annotated.proposals, annotated.is_labeled)

    def prefetch(self, keys: Sequence[SampleKey | tuple[int, int]]) -> None:
        """Read the images of some samples at once where they are in object storage, for their use in this process right afterwards."""
        indices = dict.fromkeys(SampleKey(*key).record for key in keys)
        prefetch(self.records.paths[index] for index in indices if self._cache is None or not self._cache.has(index))

    def image(self, index: int, window: Window | None = None) -> AnnotatedImage:
        """Return a record's image as stored in its file, or a window of it, with its targets and proposals.

        Raises:
            ValueError: If the image has another size than its record states.
        """
        record, image = self.records[index], self._pixels(index, window)
        targets = record.targets
        if window is not None:
            targets = targets_of_tile(targets, window, 0.0 if self._tiles is None else self._tiles.config.min_visibility).targets
        if self._masks:
            masks = mask_pixels(targets.segmentations, len(targets), record.size, str(record.path))
            targets = targets.replace(masks=masks if window is None else masks.cropped(window))
        labeled = self._is_labeled is None or bool(self._is_labeled[index])
        return AnnotatedImage(image, targets, None if self._proposals is None else self._proposals(record, image), labeled)

    def _view(self, index: int, random_numbers: np.random.Generator) -> AnnotatedImage:
        """Return a record's image, or a tile of it that is drawn at random."""
        return self.image(index, None if self._tiles is None else self._tiles.draw(index, random_numbers))

    def _pixels(self, index: int, window: Window | None = None) -> ImageArray:
        """Return the pixels of a record's image, or of a window of it, ``(H, W, 3)``."""
        record = self.records[index]
        cached = None if self._cache is None else self._cache.get(index, window)
        if cached is not None:
            return cached
        image = read_record(record)
        if image.shape[:2] != record.size:
            raise ValueError(
                f"{record.path}: its labels are for {record.size[1]} x {record.size[0]} pixels, but the image has "
                f"{image.shape[1]} x {image.shape[0]}; was it replaced or rotated after the labels were read?"
            )
        if self._cache is not None:
            self._cache.put(index, image)
        return image if window is None else cut_window(image, window, record.path)

    def _image_sampler(self, labeled: bool) -> ImageSampler:
        """Return a function that draws any image, or only labeled ones to mix with a labeled image, so that it stays labeled."""
        allowed = None if self._is_labeled is None or not labeled else np.flatnonzero(self._is_labeled)

        def draw(random_numbers: np.random.Generator) -> AnnotatedImage:
            if self._tiles is not None:
                return self._view(self._tiles.draw_image(random_numbers, allowed), random_numbers)
            index = int(random_numbers.integers(len(self) if allowed is None else len(allowed)))
            return self.image(index if allowed is None else int(allowed[index]))

        return draw


def _to_tensor(image: ImageArray) -> Tensor:
    """Convert ``(H, W, 3)`` to ``(3, H, W)``; OpenCV takes half of NumPy's time and an eighth of PyTorch's."""
    tensor = torch.empty((3, *image.shape[:2]), dtype=torch.uint8)
    cv2.split(image, list(tensor.numpy()))
    return tensor


def image_seed(seed: int, step: int, image_id: ImageId) -> int:
    """Return a seed from 0 to 2^63 - 1 for random choices about one image in one step; the same in every process."""
    text = f"{seed} {step} {type(image_id).__name__} {image_id}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1
