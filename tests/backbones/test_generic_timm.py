"""timm networks that are not in the catalog."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from detkit.backbones import BACKBONES, BackboneConfig, backbone_info, load_backbone_weights


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv4_conv_small", "vit_tiny_patch16_384"])
def test_maps_match_the_declared_levels(name: str) -> None:
    assert f"timm/{name}" in BACKBONES
    assert f"timm/{name}" not in BACKBONES.names()
    info = backbone_info(f"timm/{name}")
    with torch.device("meta"):
        backbone = BackboneConfig(name=f"timm/{name}", weights=None).build()
        maps = backbone(torch.empty(1, 3, 65, 97))
    assert backbone.level_names == info.default_levels == ("c2", "c3", "c4", "c5")
    assert [tuple(level.shape[1:]) for level in maps] == [
        (c, -(-65 // s), -(-97 // s)) for c, s in zip(backbone.channels, backbone.strides, strict=True)
    ]


@torch.no_grad()
def test_loads_a_file_of_timm(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = timm.create_model("mobilenetv4_conv_small").eval()
    torch.save(reference.state_dict(), tmp_path / "file.pth")
    config = BackboneConfig(name="timm/mobilenetv4_conv_small", weights=str(tmp_path / "file.pth"), norm="train", frozen_stages=0)
    backbone = config.build().eval()
    load_backbone_weights(backbone, config)
    images = torch.randn(1, 3, 64, 96)
    for level, expected in zip(backbone(images), reference.forward_intermediates(images, intermediates_only=True)[1:], strict=True):
        torch.testing.assert_close(level, expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet26x", r"timm \S+ has no such network: did you mean 'resnet26"),
        ("vit_large_patch14_clip_224", "expected patches of 4, 8, 16 or 32 pixels, .*, got 14"),
    ],
)
def test_unsupported_networks_are_errors(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^backbone timm/{name}: {message}"):
        BackboneConfig(name=f"timm/{name}", weights=None).build()


def test_weights_are_not_downloaded_implicitly() -> None:
    config = BackboneConfig(name="timm/resnet10t")
    with pytest.raises(ValueError, match=r"no published weights are known; pass a file"):
        load_backbone_weights(config.build(), config)
