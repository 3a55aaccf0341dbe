"""``loader.batch_size=auto``: the largest batch whose training step fits a GPU's memory."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from detkit.models.detector import Detector
from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Size, Targets
from detkit.training.config import Precision
from detkit.training.optim.precision import MixedPrecision

_log = logging.getLogger(__name__)

ON_CPU = 8
"""Images per batch on a CPU, whose memory is not the limit: larger batches are no faster there."""
MAX_BATCH = 256
_OBJECTS, _PROPOSALS = 40, 2000
"""Objects and proposals per image of the trial steps, more than most images have."""


def largest_input(config: PreprocessConfig) -> Size:
    """Return the largest ``(height, width)`` of images that a batch can be padded to."""
    if config.input_size is not None:
        return config.input_size
    return config.long_side, config.long_side


def find_batch_size(fits: Callable[[int], bool], most: int = MAX_BATCH) -> int:
    """Return the largest power of two that fits.

    Raises:
        RuntimeError: If not even one image fits.
    """
    size = 0
    while (trial := 2 * size or 1) <= most and fits(trial):
        size = trial
    if size == 0:
        raise RuntimeError(
            "loader.batch_size=auto: not even one image of the largest size fits the GPU's memory; use smaller images (model.preprocess)"
        )
    return size


def measured_batch_size(detector: Detector, preprocess: PreprocessConfig, device: torch.device, precision: Precision) -> int:
    """Return the largest batch per process whose training step fits the device's memory, by trying steps of growing size.

    The detector keeps its weights: nothing is updated, and its norms stay in evaluation mode.

    Args:
        detector: On the device.
        preprocess: Sets the image size.
        device: The GPU.
        precision: ``fp32``, ``bf16`` or ``fp16``.
    """
    if device.type == "cpu":
        _log.info("batch size 8 (auto on a CPU)")
        return ON_CPU
    mixed, size = MixedPrecision(precision, device), largest_input(preprocess)

    def fits(count: int) -> bool:
        try:
            _trial_step(detector, mixed, size, count)
        except torch.OutOfMemoryError:
            return False
        finally:
            detector.zero_grad(set_to_none=True)
            _free(device)
        return True

    found = find_batch_size(fits)
    _log.info("batch size %d per process: the largest power of two that fits %s with images of %d x %d", found, device, size[1], size[0])
    return found


def _trial_step(detector: Detector, mixed: MixedPrecision, size: Size, count: int) -> None:
    device = next(detector.parameters()).device
    images = [torch.rand((3, *size), device=device) for _ in range(count)]
    boxes = _random_boxes(_OBJECTS, size, device)
    labels = torch.zeros(_OBJECTS, dtype=torch.int64, device=device)
    kwargs: dict[str, Any] = {}
    if detector.takes_proposals:
        regions = _random_boxes(_PROPOSALS, size, device)
        kwargs["proposals"] = [Proposals(regions, torch.ones(_PROPOSALS, device=device)) for _ in range(count)]
    with mixed.context():
        losses = detector(images, [Targets.of(boxes, labels) for _ in range(count)], seeds=list(range(count)), **kwargs)
    if not isinstance(losses, dict):
        raise TypeError(f"expected losses from {type(detector).__name__} with targets, got {type(losses).__name__}")
    mixed.backward(losses)
    _optimizer_state(detector)


def _random_boxes(count: int, size: Size, device: torch.device) -> torch.Tensor:
    corners = torch.rand((count, 2), device=device) * 0.7
    scale = torch.tensor([size[1], size[0]] * 2, device=device)
    return torch.cat([corners, corners + 0.05 + torch.rand((count, 2), device=device) * 0.2], 1) * scale


def _optimizer_state(detector: nn.Module) -> None:
    """Take as much memory as AdamW's two running means, which the real step needs besides the gradients."""
    _ = [torch.empty_like(parameter) for parameter in detector.parameters() if parameter.grad is not None for _ in range(2)]


def _free(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
