"""Visualization of the features of a backbone layer by projecting its activations to the image."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import Backbone, backbone_info
from detkit.inference.image_like import ImageLike
from detkit.inference.predictor import Predictor
from detkit.preprocess import as_image
from detkit.registry import did_you_mean

ProjectionMethod = Literal["deconvnet", "guided"]

SEQUENTIAL_FAMILIES = ("AlexNet", "VGG", "ZFNet")
"""Families of purely sequential networks, for which the deconvnet was described."""

_WINDOW_THRESHOLD = 0.02
"""Fraction of the maximum above which a pixel belongs to the window of a projection."""
_CLIP_QUANTILE = 0.99
"""Quantile of the magnitudes of a projection at which they are clipped when drawn."""
_MIN_WINDOW = 16
"""Minimum side of a window, in pixels."""


@dataclass(frozen=True, eq=False)
class Feature:
    """The strongest activation of one channel.

    Attributes:
        channel: Index of the channel.
        activation: Value of the activation.
        cell: ``(y, x)`` position in the feature map.
        window: ``x1 y1 x2 y2`` of the pixels that contribute to the activation.
        projection: ``(3, H, W)`` the activation projected to the pixels of the input.
    """

    channel: int
    activation: float
    cell: tuple[int, int]
    window: tuple[int, int, int, int]
    projection: Tensor


@dataclass(frozen=True, eq=False)
class LayerFeatures:
    """The strongest activations of a layer on an image.

    Attributes:
        image: ``(3, H, W)`` RGB in [0, 1], as the network saw it, before normalization and padding.
        layer: Name of the layer.
        shape: Shape ``(C, H, W)`` of its feature map.
        method: Method of the projection.
        features: The channels with the strongest activations, strongest first.
    """

    image: Tensor
    layer: str
    shape: tuple[int, int, int]
    method: ProjectionMethod
    features: tuple[Feature, ...]


def explain_features(predictor: Predictor, image: ImageLike, layer: str, top: int = 9) -> LayerFeatures:
    """Project the strongest activations of a layer to pixels.

    Sequential networks use a deconvnet (Zeiler and Fergus, arXiv:1311.2901, section 2): activations pass backward through transposed
    filters, max pooling routes them to the position of the maximum, ReLUs pass positive values of the backward signal, and normalizations
    are skipped. Other networks with ReLUs use guided backpropagation (arXiv:1412.6806), which also requires a positive forward input.

    Args:
        predictor: The predictor, preferably with ``reference=True``, as folded and fused layers lose their names.
        image: Any image that a predictor accepts.
        layer: Name of a module of the backbone, such as ``features.4``.
        top: Number of channels to show.

    Raises:
        ValueError: If the layer does not exist or has no feature map as output, or the network has no ReLUs.
    """
    prepared = predictor.prepare(image)
    detector = copy.deepcopy(predictor.detector).eval()
    backbone: Any = detector.backbone
    method = _projection_method(backbone)
    layer = _full_name(backbone, layer)
    _replace_layers(backbone, method)
    with torch.enable_grad(), torch.autocast(predictor.device.type, enabled=False):
        images = detector.prepare([prepared.image]).images.detach().requires_grad_()
        feature_map = _feature_map(backbone, layer, images)
        features = tuple(_feature(feature_map, images, prepared.size, channel) for channel in _strongest(feature_map, top))
    resized = as_image(prepared.image, predictor.preprocess)
    _, channels, height, width = feature_map.shape
    return LayerFeatures(resized.cpu(), layer, (channels, height, width), method, features)


def _projection_method(backbone: Backbone) -> ProjectionMethod:
    """Return the projection method for a network."""
    if not any(isinstance(part, (nn.ReLU, nn.ReLU6)) for part in backbone.modules()):
        raise ValueError(
            f"features: {backbone.name} has no ReLU layers, which are needed to project activations to pixels; "
            "use a VGG, a ResNet or an EfficientNet-Lite"
        )
    return "deconvnet" if backbone_info(backbone.name).family in SEQUENTIAL_FAMILIES else "guided"


def _full_name(backbone: nn.Module, layer: str) -> str:
    """Return the full name of a layer; the prefix ``network.`` of a classifier is optional."""
    names: dict[str, str] = {name.removeprefix("network."): name for name, _ in backbone.named_modules() if name not in {"", "network"}}
    if layer.removeprefix("network.") not in names:
        guess = did_you_mean(layer, list(names))
        hint = f"{guess} It has " if guess.startswith("did") else "it has "  # the other form of the guess lists all names
        raise ValueError(f"features: the backbone has no layer {layer!r}: {hint}{_sample(list(names))}")
    return names[layer.removeprefix("network.")]


def _sample(names: list[str], count: int = 12) -> str:
    """Return evenly spaced names, from the first layers to the last."""
    step = max(1, -(-len(names) // count))
    return ", ".join(names[::step]) + (" and others" if step > 1 else "")


class _ProjectionReLUFunction(torch.autograd.Function):
    """A ReLU whose backward pass keeps positive values: all of them, or only where the forward input was positive."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, max_value: float | None, guided: bool) -> Tensor:
        """Clamp to at least 0, and to at most ``max_value`` if given."""
        ctx.is_active = (x > 0) & (x < max_value) if max_value is not None else x > 0
        ctx.guided = guided
        return x.clamp(min=0, max=max_value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """Keep the positive values."""
        passed = gradients[0].clamp(min=0)
        return (passed * ctx.is_active if ctx.guided else passed), None, None


class _ProjectionReLU(nn.Module):
    """Replacement of a ReLU."""

    def __init__(self, max_value: float | None, guided: bool) -> None:
        super().__init__()
        self.max_value, self.guided = max_value, guided

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the ReLU."""
        out: Tensor = _ProjectionReLUFunction.apply(x, self.max_value, self.guided)  # type: ignore[no-untyped-call]
        return out


class _ProjectionNorm(nn.Module):
    """A normalization across channels whose backward pass is the identity."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the normalization."""
        normalized: Tensor = self.norm(x)
        return x + (normalized - x).detach()


def _replace_layers(module: nn.Module, method: ProjectionMethod) -> None:
    """Replace ReLUs and normalizations across channels in place."""
    makers: dict[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
        nn.ReLU: lambda _: _ProjectionReLU(None, method == "guided"),
        nn.ReLU6: lambda _: _ProjectionReLU(6.0, method == "guided"),
        nn.LocalResponseNorm: _ProjectionNorm,
    }
    for name, child in list(module.named_children()):
        maker = makers.get(type(child))
        if maker is None:
            _replace_layers(child, method)
        else:
            setattr(module, name, maker(child))


def _feature_map(backbone: nn.Module, layer: str, images: Tensor) -> Tensor:
    """Return the feature map ``(1, C, H, W)`` of a layer."""
    outputs: list[Any] = []
    handle = backbone.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    try:
        backbone(images)
    finally:
        handle.remove()
    if not outputs or not isinstance(outputs[0], Tensor) or outputs[0].ndim != 4:
        got = "no output, as the layer does not run" if not outputs else f"shape {tuple(getattr(outputs[0], 'shape', ()))}"
        raise ValueError(f"features: layer {layer!r}: expected a map (1, C, H, W), got {got}; choose a convolution, a stage or a block")
    feature_map: Tensor = outputs[0]
    return feature_map


def _strongest(feature_map: Tensor, top: int) -> list[int]:
    peaks = feature_map.detach()[0].flatten(1).amax(1)
    return [int(channel) for channel in peaks.topk(min(top, len(peaks))).indices if peaks[channel] > 0]


def _feature(feature_map: Tensor, images: Tensor, size: tuple[int, int], channel: int) -> Feature:
    """Project the strongest activation of a channel."""
    cells = feature_map[0, channel]
    index = int(cells.detach().argmax())
    y, x = divmod(index, cells.shape[1])
    (gradient,) = torch.autograd.grad(cells[y, x], images, retain_graph=True)
    projection = gradient[0, :, : size[0], : size[1]]
    activation = float(cells[y, x].detach())
    return Feature(channel, activation, (y, x), _window(projection, size), (activation * projection).cpu())


def _window(projection: Tensor, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the window of contributing pixels, a square where the image allows."""
    strength = projection.abs().amax(0)
    rows, columns = ((strength > _WINDOW_THRESHOLD * strength.max()).any(dim).nonzero().flatten() for dim in (1, 0))
    if not len(rows):
        return 0, 0, size[1], size[0]
    ranges = [(int(line[0]), int(line[-1]) + 1) for line in (rows, columns)]
    side = max(_MIN_WINDOW, *(high - low for low, high in ranges))
    y1, x1 = (max(0, min((low + high - side) // 2, length - side)) for (low, high), length in zip(ranges, size, strict=True))
    return x1, y1, min(size[1], x1 + side), min(size[0], y1 + side)


def feature_tiles(layer: LayerFeatures, side: int = 128) -> tuple[list[Tensor], list[str]]:
    """Return for each feature the image window next to its projection, ``(3, side, 2 * side + 4)`` in [0, 1], and captions."""
    images, captions = [], []
    for feature in layer.features:
        x1, y1, x2, y2 = feature.window
        projection = feature.projection[:, y1:y2, x1:x2]
        # A few pixels are many times stronger than all others; without clipping the others would not be visible.
        limit = projection.abs().flatten().kthvalue(1 + int(_CLIP_QUANTILE * (projection.numel() - 1))).values.clamp(min=1e-12)
        shown = (0.5 + 0.5 * projection / limit).clamp(0, 1)
        pair = [functional.interpolate(part[None], size=(side, side), mode="bilinear")[0] for part in (layer.image[:, y1:y2, x1:x2], shown)]
        images.append(torch.cat((pair[0], torch.ones(3, side, 4), pair[1]), 2).clamp(0, 1))
        captions.append(f"channel {feature.channel}: {feature.activation:.2f}")
    return images, captions
