"""The predictor: takes images of any type and size, and returns detections in original pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from detkit.arrays import ImageArray
from detkit.inference.device import Precision
from detkit.inference.image_like import ImageLike, as_pixels
from detkit.inference.light import BasePredictor
from detkit.inference.min_scores import LeftOut, MinScore
from detkit.inference.runtime import ONLY_DETECTION, Runtime
from detkit.inference.torch_runtime import TorchRuntime
from detkit.models.detector import Detector
from detkit.preprocess import PreparedImage, PreprocessConfig, preprocess
from detkit.structures import Detections, Proposals
from detkit.structures.detection import DetectionArrays

ProposalFunction = Callable[[ImageArray], Proposals]
"""A function that returns the proposals of an ``(H, W, 3)`` uint8 RGB image, in its own pixels."""


class Predictor(BasePredictor[PreparedImage, Detections]):
    """Runs a detector on images.

    Args:
        detector: The model; moved to ``device``. Unless ``reference`` is set, an optimized copy of it runs.
        preprocess: How images are resized, from the config of the model.
        class_names: Class names by label; classes named ``None`` are never reported.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        precision: ``"auto"`` (fast), ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        reference: Run the model as published, in fp32, contiguous and with nothing folded: slow, for comparisons.
        min_score: Detections with a lower score are removed, in addition to those that the model removes; a number, or the
            :class:`~detkit.checkpoint.operating_points.OperatingPoints` of the classes.
        classes: Names of the classes to report; None: all.
        batch_size: Images of one prepared size that run together; by default 8 on a GPU and 1 on a CPU.
        proposer: Returns the proposals of an image, for detectors that take proposals.
        svd: Ranks to which the fully connected layers of a region head are reduced; see :func:`detkit.inference.optimize.with_low_ranks`.
        max_detections: Maximum number of detections per image; None: as the model's config has it.

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
        min_score: MinScore = 0.0,
        classes: Sequence[str] | None = None,
        batch_size: int | None = None,
        proposer: ProposalFunction | None = None,
        svd: Sequence[int] | None = None,
        max_detections: int | None = None,
    ) -> None:
        model = detector, preprocess, class_names
        runtime = TorchRuntime(*model, device, precision, reference=reference, svd=svd, max_detections=max_detections)
        self._begin(runtime, proposer, min_score=min_score, classes=classes, batch_size=batch_size)

    @classmethod
    def over(cls, runtime: Runtime, proposer: ProposalFunction | None = None, **options: Any) -> Self:
        """Return a predictor over any runtime.

        Args:
            runtime: Runs the detector, such as an exported file.
            proposer: Returns the proposals of an image, for detectors that take proposals.
            options: ``min_score``, ``classes`` and ``batch_size``; see :class:`Predictor`.
        """
        predictor = cls.__new__(cls)
        predictor._begin(runtime, proposer, **options)
        return predictor

    def _begin(self, runtime: Runtime, proposer: ProposalFunction | None, **options: Any) -> None:
        super().__init__(runtime, **options)
        self.proposer = proposer if runtime.info.takes_proposals else None

    @property
    def detector(self) -> Detector:
        """The detector that runs, with its weights.

        Raises:
            ValueError: If the runtime is an exported file.
        """
        return self._torch_runtime().detector

    @property
    def dtype(self) -> torch.dtype:
        """Data type of convolutions and matrix products."""
        return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.precision]

    @property
    def reference(self) -> bool:
        """Whether the model runs as published."""
        return isinstance(self.runtime, TorchRuntime) and self.runtime.reference

    def running(self) -> AbstractContextManager[Detector]:
        """Yield the model without gradients, in its precision and in evaluation mode; the previous mode is restored afterwards.

        Raises:
            ValueError: If the runtime is an exported file.
        """
        return self._torch_runtime().running()

    def _torch_runtime(self) -> TorchRuntime:
        if not isinstance(self.runtime, TorchRuntime):
            raise ValueError(f"{self.runtime.info.name}: {ONLY_DETECTION}")
        return self.runtime

    def pixels(self, image: ImageLike) -> Tensor:
        """Return an image as a tensor ``(3, H, W)``, uint8 or float in [0, 1], on the device of the model."""
        pixels = as_pixels(image)
        tensor = pixels if isinstance(pixels, Tensor) else torch.from_numpy(np.require(pixels, requirements=["C", "W"])).permute(2, 0, 1)
        return tensor.to(self.device)

    def prepare(self, image: ImageLike, config: PreprocessConfig | None = None, proposals: Proposals | None = None) -> PreparedImage:
        """Return an image resized for the model, on its device, with proposals if the model takes them.

        Args:
            image: The image.
            config: How it is resized; None: as the model has it.
            proposals: Its proposals in its own pixels; None: those of the proposer.
        """
        pixels = self.pixels(image)
        prepared = preprocess(pixels, config or self.preprocess)
        proposals = self.propose(pixels) if proposals is None else proposals
        return prepared if proposals is None else replace(prepared, proposals=prepared.placement.apply(proposals))

    def wrap(self, rows: DetectionArrays) -> Detections:
        """Return detections as tensors."""
        return Detections.from_numpy(rows)

    def propose(self, pixels: Tensor) -> Proposals | None:
        """Return the proposals of an image from :meth:`pixels`, in its own pixels; None if the model takes none."""
        if self.proposer is None:
            return None
        image = pixels if pixels.dtype == torch.uint8 else (pixels * 255).round().clamp(0, 255).to(torch.uint8)
        return self.proposer(np.ascontiguousarray(image.permute(1, 2, 0).cpu().numpy())).to(self.device)

    def _run(self, images: list[PreparedImage]) -> list[Detections]:
        rows = self.runtime.detect(images)
        return [row if isinstance(row, Detections) else Detections.from_numpy(row.numpy()) for row in rows]

    def _filter(self, detections: Detections) -> tuple[Detections, LeftOut | None]:
        rows = detections.to("cpu").replace(class_names=self.class_names)
        keep, left_out = self._kept(rows.numpy())
        return rows if bool(keep.all()) else rows[torch.from_numpy(keep)], left_out
