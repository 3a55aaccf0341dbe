"""LeNet-5 and ZFNet, which no library supplies, padded so that cells are centered."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from detkit.backbones.backbone import Backbone, SequentialBackbone
from detkit.backbones.grayscale import take_luma
from detkit.backbones.recipe import Recipe, steps
from detkit.backbones.registry import BACKBONE_INFO


def lenet5(**options: Any) -> Backbone:
    """LeNet-5 (LeCun et al., 1998) on grayscale images, with its first fully connected layer as the equivalent 5x5 convolution.

    The second convolution connects all maps, where the paper omits some connections, and pooling is a plain mean.
    """
    stages = (("features.conv1", "features.tanh1"), ("features.pool1", "features.conv2", "features.tanh2"))
    last = ("features.pool2", "features.conv3", "features.tanh3")
    taps = {"c0": "features.tanh1", "c1": "features.tanh2", "c2": "features.tanh3"}
    return SequentialBackbone.from_recipe(network("lenet5"), BACKBONE_INFO["lenet5"], Recipe((*stages, last), taps), **options)


def zfnet(**options: Any) -> Backbone:
    """ZFNet (Zeiler and Fergus, 2013): five convolutions with max pooling and normalization across channels."""
    stages = (steps("features", 0, 2), steps("features", 2, 6), steps("features", 6, 15))
    taps = {"c1": "features.1", "c2": "features.3", "c3": "features.5", "c4": "features.13", "c5": "features.14"}
    return SequentialBackbone.from_recipe(network("zfnet"), BACKBONE_INFO["zfnet"], Recipe(stages, taps), **options)


def network(name: str) -> nn.Module:
    """Return the classifier ``lenet5`` or ``zfnet`` with random weights."""
    return LeNet5() if name == "lenet5" else ZFNet()


class LeNet5(nn.Module):
    """The classifier of ten digits in images of 32x32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        take_luma(self)
        parts: dict[str, nn.Module] = {}
        for number, (in_channels, channels) in enumerate(((1, 6), (6, 16), (16, 120)), 1):
            if number > 1:
                parts[f"pool{number - 1}"] = nn.AvgPool2d(2, ceil_mode=True)
            parts |= {f"conv{number}": nn.Conv2d(in_channels, channels, 5, padding=2), f"tanh{number}": nn.Tanh()}
        self.features = nn.Sequential()
        for name, part in parts.items():
            self.features.add_module(name, part)
        self.classifier = nn.Sequential(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, 10)`` of normalized images ``(B, 1, H, W)``.

        They are those of the middle cell of the last map, whose receptive field is 32x32 pixels.
        """
        features = self.features(images)
        logits: Tensor = self.classifier(features[:, :, features.shape[-2] // 2, features.shape[-1] // 2])
        return logits


class ZFNet(nn.Module):
    """The ImageNet classifier (figure 3 of the paper)."""

    def __init__(self) -> None:
        super().__init__()

        def convolution(in_channels: int, channels: int, kernel: int, stride: int) -> tuple[nn.Module, nn.Module]:
            return nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2), nn.ReLU(inplace=True)

        def shrink() -> tuple[nn.Module, nn.Module]:
            return nn.MaxPool2d(3, 2, 1), nn.LocalResponseNorm(5)

        first = (*convolution(3, 96, 7, 2), *shrink(), *convolution(96, 256, 5, 2), *shrink())
        rest = (*convolution(256, 384, 3, 1), *convolution(384, 384, 3, 1), *convolution(384, 256, 3, 1))
        self.features = nn.Sequential(*first, *rest, nn.MaxPool2d(3, 2, 1))
        self.pool = nn.AdaptiveAvgPool2d(6)
        layers = (nn.Linear(256 * 36, 4096), nn.ReLU(), nn.Dropout(), nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout())
        self.classifier = nn.Sequential(*layers, nn.Linear(4096, 1000))

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, 1000)`` of normalized images."""
        logits: Tensor = self.classifier(torch.flatten(self.pool(self.features(images)), 1))
        return logits
