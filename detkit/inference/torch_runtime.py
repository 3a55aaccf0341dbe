"""The runtime of detectors in PyTorch."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from detkit.heads.postprocess import PostprocessConfig
from detkit.inference.device import Precision, pick_device, pick_dtype
from detkit.inference.optimize import optimize, with_low_ranks
from detkit.inference.runtime import RuntimeInfo, check_max_detections
from detkit.models.classifier import Classifier
from detkit.models.detector import Detector
from detkit.models.regions import has_regions
from detkit.models.semantic.segmenter import Segmenter
from detkit.ops.pooling import kernels_are_loaded
from detkit.preprocess import PreparedImage, PreprocessConfig
from detkit.structures import Detections, Proposals

_PRECISIONS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


class TorchRuntime:
    """Runs a detector in PyTorch.

    Args:
        detector: The model; moved to ``device``. Unless ``reference`` is set, an optimized copy of it runs.
        preprocess: How images are resized, from the config of the model.
        class_names: Class names by label.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        precision: ``"auto"`` (fast), ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        reference: Run the model as published, in fp32, contiguous and with nothing folded.
        svd: Ranks to which the fully connected layers of a region head are reduced; see :func:`detkit.inference.optimize.with_low_ranks`.
        max_detections: Maximum number of detections per image; None: as the model's config has it.

    Raises:
        ValueError: If the device or precision is unavailable, or the detector has no limit to set.
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
        svd: Sequence[int] | None = None,
        max_detections: int | None = None,
    ) -> None:
        self.device = pick_device(device)
        self.dtype = torch.float32 if reference else pick_dtype(precision, self.device)
        detector = detector.to(self.device) if svd is None else with_low_ranks(detector.to(self.device), svd)
        self.reference, self._has_detected = reference, False
        self.detector = detector if reference else optimize(detector, self.dtype)
        if max_detections is not None:
            self.detector = with_max_detections(self.detector, max_detections)
        postprocess = postprocess_of(self.detector)
        self.info = RuntimeInfo(
            name=type(self.detector).__name__,
            class_names=tuple(class_names),
            preprocess=preprocess,
            device=self.device,
            precision=_PRECISIONS[self.dtype],
            batch_size=1 if self.device.type == "cpu" else 8,
            input_size=getattr(detector, "input_size", None),
            pad_multiple=getattr(detector, "pad_multiple", 1),
            max_detections=None if postprocess is None else postprocess.max_detections,
            takes_proposals=getattr(detector, "takes_proposals", False),
            classifies=isinstance(detector, Classifier),
            segments=isinstance(detector, Segmenter),
        )

    def detect(self, images: Sequence[PreparedImage]) -> list[Detections]:
        """Return the detections of a batch of prepared images, in pixels of the prepared images, best first."""
        proposals = proposals_of(images)
        kwargs = {} if proposals is None else {"proposals": proposals}
        with self.running() as detector, self._first_batch():
            outputs: dict[str, Tensor] | list[Detections] = detector([image.image for image in images], **kwargs)
        if isinstance(outputs, dict):
            raise TypeError(f"{type(self.detector).__name__}: expected detections, got losses")
        return outputs

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

    @contextmanager
    def _first_batch(self) -> Iterator[None]:
        """Do without compiled kernels for the first batch of a process that has not loaded them: often it is the only one."""
        if self._has_detected or not has_regions(self.detector) or kernels_are_loaded():
            yield
        else:
            region = self.detector.region
            region.compiled_pooling = False
            try:
                yield
            finally:
                region.compiled_pooling = True
        self._has_detected = True

    def _autocast(self) -> AbstractContextManager[None]:
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.device.type, self.dtype)


def proposals_of(images: Sequence[PreparedImage]) -> list[Proposals] | None:
    """Return the proposals of prepared images, or None unless all of them have proposals."""
    proposals = [image.proposals for image in images if image.proposals is not None]
    return proposals if len(proposals) == len(images) else None


def postprocess_of(detector: Detector) -> PostprocessConfig | None:
    """Return the postprocessing of a one-stage head, or of the second stage; None for a classifier."""
    if has_regions(detector):
        return detector.region.config
    config = getattr(getattr(detector, "head", None), "postprocess", None)
    return config if isinstance(config, PostprocessConfig) else None


def with_max_detections(detector: Detector, limit: int) -> Detector:
    """Return a detector with the same weights and another limit on the detections of an image.

    Raises:
        ValueError: If the limit is below 1, or the detector classifies whole images.
    """
    check_max_detections(limit)
    postprocess = postprocess_of(detector)
    if postprocess is None:
        raise ValueError(f"max_detections: {type(detector).__name__} has no limit on detections")
    name, attribute = ("region", "config") if has_regions(detector) else ("head", "postprocess")
    limited, part = copy.copy(detector), copy.copy(getattr(detector, name))
    setattr(part, attribute, postprocess.with_max_detections(limit))
    limited._modules = {**detector._modules, name: part}
    return limited
