"""The predictor: takes images of any type and size, and returns detections in original pixels."""

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
from detkit.preprocess import PreparedImage, PreprocessConfig, preprocess
from detkit.registry import did_you_mean
from detkit.structures import Detections, Proposals

ProposalFunction = Callable[[NDArray[np.uint8]], Proposals]
"""A function that returns the proposals of an ``(H, W, 3)`` uint8 RGB image, in its own pixels."""


class Predictor:
    """Runs a detector on images.

    Args:
        detector: The model; moved to ``device``. Unless ``reference`` is set, an optimized copy of it runs.
        preprocess: How images are resized, from the config of the model.
        class_names: Class names by label; classes named ``None`` are never reported.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        precision: ``"auto"`` (fast), ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        reference: Run the model as published, in fp32, contiguous and with nothing folded: slow, for comparisons.
        min_score: Detections with a lower score are removed, in addition to those that the model removes.
        classes: Names of the classes to report; None: all.
        batch_size: Images of one prepared size that run together; by default 8 on a GPU and 1 on a CPU.
        proposer: Returns the proposals of an image, for detectors that take proposals.
        svd: Ranks to which the fully connected layers of a region head are reduced; see :func:`detkit.inference.svd.with_low_ranks`.

    Raises:
        ValueError: If the device or precision is unavailable, a class is unknown to the model, or ``batch_size`` is not positive.
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
        self.proposer = proposer if detector.takes_proposals else None
        self.min_score = min_score
        self.batch_size = batch_size or (1 if self.device.type == "cpu" else 8)
        self._reported = self._reported_mask(classes)

    def __repr__(self) -> str:
        named = sum(name is not None for name in self.class_names)
        score = f", min_score={self.min_score:g}" if self.min_score else ""
        return f"Predictor({type(self.detector).__name__}, {named} classes, {self.device}, {self.precision}{score})"

    @overload
    def __call__(self, images: ImageLike) -> Detections: ...

    @overload
    def __call__(self, images: list[Any] | tuple[Any, ...]) -> list[Detections]: ...

    def __call__(self, images: ImageLike | list[Any] | tuple[Any, ...]) -> Detections | list[Detections]:
        """Detect on one image, or on each of a list.

        Args:
            images: A path, a PIL image, an array ``(H, W, 3)`` or ``(H, W)`` uint8 RGB, a tensor ``(3, H, W)``, or a list of these.

        Returns:
            Detections on the CPU, best first, in the image's own pixels; a list for a list.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If an input is not an image.
        """
        if isinstance(images, (list, tuple)):
            length = 4 * self.batch_size  # images prepared at a time
            windows = (images[start : start + length] for start in range(0, len(images), length))
            return [detections for window in windows for detections in self.detect([self.prepare(image) for image in window])]
        return self.detect([self.prepare(images)])[0]

    @property
    def precision(self) -> str:
        """Data type of convolutions and matrix products: ``fp32``, ``bf16`` or ``fp16``."""
        return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[self.dtype]

    @property
    def reported(self) -> tuple[str, ...]:
        """Names of the classes that can be reported, in the order of their labels."""
        return tuple(str(name) for name, reported in zip(self.class_names, self._reported.tolist(), strict=True) if reported)

    def pixels(self, image: ImageLike) -> Tensor:
        """Return an image as a tensor ``(3, H, W)``, uint8 or float in [0, 1], on the device of the model."""
        pixels = as_pixels(image)
        tensor = pixels if isinstance(pixels, Tensor) else torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)
        return tensor.to(self.device)

    def prepare(self, image: ImageLike) -> PreparedImage:
        """Return an image resized for the model, on its device, with proposals if the model takes them."""
        pixels = self.pixels(image)
        prepared = preprocess(pixels, self.preprocess)
        proposals = self.propose(pixels)
        return prepared if proposals is None else replace(prepared, proposals=prepared.placement.apply(proposals))

    def propose(self, pixels: Tensor) -> Proposals | None:
        """Return the proposals of an image from :meth:`pixels`, in its own pixels; None if the model takes none."""
        if self.proposer is None:
            return None
        image = pixels if pixels.dtype == torch.uint8 else (pixels * 255).round().clamp(0, 255).to(torch.uint8)
        return self.proposer(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())).to(self.device)

    def detect(self, prepared: Sequence[PreparedImage]) -> list[Detections]:
        """Return the detections of prepared images, in original pixels; images of equal size run in batches."""
        groups: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, image in enumerate(prepared):
            groups[image.size].append(index)
        detections: dict[int, Detections] = {}
        for indices in groups.values():
            for start in range(0, len(indices), self.batch_size):
                chunk = indices[start : start + self.batch_size]
                rows = self._run([prepared[index] for index in chunk])
                detections |= {i: self._filter(prepared[i].restore(row)) for i, row in zip(chunk, rows, strict=True)}
        return [detections[index] for index in range(len(prepared))]

    @contextmanager
    def running(self) -> Iterator[Detector]:
        """Yield the model without gradients, in its precision and in evaluation mode; the previous mode is restored afterwards."""
        was_training = self.detector.training
        self.detector.eval()
        try:
            with torch.no_grad(), self._autocast():
                yield self.detector
        finally:
            self.detector.train(was_training)

    def _run(self, images: list[PreparedImage]) -> list[Detections]:
        proposals = proposals_of(images)
        kwargs = {} if proposals is None else {"proposals": proposals}
        with self.running() as detector:
            outputs: dict[str, Tensor] | list[Detections] = detector([image.image for image in images], **kwargs)
        if isinstance(outputs, dict):
            raise TypeError(f"{type(self.detector).__name__}: expected detections, got losses")
        return outputs

    def _autocast(self) -> AbstractContextManager[None]:
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, self.dtype)

    def _filter(self, detections: Detections) -> Detections:
        rows = detections.to("cpu").replace(class_names=self.class_names)
        keep = self._reported[rows.labels]
        if self.min_score > 0:
            keep &= rows.scores >= self.min_score
        return rows if bool(keep.all()) else rows[keep]

    def _reported_mask(self, classes: Sequence[str] | None) -> Tensor:
        names = [name for name in self.class_names if name is not None]
        for name in classes or ():
            if name not in names:
                raise ValueError(f"class {name!r} is not among the {len(names)} classes of the model: {did_you_mean(name, names)}")
        reported = set(names if classes is None else classes)
        return torch.tensor([name in reported for name in self.class_names], dtype=torch.bool)


def proposals_of(images: Sequence[PreparedImage]) -> list[Proposals] | None:
    """Return the proposals of prepared images, or None unless all of them have proposals."""
    proposals = [image.proposals for image in images if image.proposals is not None]
    return proposals if len(proposals) == len(images) else None
