"""Two networks from before batch norm that no library has: LeNet-5 and ZFNet, padded so that cells are centered."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, ChainBackbone
from detkit.backbones.chain_parts import Recipe, steps
from detkit.backbones.facts import FACTS


def lenet5(**choices: Any) -> Backbone:
    """LeNet-5 (LeCun et al., 1998) on the brightness of images; its first fully connected layer is the 5x5 convolution that it equals.

    Every map of the second convolution sees every map of the first, where the paper leaves some connections out, and poolings are plain
    means.
    """
    stages = (("features.gray", "features.conv1", "features.tanh1"), ("features.pool1", "features.conv2", "features.tanh2"))
    last = ("features.pool2", "features.conv3", "features.tanh3")
    taps = {"c0": "features.tanh1", "c1": "features.tanh2", "c2": "features.tanh3"}
    return ChainBackbone.of(network("lenet5"), FACTS["lenet5"], Recipe((*stages, last), taps), **choices)


def zfnet(**choices: Any) -> Backbone:
    """ZFNet (Zeiler and Fergus, 2013): five convolutions with max pooling and normalization across channels."""
    places = (steps("features", 0, 2), steps("features", 2, 6), steps("features", 6, 15))
    taps = {"c1": "features.1", "c2": "features.3", "c3": "features.5", "c4": "features.13", "c5": "features.14"}
    return ChainBackbone.of(network("zfnet"), FACTS["zfnet"], Recipe(places, taps), **choices)


def network(name: str) -> nn.Module:
    """The classifier ``lenet5`` or ``zfnet``, with random numbers."""
    return LeNet5() if name == "lenet5" else ZFNet()


class Gray(nn.Module):
    """The brightness of a image, weighed as in ITU-R BT.601."""

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to ``(B, 1, H, W)``."""
        return (images * images.new_tensor((0.299, 0.587, 0.114)).reshape(1, 3, 1, 1)).sum(1, keepdim=True)


class LeNet5(nn.Module):
    """The classifier of ten digits on 32x32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {"gray": Gray()}
        for place, (source, channels) in enumerate(((1, 6), (6, 16), (16, 120)), 1):
            if place > 1:
                parts[f"pool{place - 1}"] = nn.AvgPool2d(2, ceil_mode=True)
            parts |= {f"conv{place}": nn.Conv2d(source, channels, 5, padding=2), f"tanh{place}": nn.Tanh()}
        self.features = nn.Sequential()
        for name, part in parts.items():
            self.features.add_module(name, part)
        self.classifier = nn.Sequential(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, 10)`` of normalized images, from the cell in the middle of the last map, which sees all of 32x32 pixels."""
        found = self.features(images)
        return self.classifier(found[:, :, found.shape[-2] // 2, found.shape[-1] // 2])  # type: ignore[no-any-return]


class ZFNet(nn.Module):
    """The classifier of ImageNet (figure 3 of the paper)."""

    def __init__(self) -> None:
        super().__init__()

        def convolution(source: int, channels: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
            return nn.Conv2d(source, channels, kernel, stride, kernel // 2), nn.ReLU(inplace=True)

        def shrink() -> tuple[nn.Module, nn.Module]:
            return nn.MaxPool2d(3, 2, 1), nn.LocalResponseNorm(5)

        first = (*convolution(3, 96, 7, 2), *shrink(), *convolution(96, 256, 5, 2), *shrink())
        rest = (*convolution(256, 384, 3, 1), *convolution(384, 384, 3, 1), *convolution(384, 256, 3, 1))
        self.features = nn.Sequential(*first, *rest, nn.MaxPool2d(3, 2, 1))
        self.pool = nn.AdaptiveAvgPool2d(6)
        layers = (nn.Linear(256 * 36, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout())
        self.classifier = nn.Sequential(*layers, nn.Linear(4096, 1000))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(B, 1000)`` of normalized images."""
        return self.classifier(torch.flatten(self.pool(self.features(images)), 1))  # type: ignore[no-any-return]
