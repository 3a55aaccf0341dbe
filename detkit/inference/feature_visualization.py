"""What a layer of a detector's or a classifier's backbone answers to in a image."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import Backbone, facts_of
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.preprocess import as_image
from detkit.registry import did_you_mean

Way = Literal["deconvnet", "guided"]

PLAIN = ("AlexNet", "VGG", "ZFNet")
"""Families of networks whose layers run one after another, for which the deconvnet was described."""

_SEEN = 0.02
"""Share of the strongest answer above which a pixel counts as seen."""
_BRIGHT = 0.99
"""Share of the numbers of an answer that are drawn in proportion; what lies beyond is drawn as strongly as the last of them."""
_LEAST = 16
"""Pixels of the sides of what is shown of a image, at least."""


@dataclass(frozen=True, eq=False)
class Feature:
    """One channel of a layer, at the place of the image to which it answers most.

    Attributes:
        channel: Its number.
        activation: Its answer there.
        place: ``(y, x)`` of the cell.
        window: ``x1 y1 x2 y2`` of the pixels that the answer comes from.
        answer: ``(3, H, W)`` the answer, brought back to the pixels of the whole input.
    """

    channel: int
    activation: float
    place: tuple[int, int]
    window: tuple[int, int, int, int]
    answer: Tensor


@dataclass(frozen=True, eq=False)
class LayerFeatures:
    """What a layer answers to in a image.

    Attributes:
        image: ``(3, H, W)`` RGB in [0, 1], as the network saw it, before normalization and padding.
        layer: The layer's name.
        shape: ``(C, H, W)`` of its map.
        way: How answers were brought back.
        features: The channels that answer most, the strongest first.
    """

    image: Tensor
    layer: str
    shape: tuple[int, int, int]
    way: Way
    features: tuple[Feature, ...]


def explain_features(predictor: Predictor, image: ImageLike, layer: str, top: int = 9) -> LayerFeatures:
    """Bring the strongest answers of a layer back to pixels.

    For plain networks as the deconvnet does (Zeiler and Fergus, arXiv:1311.2901, section 2): answers go back through transposed filters,
    max poolings put them where the maximum was, rectifiers let through what is positive on the way back, and normalizations are left
    out. For other networks with rectifiers as guided backpropagation does (arXiv:1412.6806), which also asks what was positive forward.

    Args:
        predictor: Best made with ``reference=True``: folded and fused layers have lost their names.
        image: As a predictor takes it.
        layer: The name of a module of the backbone, such as ``features.4``.
        top: Channels that are shown.

    Raises:
        ValueError: there is no such layer, it gives no map, or the network has no rectifiers.
    """
    prepared = predictor.prepare(image)
    detector = copy.deepcopy(predictor.detector).eval()
    backbone: Any = detector.backbone
    way = _way_of(backbone)
    layer = _known_layer(backbone, layer)
    _exchange(backbone, way)
    with torch.enable_grad(), torch.autocast(predictor.device.type, enabled=False):
        images = detector.prepare([prepared.image]).images.detach().requires_grad_()
        found = _map_of(backbone, layer, images)
        features = tuple(_feature(found, images, prepared.size, channel) for channel in _strongest(found, top))
    prepared_image = as_image(prepared.image, predictor.preprocess)
    return LayerFeatures(prepared_image.cpu(), layer, tuple(found.shape[1:]), way, features)  # type: ignore[arg-type]


def _way_of(backbone: Backbone) -> Way:
    """How answers come back through a network."""
    if not any(isinstance(part, (nn.ReLU, nn.ReLU6)) for part in backbone.modules()):
        raise ValueError(
            f"features: {backbone.name} has no rectifiers (ReLU) among its layers, by which answers are led back to the pixels; "
            "try a VGG, a ResNet, or EfficientNet-Lite"
        )
    return "deconvnet" if facts_of(backbone.name).family in PLAIN else "guided"


def _known_layer(backbone: nn.Module, layer: str) -> str:
    """The layer's whole name; a classifier's network may be left out of it."""
    names: dict[str, str] = {name.removeprefix("network."): name for name, _ in backbone.named_modules() if name not in {"", "network"}}
    if layer.removeprefix("network.") not in names:
        guess = did_you_mean(layer, list(names))
        near = f"{guess} It has " if guess.startswith("did") else "it has "  # without a near one all names would be told
        raise ValueError(f"features: the backbone has no layer {layer!r}: {near}{_listed(list(names))}")
    return names[layer.removeprefix("network.")]


def _listed(names: list[str], most: int = 12) -> str:
    """Some names, from the first layers to the last."""
    step = max(1, -(-len(names) // most))
    return ", ".join(names[::step]) + (" and more between" if step > 1 else "")


class _Rectifier(torch.autograd.Function):
    """A rectifier that on the way back lets positive answers through: all of them, or those where it was open forward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, most: float | None, guided: bool) -> Tensor:
        """Clamp to 0, and to ``most`` if that is given."""
        ctx.is_open = (x > 0) & (x < most) if most is not None else x > 0
        ctx.guided = guided
        return x.clamp(min=0, max=most)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Let through what is positive."""
        passed = gradients[0].clamp(min=0)
        return (passed * ctx.is_open if ctx.guided else passed), None, None


class _WayBack(nn.Module):
    """In a rectifier's place."""

    def __init__(self, most: float | None, guided: bool) -> None:
        super().__init__()
        self.most, self.guided = most, guided

    def forward(self, x: Tensor) -> Tensor:
        """The rectifier's own output."""
        out: Tensor = _Rectifier.apply(x, self.most, self.guided)  # type: ignore[no-untyped-call]
        return out


