"""Number of parameters and floating-point operations of a detector."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from detkit.models.detector import Detector
from detkit.preprocess import PreprocessConfig
from detkit.structures import Proposals, Size

_PRODUCTS = {
    torch.ops.aten.convolution.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.mm.default,
    torch.ops.aten.bmm.default,
}
NUM_PROPOSALS = 300
"""Default number of proposals passed to a detector that takes proposals."""
_MAX_NOISE = 2_000_000
"""Tensors with more values are filled with zeros instead of noise: feature maps are larger; head outputs are smaller and must differ."""


@dataclass(frozen=True)
class Part:
    """One part of a detector, with its numbers of parameters, trainable parameters and floating-point operations."""

    name: str
    parameters: int
    trainable: int
    flops: int


@dataclass(frozen=True)
class Profile:
    """Numbers of parameters and operations of a detector.

    Attributes:
        parts: The backbone, the neck and the heads.
        flops: Floating-point operations of convolutions and matrix products, two per multiply-add; norms, activations, pooling and
            NMS are not counted.
        image: Size of the image.
        input_size: Size after preprocessing.
        padded_size: Size after padding, inside the model.
        backbone: Shape ``(C, H, W)`` of each feature map of the backbone.
        levels: Shape ``(C, H, W)`` of each feature map that the heads receive.
    """

    parts: tuple[Part, ...]
    flops: int
    image: Size
    input_size: Size
    padded_size: Size
    backbone: tuple[tuple[int, ...], ...]
    levels: tuple[tuple[int, ...], ...]

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum(part.parameters for part in self.parts)

    @property
    def trainable(self) -> int:
        """Number of trainable parameters."""
        return sum(part.trainable for part in self.parts)


def profile(detector: Detector, preprocess: PreprocessConfig, image: Size = (480, 640), proposals: int = NUM_PROPOSALS) -> Profile:
    """Run a detector once with noise in place of the products, and count; a second stage gets its maximum number of proposals.

    Args:
        detector: The detector.
        preprocess: How its images are resized.
        image: Size of the image.
        proposals: Number of proposals, if it takes proposals.
    """
    size = preprocess.placement(image).canvas
    device = next(detector.parameters()).device
    inputs = torch.rand(3, *size, generator=torch.Generator().manual_seed(0)).to(device) * preprocess.max_value
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {}
    padded = detector.prepare([inputs]).padded_size
    hooks = [
        module.register_forward_hook(lambda module, _, maps, name=name: shapes.update({name: _shapes(maps)}))
        for name, module in (("backbone", detector.backbone), ("neck", detector.neck))
    ]
    was_training, trainable = detector.training, [parameter for parameter in detector.parameters() if parameter.requires_grad]
    try:
        detector.requires_grad_(False)  # the counter asks the inputs of each module for their gradient functions, and there are none
        with torch.no_grad(), _NoProducts(), FlopCounterMode(display=False) as counter:  # type: ignore[no-untyped-call]
            detector.eval()([inputs], **_proposal_kwargs(detector, size, proposals))
    finally:
        detector.train(was_training)
        for parameter in trainable:
            parameter.requires_grad_(True)
        for hook in hooks:
            hook.remove()
    flops = _flops_by_part(detector, counter)
    return Profile(_parts(detector, flops), counter.get_total_flops(), image, size, padded, shapes["backbone"], shapes["neck"])


class _NoProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Replaces the results of convolutions and matrix products by noise, so that counting is fast."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _PRODUCTS:
            return func(*args, **(kwargs or {}))
        device = next(arg.device for arg in args if isinstance(arg, Tensor))
        shape = func(*[arg.to("meta") if isinstance(arg, Tensor) else arg for arg in args], **(kwargs or {}))
        result = torch.zeros(shape.shape, dtype=shape.dtype, device=device)
        return result.normal_(std=0.1) if result.numel() <= _MAX_NOISE else result


def _proposal_kwargs(detector: Detector, size: Size, count: int) -> dict[str, list[Proposals]]:
    """Return random proposals as keyword arguments, for a detector that takes proposals."""
    if not detector.takes_proposals:
        return {}
    corners = torch.rand(2, count, 2, generator=torch.Generator().manual_seed(0)).sort(0).values
    boxes = torch.cat((corners[0], corners[1]), 1) * torch.tensor([size[1], size[0]] * 2)
    device = next(detector.parameters()).device
    return {"proposals": [Proposals(boxes, torch.ones(count)).to(device)]}


def _shapes(maps: tuple[Tensor, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(level.shape[1:]) for level in maps)


def _part_of(name: str) -> str:
    """Return the part that a parameter or module belongs to, by its dotted name."""
    return "backbone" if name.startswith("neck.backbone") else name.partition(".")[0]


def _flops_by_part(detector: nn.Module, counter: FlopCounterMode) -> Counter[str]:
    """Return the operations of the leaf modules, summed by part."""
    leaves = {name for name, module in detector.named_modules() if not any(True for _ in module.children())}
    root = type(detector).__name__
    flops: Counter[str] = Counter()
    for name, counts in counter.get_flop_counts().items():
        module_name = name.removeprefix(f"{root}.")
        if module_name in leaves:
            flops[_part_of(module_name)] += sum(counts.values())
    return flops


def _parts(detector: nn.Module, flops: Counter[str]) -> tuple[Part, ...]:
    parameters: Counter[str] = Counter()
    trainable: Counter[str] = Counter()
    for name, parameter in detector.named_parameters():
        parameters[_part_of(name)] += parameter.numel()
        trainable[_part_of(name)] += parameter.numel() * parameter.requires_grad
    return tuple(Part(name, parameters[name], trainable[name], flops[name]) for name in parameters)
