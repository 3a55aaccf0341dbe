from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.ops import Conv2dNormActivation

from detkit.layers import ConvNormAct, FrozenBatchNorm, make_norm


@pytest.mark.oracle("torchvision", "convolution blocks", tolerance="equal")
@pytest.mark.parametrize(("norm", "norm_layer"), [(None, None), ("batch", nn.BatchNorm2d)])
@pytest.mark.parametrize("stride", [1, 2])
def test_equals_torchvisions_block(norm: str | None, norm_layer: type[nn.Module] | None, stride: int) -> None:
    block = ConvNormAct(3, 8, 3, stride=stride, norm=norm)  # type: ignore[arg-type]
    reference = Conv2dNormActivation(3, 8, 3, stride=stride, norm_layer=norm_layer)
    reference.load_state_dict(block.state_dict(), strict=True)
    x = torch.randn(2, 3, 7, 6)
    assert torch.equal(block(x), reference(x))


def test_norms_by_name() -> None:
    assert isinstance(make_norm("batch", 32), nn.BatchNorm2d)
    assert isinstance(make_norm("frozen", 32), FrozenBatchNorm)
    assert isinstance(make_norm("group", 64), nn.GroupNorm)
    assert make_norm(None, 3) is None
    with pytest.raises(ValueError, match="unknown norm 'layer'"):
        make_norm("layer", 3)  # type: ignore[arg-type]
