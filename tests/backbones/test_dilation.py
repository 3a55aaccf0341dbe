from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from detkit.backbones import BACKBONES, BackboneConfig, backbone_info


def maps_of(network: nn.Module, images: Tensor) -> Tensor:
    x = network.maxpool(network.relu(network.bn1(network.conv1(images))))
    return network.layer4(network.layer3(network.layer2(network.layer1(x))))


@pytest.mark.oracle("torchvision", "dilated ResNet", tolerance="equal")
@torch.no_grad()
def test_dilated_c5_equals_torchvision() -> None:
    torch.manual_seed(0)
    network = models.resnet50(replace_stride_with_dilation=[False, False, True]).eval()
    backbone = BackboneConfig(weights=None, dilated_c5=True, levels=("c4", "c5")).build().eval()
    backbone.load_state_dict({name: tensor for name, tensor in network.state_dict().items() if not name.startswith("fc.")})
    images = torch.randn(1, 3, 65, 96)
    c4, c5 = backbone(images)
    assert torch.equal(c5, maps_of(network, images))
    assert (backbone.strides, c5.shape[-2:]) == ((16, 16), c4.shape[-2:])


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_every_fourth_cell_equals_the_strided_map(name: str) -> None:
    """Receptive fields are those of the strided stage: away from the border, the dilated map contains the strided one."""
    torch.manual_seed(0)
    plain = BackboneConfig(name=name, weights=None).build().eval()
    dilated = BackboneConfig(name=name, weights=None, dilated_c5=True).build().eval()
    dilated.load_state_dict(plain.state_dict())
    images = torch.randn(1, 3, 288, 288)
    coarse, fine = plain(images)[-1], dilated(images)[-1]
    assert fine.shape[-1] == 2 * coarse.shape[-1] == 18
    torch.testing.assert_close(fine[..., 8:10:2, 8:10:2], coarse[..., 4:5, 4:5], atol=1e-4 * float(coarse.abs().max()), rtol=0)


@pytest.mark.parametrize("name", BACKBONES.names())
def test_dilation_is_supported_or_an_error(name: str) -> None:
    config = BackboneConfig(name=name, weights=None, dilated_c5=True)
    if backbone_info(name).supports_dilation:
        with torch.device("meta"):
            assert config.build().strides[-1] == 16
    else:
        with pytest.raises(ValueError, match=rf"backbone {name}: dilated_c5 is only for resnet18, resnet34, .*; choose one of them"):
            config.build()


def test_the_stage_before_is_dilated_only_together_with_the_last() -> None:
    with torch.device("meta"):
        both = BackboneConfig(weights=None, dilated_c4=True, dilated_c5=True, levels=("c3", "c4", "c5")).build()
    assert both.strides == (8, 8, 8)
    with pytest.raises(ValueError, match=r"dilated_c4 goes with a dilated last stage; set model.backbone.dilated_c5=true"):
        BackboneConfig(weights=None, dilated_c4=True).build()
