"""EfficientNet-Lite0 with its ImageNet weights, which ship in a Python package and are always available."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import Backbone, BackboneConfig, load_backbone_weights
from detkit.backbones.efficientnet_lite import lite_names
from detkit.weights import resolve
from detkit.weights.read import read_tensors

DEPTHS = (1, 2, 2, 3, 3, 4, 1)
CATS = range(281, 286)
CUPS = (504, 967, 968)  # coffee mug, espresso, cup


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    config = BackboneConfig(name="efficientnet_lite0")
    loaded = config.build().eval()
    load_backbone_weights(loaded, config)
    return loaded


def tensors() -> dict[str, Tensor]:
    return lite_names(read_tensors(resolve("efficientnet_lite0")), DEPTHS)


def photograph(image: np.ndarray, backbone: Backbone) -> Tensor:
    """Center crop of a photograph at 224 pixels, normalized."""
    images = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    side = min(images.shape[-2:])
    top, left = (images.shape[-2] - side) // 2, (images.shape[-1] - side) // 2
    square = images[:, :, top : top + side, left : left + side]
    resized = functional.interpolate(square, size=(224, 224), mode="bilinear", antialias=True)
    return (resized - torch.tensor(backbone.mean).view(3, 1, 1)) / torch.tensor(backbone.std).view(3, 1, 1)


def classified(image: np.ndarray, backbone: Backbone) -> Tensor:
    """Probabilities of ImageNet's classes, from the backbone's map and the classifier of the file."""
    head = timm.create_model("efficientnet_lite0", bn_eps=1e-3).eval()
    head.load_state_dict(tensors(), strict=True)
    with torch.no_grad():
        last = backbone(photograph(image, backbone))[-1]
        return head.forward_head(head.bn2(head.conv_head(last))).softmax(1)[0]


def test_normalization_equals_the_publisher() -> None:
    config = BackboneConfig(name="efficientnet_lite0")
    built = config.build()
    gray = torch.tensor([0, 127, 255]) / 255
    torch.testing.assert_close((gray - built.mean[0]) / built.std[0], (torch.tensor([0.0, 127, 255]) - 127) / 128)


def test_norm_settings_equal_the_publisher() -> None:
    norms = [part for part in BackboneConfig(name="efficientnet_lite0", norm="train").build().modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_chelsea_is_a_cat(backbone: Backbone) -> None:
    probabilities = classified(skimage.data.chelsea(), backbone)
    assert int(probabilities.argmax()) in CATS
    assert float(probabilities[list(CATS)].sum()) > 0.7


def test_coffee_is_a_cup_or_an_espresso(backbone: Backbone) -> None:
    probabilities = classified(skimage.data.coffee(), backbone)
    assert int(probabilities.argmax()) in CUPS
    assert float(probabilities[list(CUPS)].sum()) > 0.7


def test_renamed_tensors_are_in_the_order_of_timm() -> None:
    reference = timm.create_model("efficientnet_lite0").state_dict()
    renamed = tensors()
    assert list(renamed) == list(reference)
    assert [value.shape for value in renamed.values()] == [value.shape for value in reference.values()]


def test_names_of_timm_are_not_changed() -> None:
    state = timm.create_model("efficientnet_lite0").state_dict()
    assert list(lite_names(state, DEPTHS)) == list(state)
