"""Backbones with their heads on: the library's own networks say the same, and photographs are recognized."""

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

from detkit.backbones import BackboneConfig, classifier, load_backbone_weights
from detkit.backbones.known.fact import IMAGENET_MEAN, IMAGENET_STD

CATS, CUPS = range(281, 286), (504, 967, 968)  # tabby to Egyptian cat; coffee mug, espresso, cup


def normalized(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    return (images - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(3, 1, 1)


@pytest.mark.parametrize(
    "name",
    ["resnet18", "shufflenet_v2_x0_5", pytest.param("swin_t", marks=pytest.mark.slow), pytest.param("googlenet", marks=pytest.mark.slow)],
)
@torch.no_grad()
def test_says_what_torchvisions_own_network_says(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    choices = {"init_weights": False, "transform_input": True} if name == "googlenet" else {}
    theirs = models.get_model(name, **choices).eval()
    torch.save(theirs.state_dict(), tmp_path / "file.pth")
    ours = classifier(name, str(tmp_path / "file.pth"))
    images = torch.rand(2, 3, 96, 96)
    torch.testing.assert_close(ours(images), theirs(normalized(images, IMAGENET_MEAN, IMAGENET_STD)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", pytest.param("legacy_seresnet50", marks=pytest.mark.slow)])
@torch.no_grad()
def test_says_what_timms_own_network_says(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model(name).eval()
    torch.save(theirs.state_dict(), tmp_path / "file.pth")
    ours = classifier(name, str(tmp_path / "file.pth"))
    images = torch.rand(1, 3, 224, 224)
    torch.testing.assert_close(ours(images), theirs(normalized(images, IMAGENET_MEAN, IMAGENET_STD)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize(("photograph", "classes"), [("chelsea", CATS), ("coffee", CUPS)])
def test_photographs_are_recognized(photograph: str, classes: range | tuple[int, ...]) -> None:
    made = classifier("efficientnet_lite0")
    image: np.ndarray = getattr(skimage.data, photograph)()
    photo = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    side = min(photo.shape[-2:])
    top, left = (photo.shape[-2] - side) // 2, (photo.shape[-1] - side) // 2
    square = photo[:, :, top : top + side, left : left + side]
    probabilities = made(functional.interpolate(square, size=(made.input_size,) * 2, mode="bilinear", antialias=True)).softmax(1)[0]
    assert int(probabilities.argmax()) in classes
    assert float(probabilities[list(classes)].sum()) > 0.7


def test_what_it_learned_fills_a_backbone(tmp_path: Path) -> None:
    trained = classifier("shufflenet_v2_x0_5", None)
    torch.save(trained.network.state_dict(), tmp_path / "file.pth")
    config = BackboneConfig(name="shufflenet_v2_x0_5", weights=str(tmp_path / "file.pth"))
    backbone = config.build()
    load_backbone_weights(backbone, config)
    assert torch.equal(backbone.get_parameter("stage2.0.branch1.0.weight"), trained.network.get_parameter("stage2.0.branch1.0.weight"))


def test_one_that_came_with_a_detector_has_no_head() -> None:
    with pytest.raises(ValueError, match=r"^backbone csp_darknet_nano: it has no classifier; choose one"):
        classifier("csp_darknet_nano", None)


def test_a_file_of_another_network(tmp_path: Path) -> None:
    torch.save(models.shufflenet_v2_x0_5().state_dict(), tmp_path / "file.pth")
    with pytest.raises(ValueError, match=r"expected the tensors of resnet18, got \d+ amiss: "):
        classifier("resnet18", str(tmp_path / "file.pth"))
