"""detkit's EfficientNet-Lite is timm's: names, weights for a seed, and logits."""

from __future__ import annotations

import pytest
import timm
import torch

from detkit.backbones import efficientnet_lite
from detkit.backbones.registry import BACKBONE_INFO


@pytest.mark.oracle("timm", "names, weights for a seed and outputs of EfficientNet-Lite", tolerance="outputs 1e-5")
@pytest.mark.parametrize("name", efficientnet_lite.SCALES)
def test_same_network_as_timm(name: str) -> None:
    torch.manual_seed(0)
    reference = timm.create_model(name, bn_eps=efficientnet_lite.EPS, bn_momentum=efficientnet_lite.MOMENTUM).eval()
    after = torch.rand(2)
    torch.manual_seed(0)
    network = efficientnet_lite.network(name).eval()
    assert torch.equal(torch.rand(2), after)  # a head that is built next gets the same numbers, too
    expected = reference.state_dict()
    assert list(network.state_dict()) == list(expected)
    assert all(torch.equal(tensor, expected[key]) for key, tensor in network.state_dict().items())
    images = torch.rand(2, 3, 96, 160)
    with torch.no_grad():
        torch.testing.assert_close(network(images), reference(images), atol=1e-5, rtol=1e-5)
    assert sum(parameter.numel() for parameter in network.parameters()) == BACKBONE_INFO[name].parameters
    assert [norm.momentum for norm in network.modules() if isinstance(norm, torch.nn.BatchNorm2d)] == [0.01] * len(
        [norm for norm in reference.modules() if isinstance(norm, torch.nn.BatchNorm2d)]
    )
