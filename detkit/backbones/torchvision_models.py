"""Backbones that torchvision supplies, under torchvision's names."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torchvision import models
from torchvision.models import regnet, vgg

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.recipe import Recipe, center, pad_before, pad_patches, steps
from detkit.backbones.registry import BACKBONE_INFO, catalog_factories
from detkit.layers import NORM_EPS, NORM_MOMENTUM


def make(name: str, *, dilated_c4: bool = False, dilated_c5: bool = False, **options: Any) -> Backbone:
    """Build the backbone of this name; see :class:`detkit.backbones.BackboneConfig` for the options."""
    info, body = BACKBONE_INFO[name], network(name, classifier=False)
    dilation, levels = 1, list(info.levels)
    for index, stage, dilated in ((-2, "layer3", dilated_c4), (-1, "layer4", dilated_c5)):
        if dilated:
            _dilate(body.get_submodule(stage), dilation)
            dilation *= 2
        levels[index] = replace(levels[index], stride=levels[index].stride // dilation)
    info = replace(info, levels=tuple(levels)) if dilation > 1 else info
    recipe = _RECIPES[info.family](body)
    return SequentialBackbone.from_recipe(body, info, recipe, **options)


def network(name: str, *, classifier: bool = True) -> nn.Module:
    """Return torchvision's network with random weights.

    Args:
        name: Of the backbone.
        classifier: Whether the fully connected layers are needed; skipping them saves initializing VGG's 124 million parameters.
    """
    if name == "mobilenet_v3_large_reduced":
        return _reduced_mobilenet()
    architecture, family = name.removesuffix("_caffe"), BACKBONE_INFO[name].family
    if family == "VGG" and not classifier:
        return _vgg_features(architecture)
    if family == "RegNet":
        return _regnet_network(architecture)
    # The initialization of the Inception papers takes scipy seconds.
    created: nn.Module = models.get_model(architecture, **({"init_weights": False} if family.startswith("Inception") else {}))
    return created


def _regnet_network(name: str) -> nn.Module:
    """Build a RegNet; torchvision computes its widths with tensors, which must be on the CPU even when building on ``meta``."""
    params, widths = regnet.BlockParams, regnet.BlockParams.from_init_params

    def on_cpu(*args: Any, **options: Any) -> Any:
        with torch.device("cpu"):
            return widths(*args, **options)

    try:
        params.from_init_params = on_cpu
        created: nn.Module = models.get_model(name)
        return created
    finally:
        params.from_init_params = widths


def _reduced_mobilenet() -> nn.Module:
    """Build MobileNetV3-Large with its blocks of stride 32 half as wide, as in SSDLite (section 6.3 of the paper).

    The momentum of the norms and the normal initialization are those of torchvision's ``ssdlite320_mobilenet_v3_large``.
    """
    norm = partial(nn.BatchNorm2d, eps=NORM_EPS, momentum=NORM_MOMENTUM)
    body: nn.Module = models.mobilenet_v3_large(reduced_tail=True, norm_layer=norm)
    for part in body.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.normal_(part.weight, std=0.03)
    return body


def _vgg_features(name: str) -> nn.Module:
    letter = {"vgg11": "A", "vgg13": "B", "vgg16": "D", "vgg19": "E"}[name.removesuffix("_bn")]
    features = vgg.make_layers(vgg.cfgs[letter], batch_norm=name.endswith("_bn"))
    for part in features:
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    return nn.ModuleDict({"features": features, "classifier": nn.Identity()})


def _alexnet(_body: nn.Module) -> Recipe:
    # Published with padding of less than half the kernel size, which moves cells by a few pixels; here they are centered.
    stages = (steps("features", 0, 2), steps("features", 2, 5), steps("features", 5, 13))
    return Recipe(stages, {"c2": "features.1", "c3": "features.4", "c4": "features.11", "c5": "features.12"}, center)


def _vgg(body: nn.Module) -> Recipe:
    # Map sizes are halved with rounding up; SSD300 does so at the third halving, the only place where it matters. Stages begin with a
    # pooling layer, like the stages that torchvision's SSD freezes.
    features: Any = body.get_submodule("features")
    pools = [index for index, part in enumerate(features) if isinstance(part, nn.MaxPool2d)]
    stages = tuple(steps("features", low, high) for low, high in itertools.pairwise((0, *pools[:-1], len(features))))
    taps = {f"c{level}": f"features.{pool - 1}" for level, pool in enumerate(pools)}
    return Recipe(stages, {**taps, "c5": f"features.{pools[-1]}"}, center)


def _googlenet(_body: nn.Module) -> Recipe:
    fourth = ("maxpool3", *(f"inception4{letter}" for letter in "abcde"))
    stages = (("conv1",), ("maxpool1", "conv2", "conv3"), ("maxpool2", "inception3a", "inception3b"), fourth)
    taps = {"c1": "conv1", "c2": "conv3", "c3": "inception3b", "c4": "inception4e", "c5": "inception5b"}
    return Recipe((*stages, ("maxpool4", "inception5a", "inception5b")), taps, center)


def _inception_v3(_body: nn.Module) -> Recipe:
    stem = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3")
    fifth = ("maxpool2", "Mixed_5b", "Mixed_5c", "Mixed_5d")
    sixth, seventh = tuple(f"Mixed_6{letter}" for letter in "abcde"), tuple(f"Mixed_7{letter}" for letter in "abc")
    stages = (stem, ("maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3"), fifth, sixth, seventh)
    taps = {f"c{level}": stage[-1] for level, stage in enumerate(stages, 1)}
    return Recipe(stages, taps, _pad_inception_v3)


def _pad_inception_v3(body: nn.Module) -> None:
    for name, part in body.named_children():
        if name.startswith(("Conv2d", "maxpool")):
            center(part)
    # Their pooling is a function call, so its padding cannot be set.
    pad_before(body.get_submodule("Mixed_6a"))
    pad_before(body.get_submodule("Mixed_7a"))


def _resnet(_body: nn.Module) -> Recipe:
    stages = (("conv1", "bn1", "relu", "maxpool"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))
    return Recipe(stages, {"c1": "relu", "c2": "layer1", "c3": "layer2", "c4": "layer3", "c5": "layer4"})


def _densenet(_body: nn.Module) -> Recipe:
    """Tap each block's concatenated outputs after the norm of the following transition, before its convolution reduces them."""

    def block(number: int) -> tuple[str, ...]:
        before = f"features.transition{number - 1}"
        down = (f"{before}.conv", f"{before}.pool") if number > 1 else ()
        norm = (f"features.transition{number}.norm", f"features.transition{number}.relu")
        return (*down, f"features.denseblock{number}", *(norm if number < 4 else ("features.norm5", "features.relu5")))

    stem = ("features.conv0", "features.norm0", "features.relu0", "features.pool0")
    taps = {"c1": "features.relu0", **{f"c{k + 1}": f"features.transition{k}.relu" for k in (1, 2, 3)}, "c5": "features.relu5"}
    return Recipe((stem, *(block(k) for k in (1, 2, 3, 4))), taps, _finish_densenet)


