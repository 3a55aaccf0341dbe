from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close
from torchvision.models.detection.rpn import RPNHead, concat_box_prediction_layers

from detkit.heads.dense import DenseHead


@pytest.mark.oracle("torchvision", "head of the RPN", tolerance="1e-5")
@pytest.mark.parametrize("depth", [1, 2])
def test_one_class_matches_torchvision_rpn_head(depth: int) -> None:
    reference, head = RPNHead(8, 3, conv_depth=depth), DenseHead(8, 3, depth=depth)
    for layer, other in ((head.tower, reference.conv), (head.logits, reference.cls_logits), (head.deltas, reference.bbox_pred)):
        torch.nn.init.normal_(next(iter(other.parameters())))
        layer.load_state_dict(other.state_dict())
    maps = [torch.randn(2, 8, 5, 7), torch.randn(2, 8, 3, 4)]
    logits, deltas = concat_box_prediction_layers(*reference(maps))
    outputs = head(maps)
    assert_close(outputs[0].flatten(), logits.flatten())
    assert_close(outputs[1].reshape(-1, 4), deltas)


def test_two_towers_and_a_prior() -> None:
    head = DenseHead(8, 2, 5, depth=2, shared=False, prior=0.01)
    logits, deltas = head([torch.zeros(1, 8, 3, 4)])
    assert (logits.shape, deltas.shape) == ((1, 24, 5), (1, 24, 4))
    assert_close(logits.sigmoid(), torch.full_like(logits, 0.01))
    assert head.logits.kernel_size == (3, 3)


def test_last_layers_are_float32_under_autocast() -> None:
    head = DenseHead(8, 3)
    maps = [torch.randn(1, 8, 4, 4)]
    with torch.autocast("cpu", torch.bfloat16):
        logits, deltas = head(maps)
        hidden = head.tower(maps[0])
    assert (logits.dtype, deltas.dtype, hidden.dtype) == (torch.float32, torch.float32, torch.bfloat16)
    assert_close(logits[0, :, 0].reshape(4, 4, 3).permute(2, 0, 1), torch.nn.functional.conv2d(hidden.float(), head.logits.weight)[0])


@pytest.mark.parametrize(("quality", "tower"), [("boxes", "box_tower"), ("classes", "tower")])
def test_quality_is_predicted_from_its_tower(quality: str, tower: str) -> None:
    head = DenseHead(8, 2, 5, shared=False, quality=quality)
    maps = [torch.randn(1, 8, 3, 4), torch.randn(1, 8, 2, 2)]
    logits, deltas, predicted = head(maps)
    assert (logits.shape, deltas.shape, predicted.shape) == ((1, 32, 5), (1, 32, 4), (1, 32))
    expected = head.quality(getattr(head, tower)(maps[0]))
    assert_close(predicted[0, :24].reshape(3, 4, 2).permute(2, 0, 1), expected[0])


def test_convolutions_before_a_norm_can_keep_their_bias() -> None:
    assert DenseHead(32, 1, norm="group").tower[0][0].bias is None
    assert DenseHead(32, 1, norm="group", bias=True).tower[0][0].bias is not None


@torch.no_grad()
def test_joint_last_layers_give_the_same_outputs() -> None:
    torch.manual_seed(0)
    head = DenseHead(16, 3, 2)
    maps = [torch.randn(2, 16, 7, 9), torch.randn(2, 16, 4, 5)]
    logits, deltas = head(maps)
    head.join_last_layers()
    assert head.joint is not None
    for output, expected in zip(head(maps), (logits, deltas), strict=True):
        torch.testing.assert_close(output, expected)


def test_separate_towers_are_not_joined() -> None:
    for head in (DenseHead(8, 1, shared=False), DenseHead(8, 1, quality="boxes", shared=False)):
        head.join_last_layers()
        assert head.joint is None
