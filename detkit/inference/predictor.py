"""A detector for people: images of any kind and size in, detections in their own pixels out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from detkit.inference.device import Precision, pick_device, pick_dtype
from detkit.inference.image_like import ImageLike, as_pixels
from detkit.inference.optimize import optimize
from detkit.inference.svd import with_low_ranks
from detkit.models.detector import Detector
from detkit.preprocess import Prepared, PreprocessConfig, preprocess
from detkit.registry import did_you_mean
from detkit.structures import Detections, Proposals

ProposalFunction = Callable[[NDArray[np.uint8]], Proposals]
"""Gives the proposals of a ``(H, W, 3)`` uint8 RGB image, in its own pixels."""


class Predictor:
    """Runs a detector on images.

    Args:
        detector: The model; it is moved to ``device``. Unless ``reference`` is set, what runs is a faster copy of it.
        preprocess: How its images are resized, from its config.
        class_names: One a label; classes named ``None`` are never reported.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        precision: ``"auto"`` (fast), ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        reference: Run in fp32, contiguous and with nothing folded, as the model was published: slow, for comparisons.
        min_score: Detections below are left out, beside those that the model itself leaves out.
        classes: Only these classes are reported.
        batch_size: Images of one prepared size that run together; by default 8 on a GPU and 1 on a CPU.
        proposer: Tells detectors that take proposals where to look in a image.
        svd: Ranks to which the fully connected layers of a region head are cut; see :func:`detkit.inference.svd.with_low_ranks`.

    Raises:
        ValueError: the device or the precision is not to be had here, a class is not among the model's, or ``batch_size`` is not positive.
    """

    def __init__(
        self,
        detector: Detector,
        preprocess: PreprocessConfig,
        class_names: Sequence[str | None],
        device: str | torch.device = "auto",
        precision: Precision | str = "auto",
        *,
        reference: bool = False,
        min_score: float = 0.0,
        classes: Sequence[str] | None = None,
        batch_size: int | None = None,
        proposer: ProposalFunction | None = None,
        svd: Sequence[int] | None = None,
    ) -> None:
        if batch_size is not None and batch_size < 1:
            raise ValueError(f"batch_size: expected 1 or more, got {batch_size}")
        self.device = pick_device(device)
        self.dtype = torch.float32 if reference else pick_dtype(precision, self.device)
        detector = detector.to(self.device) if svd is None else with_low_ranks(detector.to(self.device), svd)
        self.reference = reference
        self.detector = detector if reference else optimize(detector, self.dtype)
        self.preprocess = preprocess
        self.class_names = tuple(class_names)
        self.proposer = proposer if getattr(detector, "takes_proposals", False) else None
        self.min_score = min_score
        self.batch_size = batch_size or (1 if self.device.type == "cpu" else 8)
        self._reported = self._wanted(classes)

    @overload
    def __call__(self, images: ImageLike) -> Detections: ...

    @overload
    def __call__(self, images: list[Any] | tuple[Any, ...]) -> list[Detections]: ...

    def __call__(self, images: ImageLike | list[Any] | tuple[Any, ...]) -> Detections | list[Detections]:
        """Detect on one image, or on each of a list.

        Args:
            images: A path, a PIL image, an array ``(H, W, 3)`` or ``(H, W)`` uint8 RGB, a tensor ``(3, H, W)``, or a list of such.

        Returns:
            Detections on the CPU, best first, in the image's own pixels; a list for a list.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: something is not a image.
        """
        if isinstance(images, (list, tuple)):
            length = 4 * self.batch_size  # so many lie ready at a time
            windows = (images[start : start + length] for start in range(0, len(images), length))
            return [found for window in windows for found in self.detect([self.prepare(image) for image in window])]
        return self.detect([self.prepare(images)])[0]

    @property
    def precision(self) -> str:
        """The number format that products run in: ``fp32``, ``bf16`` or ``fp16``."""
        return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self.dtype]

    @property
    def reported(self) -> tuple[str, ...]:
        """The classes that can be among the detections, in the order of their labels."""
        return tuple(str(name) for name, wanted in zip(self.class_names, self._reported.tolist(), strict=True) if wanted)

    def pixels(self, image: ImageLike) -> Tensor:
        """A image as a tensor ``(3, H, W)``, uint8 or float in [0, 1], on the model's device."""
        pixels = as_pixels(image)
        tensor = pixels if isinstance(pixels, Tensor) else torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)
        return tensor.to(self.device)

    def prepare(self, image: ImageLike) -> Prepared:
        """A image resized for the model, on its device, with the proposals that the model takes."""
        pixels = self.pixels(image)
        prepared = preprocess(pixels, self.preprocess)
        proposals = self.propose(pixels)
        return prepared if proposals is None else replace(prepared, proposals=prepared.placement.place(proposals))

    def propose(self, pixels: Tensor) -> Proposals | None:
        """Where to look in a image of :meth:`pixels`, in its own pixels; nothing if the model is not told."""
        if self.proposer is None:
            return None
        whole = pixels if pixels.dtype == torch.uint8 else (pixels * 255).round().clamp(0, 255).to(torch.uint8)
        return self.proposer(np.ascontiguousarray(whole.permute(1, 2, 0).cpu().numpy())).to(self.device)

    def detect(self, prepared: Sequence[Prepared]) -> list[Detections]:
        """Detections of prepared images, in the images' own pixels; those of one size run in batches."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, image in enumerate(prepared):
            groups[image.size].append(place)
        found: dict[int, Detections] = {}
        for places in groups.values():
            for start in range(0, len(places), self.batch_size):
                chunk = places[start : start + self.batch_size]
                rows = self._run([prepared[place] for place in chunk])
                found |= {place: self._reportable(prepared[place].restore(row)) for place, row in zip(chunk, rows, strict=True)}
        return [found[place] for place in range(len(prepared))]

    @contextmanager
    def running(self) -> Iterator[Detector]:
        """The model without gradients, in its precision and in evaluation mode, which is then put back as it was."""
        was_training = self.detector.training
        self.detector.eval()
        try:
            with torch.no_grad(), self._autocast():
                yield self.detector
        finally:
            self.detector.train(was_training)

    def _run(self, images: list[Prepared]) -> list[Detections]:
        proposals = proposals_of(images)
        told = {} if proposals is None else {"proposals": proposals}
        with self.running() as detector:
            found: dict[str, Tensor] | list[Detections] = detector([one.image for one in images], **told)
        if isinstance(found, dict):
            raise TypeError(f"{type(self.detector).__name__} gave losses where detections were expected")
        return found

    def _autocast(self) -> AbstractContextManager[None]:
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, self.dtype)

    def _reportable(self, detections: Detections) -> Detections:
        rows = detections.to("cpu")
        keep = self._reported[rows.labels]
        if self.min_score > 0:
            keep &= rows.scores >= self.min_score
        return rows if bool(keep.all()) else rows[keep]

    def _wanted(self, classes: Sequence[str] | None) -> Tensor:
        names = [name for name in self.class_names if name is not None]
        for name in classes or ():
            if name not in names:
                raise ValueError(f"class {name!r} is not among the model's {len(names)}: {did_you_mean(name, names)}")
        chosen = set(names if classes is None else classes)
        return torch.tensor([name in chosen for name in self.class_names], dtype=torch.bool)


def proposals_of(images: Sequence[Prepared]) -> list[Proposals] | None:
    """Where to look in prepared images; nothing unless all of them say so."""
    given = [image.proposals for image in images if image.proposals is not None]
    return given if len(given) == len(images) else None