class _Unnormalized(nn.Module):
    """A normalization across channels that answers pass on the way back as they are."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """The normalization's own output."""
        normed: Tensor = self.norm(x)
        return x + (normed - x).detach()


def _exchange(module: nn.Module, way: Way) -> None:
    """Exchange rectifiers, and in a deconvnet normalizations across channels, in place."""
    makers: dict[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
        nn.ReLU: lambda _: _WayBack(None, way == "guided"),
        nn.ReLU6: lambda _: _WayBack(6.0, way == "guided"),
        nn.LocalResponseNorm: _Unnormalized,
    }
    for name, child in list(module.named_children()):
        maker = makers.get(type(child))
        if maker is None:
            _exchange(child, way)
        else:
            setattr(module, name, maker(child))


def _map_of(backbone: nn.Module, layer: str, images: Tensor) -> Tensor:
    """The map that a layer gives ``(1, C, H, W)``."""
    seen: list[Any] = []
    handle = backbone.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    try:
        backbone(images)
    finally:
        handle.remove()
    if not seen or not isinstance(seen[0], Tensor) or seen[0].ndim != 4:
        got = "nothing, for it is not run" if not seen else f"shape {tuple(getattr(seen[0], 'shape', ()))}"
        raise ValueError(f"features: layer {layer!r}: expected a map (1, C, H, W), got {got}; choose a convolution, a stage or a block")
    found: Tensor = seen[0]
    return found


def _strongest(found: Tensor, top: int) -> list[int]:
    peaks = found.detach()[0].flatten(1).amax(1)
    return [int(channel) for channel in peaks.topk(min(top, len(peaks))).indices if peaks[channel] > 0]


def _feature(found: Tensor, images: Tensor, size: tuple[int, int], channel: int) -> Feature:
    """A channel's strongest answer, brought back."""
    cells = found[0, channel]
    place = int(cells.detach().argmax())
    y, x = divmod(place, cells.shape[1])
    (gradient,) = torch.autograd.grad(cells[y, x], images, retain_graph=True)
    answer = gradient[0, :, : size[0], : size[1]]
    activation = float(cells[y, x].detach())
    return Feature(channel, activation, (y, x), _window(answer, size), (activation * answer).cpu())


def _window(answer: Tensor, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The pixels that an answer comes from, in a square as far as the image allows."""
    strength = answer.abs().amax(0)
    rows, columns = ((strength > _SEEN * strength.max()).any(dim).nonzero().flatten() for dim in (1, 0))
    if not len(rows):
        return 0, 0, size[1], size[0]
    ends = [(int(line[0]), int(line[-1]) + 1) for line in (rows, columns)]
    side = max(_LEAST, *(high - low for low, high in ends))
    y1, x1 = (max(0, min((low + high - side) // 2, whole - side)) for (low, high), whole in zip(ends, size, strict=True))
    return x1, y1, min(size[1], x1 + side), min(size[0], y1 + side)


def tiles(found: LayerFeatures, side: int = 128) -> tuple[list[Tensor], list[str]]:
    """For each feature the part of the image and, beside it, the answer to it: ``(3, side, 2 * side + 4)`` in [0, 1]; and captions."""
    images, captions = [], []
    for feature in found.features:
        x1, y1, x2, y2 = feature.window
        answer = feature.answer[:, y1:y2, x1:x2]
        # A few pixels answer many times as much as all others: those beyond are shown as the brightest.
        most = answer.abs().flatten().kthvalue(1 + int(_BRIGHT * (answer.numel() - 1))).values.clamp(min=1e-12)
        shown = (0.5 + 0.5 * answer / most).clamp(0, 1)
        pair = [functional.interpolate(part[None], size=(side, side), mode="bilinear")[0] for part in (found.image[:, y1:y2, x1:x2], shown)]
        images.append(torch.cat((pair[0], torch.ones(3, side, 4), pair[1]), 2).clamp(0, 1))
        captions.append(f"channel {feature.channel}: {feature.activation:.2f}")
    return images, captions
