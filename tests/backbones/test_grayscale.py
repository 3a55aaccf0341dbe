"""Networks that see one channel: weights summed over the colors give a gray image the maps that it had with three equal channels."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from detkit.backbones import BACKBONES, Backbone, BackboneConfig, backbone_info, load_backbone_weights
from detkit.backbones.full_network import FullNetwork
from detkit.backbones.grayscale import luma
from detkit.layers import FrozenBatchNorm

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contracts"))
from test_backbones import SMALL, fill_norms

FAST = {"lenet5", "resnet18", "shufflenet_v2_x0_5", "csp_darknet_nano", "efficientnet_lite0", "vit_tiny_patch16_224"}
EACH, EACH_SMALL = (
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in names] for names in (BACKBONES.names(), SMALL)
)


def pair(name: str, **options: Any) -> tuple[Backbone, Backbone]:
    """A seeded network of color images, and the one of gray images with its weights."""
    torch.manual_seed(0)
    color = BackboneConfig(name=name, weights=None, **options).build().eval()
    fill_norms(color)
    gray = BackboneConfig(name=name, weights=None, grayscale=True, **options).build().eval()
    gray.load_state_dict(gray.fit_colors(color.state_dict()))
    return color, gray


@pytest.mark.parametrize("name", EACH)
@torch.no_grad()
def test_every_backbone_sees_one_channel(name: str) -> None:
    """Maps keep their shapes, and the only other weights are those of the first convolutions, a third as many."""
    with torch.device("meta"):
        color = BackboneConfig(name=name, weights=None).build().eval()
        gray = BackboneConfig(name=name, weights=None, grayscale=True).build().eval()
        shapes = [level.shape for level in color(torch.empty(2, 3, 63, 33))]
        assert [level.shape for level in gray(torch.empty(2, 3, 63, 33))] == shapes
    before, after = color.state_dict(), gray.state_dict()
    changed = [key for key in before if after[key].shape != before[key].shape]
    assert list(before) == list(after)
    assert changed == ([] if backbone_info(name).grayscale else list(gray.color_weights))
    assert all(after[key].shape == (before[key].shape[0], 1, *before[key].shape[2:]) for key in changed)
    assert gray.grayscale
    assert len({*gray.mean}) == len({*gray.std}) == 1


@pytest.mark.parametrize("name", EACH_SMALL)
@torch.no_grad()
def test_a_gray_image_keeps_its_maps(name: str) -> None:
    color, gray = pair(name)
    image = torch.randn(1, 1, 65, 50)
    expected = color(image.expand(-1, 3, -1, -1))
    for images in (image, image.expand(-1, 3, -1, -1)):
        for level, reference in zip(gray(images), expected, strict=True):
            torch.testing.assert_close(level, reference, rtol=1e-4, atol=1e-4 * float(reference.abs().max()))


@torch.no_grad()
def test_color_images_are_seen_as_their_luma() -> None:
    _, gray = pair("shufflenet_v2_x0_5")
    images = torch.rand(2, 3, 64, 64)
    red, green, blue = images.split(1, 1)
    torch.testing.assert_close(luma(images), 0.299 * red + 0.587 * green + 0.114 * blue)
    for level, reference in zip(gray(images), gray(luma(images)), strict=True):
        assert torch.equal(level, reference)


def test_its_normalization_is_the_mean_over_the_colors() -> None:
    gray = BackboneConfig(name="resnet18", weights=None, grayscale=True).build()
    assert gray.mean == pytest.approx([(0.485 + 0.456 + 0.406) / 3] * 3)
    assert gray.std == pytest.approx([(0.229 + 0.224 + 0.225) / 3] * 3)


@pytest.mark.parametrize("norm", ["frozen", "train", "group"])
def test_published_weights_are_summed(tmp_path: Path, norm: str) -> None:
    torch.manual_seed(0)
    published = models.resnet18().state_dict()
    torch.save(published, tmp_path / "file.pth")
    config = BackboneConfig(name="resnet18", weights=str(tmp_path / "file.pth"), grayscale=True, norm=norm)
    backbone = config.build()
    load_backbone_weights(backbone, config)
    torch.testing.assert_close(backbone.get_parameter("conv1.weight"), published["conv1.weight"].sum(1, keepdim=True))
    assert not backbone.get_parameter("conv1.weight").requires_grad  # the stem is frozen
    torch.save(backbone.state_dict(), tmp_path / "gray.pth")
    again = config.replace(weights=str(tmp_path / "gray.pth"))
    other = again.build()
    load_backbone_weights(other, again)
    assert torch.equal(other.get_parameter("conv1.weight"), backbone.get_parameter("conv1.weight"))


def test_weights_of_a_gray_network_do_not_fit_color_images(tmp_path: Path) -> None:
    torch.save(BackboneConfig(name="resnet18", weights=None, grayscale=True).build().state_dict(), tmp_path / "gray.pth")
    config = BackboneConfig(name="resnet18", weights=str(tmp_path / "gray.pth"))
    with pytest.raises(ValueError, match=r"conv1.weight: expected shape \(64, 3, 7, 7\) for resnet18, got \(64, 1, 7, 7\)"):
        load_backbone_weights(config.build(), config)


def test_training_moves_the_summed_weights() -> None:
    backbone = BackboneConfig(name="resnet18", weights=None, grayscale=True, norm="frozen", frozen_stages=0).build().train()
    assert any(isinstance(part, FrozenBatchNorm) for part in backbone.modules())
    backbone(torch.rand(1, 3, 64, 64))[-1].sum().backward()
    gradient = backbone.get_parameter("conv1.weight").grad
    assert gradient is not None
    assert gradient.shape == (64, 1, 7, 7)
    assert gradient.any()


@pytest.mark.parametrize("name", ["lenet5", "shufflenet_v2_x0_5", "csp_darknet_nano", "timm/resnet10t"])
@torch.no_grad()
def test_classifiers_see_one_channel(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    color = FullNetwork(BackboneConfig(name=name, weights=None), 3).eval()
    torch.save(BackboneConfig(name=name, weights=None).build().state_dict(), tmp_path / "file.pth")
    gray = FullNetwork(BackboneConfig(name=name, weights=None, grayscale=True), 3).eval()
    gray.load_state_dict(gray.fit_colors(color.state_dict()))
    image = torch.randn(1, 1, 64, 64)
    (expected,), (logits,) = color(image.expand(-1, 3, -1, -1)), gray(image)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_a_network_without_an_image_convolution_is_an_error() -> None:
    backbone = BackboneConfig(name="resnet18", weights=None).build()
    backbone.add_module("conv1", nn.Conv2d(4, 64, 7, 2, 3))
    with pytest.raises(
        ValueError, match=r"^backbone resnet18: expected a network whose first layer .*; set model.backbone.grayscale=false"
    ):
        backbone.make_grayscale()


def test_luma_leaves_one_channel_as_it_is() -> None:
    images: Tensor = torch.rand(2, 1, 4, 4)
    assert luma(images) is images
