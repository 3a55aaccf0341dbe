"""EfficientNet-Lite0 with the ImageNet weights that come with a Python package: they are always there."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from detkit.backbones import Backbone, BackboneConfig, load_backbone_weights
from detkit.backbones.timm_models import lite_names
from detkit.weights import resolve
from detkit.weights.read import read_tensors

DEPTHS = (1, 2, 2, 3, 3, 4, 1)
CATS = range(281, 286)
CUPS = (504, 967, 968)  # coffee mug, espresso, cup


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    config = BackboneConfig(name="efficientnet_lite0")
    made = config.build().eval()
    load_backbone_weights(made, config)
    return made


def tensors() -> dict[str, Tensor]:
    return lite_names(read_tensors(resolve("efficientnet_lite0")), DEPTHS)


def photograph(image: np.ndarray, backbone: Backbone) -> Tensor:
    """The middle of a photograph at 224 pixels, normalized."""
    photo = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    side = min(photo.shape[-2:])
    top, left = (photo.shape[-2] - side) // 2, (photo.shape[-1] - side) // 2
    square = photo[:, :, top : top + side, left : left + side]
    resized = functional.interpolate(square, size=(224, 224), mode="bilinear", antialias=True)
    return (resized - torch.tensor(backbone.mean).view(3, 1, 1)) / torch.tensor(backbone.std).view(3, 1, 1)


def classified(image: np.ndarray, backbone: Backbone) -> Tensor:
    """Probabilities of ImageNet's classes: our maps, under the classifier of the file."""
    head = timm.create_model("efficientnet_lite0", bn_eps=1e-3).eval()
    head.load_state_dict(tensors(), strict=True)
    with torch.no_grad():
        last = backbone(photograph(image, backbone))[-1]
        return head.forward_head(head.bn2(head.conv_head(last))).softmax(1)[0]


def test_the_normalization_is_the_publishers() -> None:
    config = BackboneConfig(name="efficientnet_lite0")
    made = config.build()
    gray = torch.tensor([0, 127, 255]) / 255
    torch.testing.assert_close((gray - made.mean[0]) / made.std[0], (torch.tensor([0.0, 127, 255]) - 127) / 128)


def test_norms_are_the_publishers() -> None:
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


def test_names_pair_tensors_in_timms_order() -> None:
    theirs = timm.create_model("efficientnet_lite0").state_dict()
    ours = tensors()
    assert list(ours) == list(theirs)
    assert [value.shape for value in ours.values()] == [value.shape for value in theirs.values()]


def test_timms_own_names_pass_as_they_are() -> None:
    state = timm.create_model("efficientnet_lite0").state_dict()
    assert list(lite_names(state, DEPTHS)) == list(state)