def _finish_densenet(body: nn.Module) -> None:
    center(body)
    # torchvision applies the last activation in its forward method.
    body.get_submodule("features").add_module("relu5", nn.ReLU(inplace=True))


def _features_recipe(bounds: tuple[int, ...], levels: dict[str, int], **more: Any) -> Callable[[nn.Module], Recipe]:
    """Return the recipe of a network with one sequence ``features``, given the bounds of its stages and the index of each level."""
    stages = tuple(steps("features", low, high) for low, high in itertools.pairwise(bounds))
    taps = {level: f"features.{index}" for level, index in levels.items()}
    return lambda _body: Recipe(stages, taps, **more)


def _mobilenet_v3(body: nn.Module) -> Recipe:
    features: Any = body.get_submodule("features")
    if len(features) == 13:  # small
        return _features_recipe((0, 1, 2, 4, 9, 13), {"c1": 0, "c2": 1, "c3": 3, "c4": 8, "c5": 12})(body)
    # The first block of stride 32 runs module by module, because SSDLite takes a map from within it, after the expansion. The six stages
    # are those that torchvision's detectors freeze.
    inside = steps("features.13.block", 0, 4)
    bounds = (0, 2, 4, 7, 13, 16, 17)
    stages = tuple(
        (*(inside if low == 13 else ()), *steps("features", 14 if low == 13 else low, high)) for low, high in itertools.pairwise(bounds)
    )
    indices = {"c1": "1", "c2": "3", "c3": "6", "c4": "12", "c4_expanded": "13.block.0", "c5_first": "13.block.3", "c5": "16"}
    return Recipe(stages, {level: f"features.{index}" for level, index in indices.items()})


