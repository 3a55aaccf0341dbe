"""Networks of timm that the table does not list."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch

from detkit.backbones import BACKBONES, BackboneConfig, facts_of, load_backbone_weights


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv4_conv_small", "vit_tiny_patch16_384"])
def test_maps_as_its_facts_declare(name: str) -> None:
    assert f"timm/{name}" in BACKBONES
    assert f"timm/{name}" not in BACKBONES.names()
    facts = facts_of(f"timm/{name}")
    with torch.device("meta"):
        backbone = BackboneConfig(name=f"timm/{name}", weights=None).build()
        maps = backbone(torch.empty(1, 3, 65, 97))
    assert backbone.level_names == facts.default_levels == ("c2", "c3", "c4", "c5")
    assert [tuple(found.shape[1:]) for found in maps] == [
        (c, -(-65 // s), -(-97 // s)) for c, s in zip(backbone.channels, backbone.strides, strict=True)
    ]


@torch.no_grad()
def test_a_file_of_the_librarys_fills_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = timm.create_model("mobilenetv4_conv_small").eval()
    torch.save(theirs.state_dict(), tmp_path / "file.pth")
    config = BackboneConfig(name="timm/mobilenetv4_conv_small", weights=str(tmp_path / "file.pth"), norm="train", frozen_stages=0)
    backbone = config.build().eval()
    load_backbone_weights(backbone, config)
    images = torch.randn(1, 3, 64, 96)
    for ours, expected in zip(backbone(images), theirs.forward_intermediates(images, intermediates_only=True)[1:], strict=True):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet26x", r"timm \S+ has no such network: did you mean 'resnet26"),
        ("vit_large_patch14_clip_224", "its patches have 14 pixels; expected 4, 8, 16 or 32"),
    ],
)
def test_what_cannot_be_taken(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^backbone timm/{name}: {message}"):
        BackboneConfig(name=f"timm/{name}", weights=None).build()


def test_weights_are_not_fetched_behind_ones_back() -> None:
    config = BackboneConfig(name="timm/resnet10t")
    with pytest.raises(ValueError, match=r"no published weights are known; give a file"):
        load_backbone_weights(config.build(), config)
