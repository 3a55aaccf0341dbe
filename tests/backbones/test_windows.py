from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from detkit.backbones import BackboneConfig
from detkit.backbones.windows import global_block_indices, window_partition, window_unpartition


def vit(window: int | None) -> torch.nn.Module:
    torch.manual_seed(0)
    return BackboneConfig(name="timm/test_vit", weights=None, levels=("c4",), window=window).build().eval()


def test_four_blocks_are_global() -> None:
    assert global_block_indices(12) == {2, 5, 8, 11}
    assert global_block_indices(24) == {5, 11, 17, 23}
    assert max(global_block_indices(6)) == 5


def test_partition_and_unpartition() -> None:
    tokens = torch.arange(2.0 * 5 * 7 * 3).view(2, 5, 7, 3)
    parts, mask = window_partition(tokens, 4)
    assert parts.shape == (2 * 2 * 2, 16, 3)
    assert mask is not None
    assert torch.equal(parts[0].view(4, 4, 3), tokens[0, :4, :4])
    assert torch.equal(parts[7].view(4, 4, 3)[:1, :3], tokens[1, 4:, 4:])
    assert torch.equal(mask.flatten(1).sum(1), torch.tensor([16, 12, 4, 3] * 2))
    assert torch.equal(window_unpartition(parts, tokens.shape, 4), tokens)
    assert window_partition(tokens[:, :4, :4], 4)[1] is None


@torch.no_grad()
def test_a_window_over_the_whole_map_equals_global_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    """Except for the class token, which is not used here; padding tokens do not affect the result."""
    monkeypatch.setattr("detkit.backbones.windows.global_block_indices", lambda count: set())
    images, network = torch.randn(2, 3, 70, 100), vit(7)
    (exact,) = network(images)
    network.window = 9
    (filled,) = network(images)
    assert exact.shape[2:] == (5, 7)
    assert_close(filled, exact, atol=1e-5, rtol=1e-5)
    body = network.body
    patches = body.patch_embed(images)
    tokens = body.norm_pre(body._pos_embed(patches)[:, body.num_prefix_tokens :])
    expected = body.norm(torch.nn.Sequential(*body.blocks)(tokens))
    assert_close(exact.flatten(2).transpose(1, 2), expected, atol=1e-5, rtol=1e-5)


def test_windows_are_connected_only_by_the_global_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    network = vit(2)
    image = torch.randn(1, 3, 64, 64, requires_grad=True)

    def receptive_field() -> torch.Tensor:
        """Patches of the image that the first cell depends on."""
        # After a layer norm the plain sum is the same for every image.
        (gradient,) = torch.autograd.grad(network(image)[0][0, :, 0, 0] @ torch.arange(64.0), image)
        return gradient.abs().sum((0, 1)).view(4, 16, 4, 16).sum((1, 3)) > 0

    assert receptive_field().all()
    monkeypatch.setattr("detkit.backbones.windows.global_block_indices", lambda count: set())
    inside = torch.zeros(4, 4, dtype=torch.bool)
    inside[:2, :2] = True
    assert torch.equal(receptive_field(), inside)


def test_only_plain_transformers_have_windows() -> None:
    with pytest.raises(ValueError, match=r"backbone resnet18: window is only for vit_tiny_patch16_224, .* set model.backbone.window=none"):
        BackboneConfig(name="resnet18", weights=None, window=14).build()
    with torch.device("meta"):
        assert BackboneConfig(name="vit_tiny_patch16_224", weights=None, window=14).build().window == 14
