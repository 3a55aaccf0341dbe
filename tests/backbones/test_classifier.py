"""Backbones with their published heads: outputs equal the library's networks, and photographs are recognized."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import timm
import torch
from torch import Tensor
from torch.nn import functional
from torchvision import models

from detkit.backbones import BackboneConfig, load_backbone_weights, published_classifier
from detkit.backbones.info import IMAGENET_MEAN, IMAGENET_STD

CATS, CUPS = range(281, 286), (504, 967, 968)  # tabby to Egyptian cat; coffee mug, espresso, cup


def normalized(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return (images - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(3, 1, 1)


@pytest.mark.oracle("torchvision", "outputs of backbones with their classifiers", tolerance="1e-4")
@pytest.mark.parametrize(
    "name",
    ["resnet18", "shufflenet_v2_x0_5", pytest.param("swin_t", marks=pytest.mark.slow), pytest.param("googlenet", marks=pytest.mark.slow)],
)
@torch.no_grad()
def test_outputs_equal_torchvision(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {"init_weights": False, "transform_input": True} if name == "googlenet" else {}
    reference = models.get_model(name, **options).eval()
    torch.save(reference.state_dict(), tmp_path / "file.pth")
    own = published_classifier(name, str(tmp_path / "file.pth"))
    images = torch.rand(2, 3, 96, 96)
    torch.testing.assert_close(own(images), reference(normalized(images, IMAGENET_MEAN, IMAGENET_STD)), rtol=1e-4, atol=1e-4)


@pytest.mark.oracle("timm", "outputs of backbones with their classifiers", tolerance="1e-4")
@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", pytest.param("legacy_seresnet50", marks=pytest.mark.slow)])
@torch.no_grad()
def test_outputs_equal_timm(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = timm.create_model(name).eval()
    torch.save(reference.state_dict(), tmp_path / "file.pth")
    own = published_classifier(name, str(tmp_path / "file.pth"))
    images = torch.rand(1, 3, 224, 224)
    torch.testing.assert_close(own(images), reference(normalized(images, IMAGENET_MEAN, IMAGENET_STD)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("photograph", "classes"), [("chelsea", CATS), ("coffee", CUPS)])
def test_photographs_are_recognized(photograph: str, classes: range | tuple[int, ...]) -> None:
    network = published_classifier("efficientnet_lite0")
    image: np.ndarray = getattr(skimage.data, photograph)()
    images = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    side = min(images.shape[-2:])
    top, left = (images.shape[-2] - side) // 2, (images.shape[-1] - side) // 2
    square = images[:, :, top : top + side, left : left + side]
    probabilities = network(functional.interpolate(square, size=(network.input_size,) * 2, mode="bilinear", antialias=True)).softmax(1)[0]
    assert int(probabilities.argmax()) in classes
    assert float(probabilities[list(classes)].sum()) > 0.7


def test_its_weights_load_into_a_backbone(tmp_path: Path) -> None:
    trained = published_classifier("shufflenet_v2_x0_5", None)
    torch.save(trained.network.state_dict(), tmp_path / "file.pth")
    config = BackboneConfig(name="shufflenet_v2_x0_5", weights=str(tmp_path / "file.pth"))
    backbone = config.build()
    load_backbone_weights(backbone, config)
    assert torch.equal(backbone.get_parameter("stage2.0.branch1.0.weight"), trained.network.get_parameter("stage2.0.branch1.0.weight"))


def test_backbones_published_with_a_detector_have_no_classifier() -> None:
    with pytest.raises(ValueError, match=r"^backbone csp_darknet_nano: it has no classifier; choose one"):
        published_classifier("csp_darknet_nano", None)


def test_weights_of_another_network_are_an_error(tmp_path: Path) -> None:
    torch.save(models.shufflenet_v2_x0_5().state_dict(), tmp_path / "file.pth")
    with pytest.raises(ValueError, match=r"expected the tensors of resnet18, got \d+ that do not match: "):
        published_classifier("resnet18", str(tmp_path / "file.pth"))