def _efficientnet_v2(body: nn.Module) -> Recipe:
    last = len(list(body.get_submodule("features").children())) - 2
    return _features_recipe((0, 2, 3, 4, 6, last + 1), {"c1": 1, "c2": 2, "c3": 3, "c4": 5, "c5": last})(body)


def _shufflenet(_body: nn.Module) -> Recipe:
    stages = (("conv1",), ("maxpool",), ("stage2",), ("stage3",), ("stage4",))
    return Recipe(stages, {f"c{level}": stage[0] for level, stage in enumerate(stages, 1)})


def _regnet(_body: nn.Module) -> Recipe:
    stages = (("stem",), *((f"trunk_output.block{k}",) for k in (1, 2, 3, 4)))
    return Recipe(stages, {f"c{level}": stage[0] for level, stage in enumerate(stages, 1)})


_PYRAMID = ((0, 2, 4, 6, 8), {"c2": 1, "c3": 3, "c4": 5, "c5": 7})

_RECIPES: dict[str, Callable[[nn.Module], Recipe]] = {
    "AlexNet": _alexnet,
    "VGG": _vgg,
    "Inception v1": _googlenet,
    "Inception v3": _inception_v3,
    "ResNet": _resnet,
    "ResNeXt": _resnet,
    "Wide ResNet": _resnet,
    "DenseNet": _densenet,
    "MobileNetV2": _features_recipe((0, 2, 4, 7, 14, 18), {"c1": 1, "c2": 3, "c3": 6, "c4": 13, "c5": 17}),
    "MobileNetV3": _mobilenet_v3,
    "EfficientNet": _features_recipe((0, 2, 3, 4, 6, 8), {"c1": 1, "c2": 2, "c3": 3, "c4": 5, "c5": 7}),
    "EfficientNetV2": _efficientnet_v2,
    "ShuffleNetV2": _shufflenet,
    "RegNet": _regnet,
    # Blocks end without a norm, so each map gets one, as in the detectors of the papers.
    "ConvNeXt": _features_recipe(*_PYRAMID, prepare=pad_patches, map_norms=True),
    "Swin": _features_recipe(*_PYRAMID, prepare=pad_patches, map_norms=True, channels_last=True),
}


def _dilate(stage: nn.Module, dilation: int) -> None:
    """Remove the stride of a stage, so that trained weights still fit.

    Args:
        stage: The stage.
        dilation: Dilation of the stages before; kernels after the strided one get twice as much.
    """
    after_stride = False
    for part in stage.modules():
        if isinstance(part, nn.Conv2d):
            if wide := part.kernel_size != (1, 1):
                part.dilation = part.padding = (2 * dilation if after_stride else dilation,) * 2
            after_stride = after_stride or (wide and part.stride != (1, 1))
            part.stride = (1, 1)


__getattr__ = catalog_factories(__name__, make)
