"""RMS norms in plain operations, against torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from detkit.export.rms_norm import PlainRMSNorm, replace_rms_norms


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"eps": 1e-3}, {"elementwise_affine": False}])
def test_equal_to_torch(options: dict[str, object]) -> None:
    torch.manual_seed(0)
    norm = nn.RMSNorm(8, **options)  # type: ignore[arg-type]
    if norm.weight is not None:
        norm.weight.uniform_()
    network, values = nn.Sequential(nn.Sequential(norm)), torch.cat((torch.randn(3, 5, 8), torch.zeros(3, 1, 8)), 1)
    expected = network(values)
    replace_rms_norms(network)
    assert isinstance(network[0][0], PlainRMSNorm)  # type: ignore[index]
    torch.testing.assert_close(network(values), expected)
