"""How big a detector is, and how much it computes on a image of a given size."""

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
REGIONS = 300
"""Proposals that a detector is shown which is told where to look."""
_NOISE = 2_000_000
"""Values of a map above which it is left at zero: maps of features are larger, what a head says of boxes is smaller and must differ."""


@dataclass(frozen=True)
class Part:
    """One part of a detector: its parameters, those of them that learn, and its floating-point operations."""

    name: str
    parameters: int
    trainable: int
    flops: int


@dataclass(frozen=True)
class Profile:
    """A detector in numbers.

    Attributes:
        parts: The backbone, what is round it, and the heads.
        flops: Floating-point operations of convolutions and matrix products, two for each multiply-add; norms, activations,
            pooling and suppression are not counted.
        image: The image's size.
        input_size: Its size after preprocessing.
        padded_size: Its size inside the model.
        backbone: Shape ``(C, H, W)`` of each map of the backbone.
        levels: Shape of each map that the heads see.
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
        """All parameters."""
        return sum(part.parameters for part in self.parts)

    @property
    def trainable(self) -> int:
        """Those that learn."""
        return sum(part.trainable for part in self.parts)


def profile(detector: Detector, preprocess: PreprocessConfig, image: Size = (480, 640)) -> Profile:
    """Run a detector once, with noise for every product, and count; a second stage sees as many regions as its limit allows."""
    size = preprocess.placement(image).canvas
    device = next(detector.parameters()).device
    prepared_image = torch.rand(3, *size, generator=torch.Generator().manual_seed(0)).to(device) * preprocess.max_value
    shapes: dict[str, tuple[tuple[int, ...], ...]] = {}
    padded = detector.prepare([prepared_image]).padded_size
    hooks = [
        module.register_forward_hook(lambda module, _, maps, name=name: shapes.update({name: _shapes(maps)}))
        for name, module in (("backbone", detector.backbone), ("neck", detector.neck))
    ]
    was_training = detector.training
    try:
        with torch.no_grad(), _NoProducts(), FlopCounterMode(display=False) as counter:  # type: ignore[no-untyped-call]
            detector.eval()([prepared_image], **_told(detector, size))
    finally:
        detector.train(was_training)
        for hook in hooks:
            hook.remove()
    flops = _flops_by_part(detector, counter)
    return Profile(_parts(detector, flops), counter.get_total_flops(), image, size, padded, shapes["backbone"], shapes["neck"])


class _NoProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives noise where a convolution or a matrix product should be, so that counting takes no time."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _PRODUCTS:
            return func(*args, **(kwargs or {}))
        device = next(arg.device for arg in args if isinstance(arg, Tensor))
        shape = func(*[arg.to("meta") if isinstance(arg, Tensor) else arg for arg in args], **(kwargs or {}))
        made = torch.zeros(shape.shape, dtype=shape.dtype, device=device)
        return made.normal_(std=0.1) if made.numel() <= _NOISE else made


def _told(detector: Detector, size: Size) -> dict[str, list[Proposals]]:
    """Proposals at random places of an image, for a detector that is told where to look."""
    if not getattr(detector, "takes_proposals", False):
        return {}
    corners = torch.rand(2, REGIONS, 2, generator=torch.Generator().manual_seed(0)).sort(0).values
    boxes = torch.cat((corners[0], corners[1]), 1) * torch.tensor([size[1], size[0]] * 2)
    device = next(detector.parameters()).device
    return {"proposals": [Proposals(boxes, torch.ones(REGIONS)).to(device)]}


def _shapes(maps: tuple[Tensor, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(level.shape[1:]) for level in maps)


def _part_of(name: str) -> str:
    """The part that a parameter or a module belongs to, by its dotted name."""
    return "backbone" if name.startswith("neck.backbone") else name.partition(".")[0]


def _flops_by_part(detector: nn.Module, counter: FlopCounterMode) -> Counter[str]:
    """Operations of the modules that hold no others, summed by part."""
    leaves = {name for name, module in detector.named_modules() if not any(True for _ in module.children())}
    root = type(detector).__name__
    flops: Counter[str] = Counter()
    for name, counts in counter.get_flop_counts().items():
        inside = name.removeprefix(f"{root}.")
        if inside in leaves:
            flops[_part_of(inside)] += sum(counts.values())
    return flops


def _parts(detector: nn.Module, flops: Counter[str]) -> tuple[Part, ...]:
    parameters: Counter[str] = Counter()
    trainable: Counter[str] = Counter()
    for name, parameter in detector.named_parameters():
        parameters[_part_of(name)] += parameter.numel()
        trainable[_part_of(name)] += parameter.numel() * parameter.requires_grad
    return tuple(Part(name, parameters[name], trainable[name], flops[name]) for name in parameters)
