from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close
from torchvision.models import get_model
from torchvision.models.resnet import BasicBlock, Bottleneck

from detkit.accelerate.fold import fold_batch_norms
from detkit.accelerate.fused import FusedConv, FusedResidual, can_fuse, fuse_activations
from detkit.backbones import BackboneConfig


def sequence(activation: type[nn.Module], **options: int) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, **options), nn.Identity(), activation(), nn.Conv2d(8, 4, 1))


@pytest.fixture
def x() -> Tensor:
    return torch.randn(2, 8, 13, 17, generator=torch.Generator().manual_seed(1)).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"groups": 8}, {"groups": 2}])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU])
def test_a_fused_sequence_gives_the_same_result(activation: type[nn.Module], options: dict[str, int], x: Tensor) -> None:
    plain = sequence(activation, **options)
    fused = fuse_activations(copy.deepcopy(plain))
    assert [type(part) for part in fused.children()] == [FusedConv, nn.Identity, nn.Identity, nn.Conv2d]
    assert list(fused.state_dict()) == list(plain.state_dict())
    assert_close(fused(x), plain(x), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("size", [(13, 17), (40, 40)])
@pytest.mark.parametrize("kernel", [1, 3])
def test_limits_of_a_clamp_are_kept(kernel: int, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 8, *size)
    plain = nn.Sequential(nn.Conv2d(8, 8, kernel, padding=kernel // 2), nn.Hardtanh(-0.1, 0.3))
    fused = fuse_activations(copy.deepcopy(plain))
    assert [type(part) for part in fused.children()] == [FusedConv, nn.Identity]
    assert_close(fused(x), plain(x), atol=1e-6, rtol=1e-5)
    assert_close(fused[0](x, x), (plain[0](x) + x).clamp(-0.1, 0.3), atol=1e-6, rtol=1e-5)
    with torch.enable_grad():
        assert_close(fused(x), plain(x), atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_the_addend_is_added_before_the_activation(x: Tensor) -> None:
    conv = sequence(nn.ReLU)[0]
    assert isinstance(conv, nn.Conv2d)
    assert_close(FusedConv.of(conv, nn.ReLU)(x, x), (conv(x) + x).relu(), atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU])
def test_the_sum_can_be_stored_in_the_addend(activation: type[nn.Module], dtype: torch.dtype, x: Tensor) -> None:
    fused = FusedConv.of(sequence(activation)[0].to(dtype), activation)  # type: ignore[arg-type]
    x = x.to(dtype)
    expected, added = fused(x, x), x.clone()
    result = fused(x, added, into=True)
    assert torch.equal(result, expected)
    assert (result.data_ptr() == added.data_ptr()) is can_fuse(dtype)


@torch.no_grad()
@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU, nn.Identity])
def test_bfloat16_without_onednn_runs_as_three_operations(activation: type[nn.Module], x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.accelerate.fused.can_fuse", lambda dtype=torch.float32: dtype != torch.bfloat16)
    conv = sequence(nn.ReLU)[0].to(torch.bfloat16)
    fused, plain = FusedConv.of(conv, activation), conv(x.bfloat16())  # type: ignore[arg-type]
    assert torch.equal(fused(x), activation()(plain))  # float32 maps are rounded first, as oneDNN does
    assert torch.equal(fused(x, x, into=True), activation()(plain + x.bfloat16()))
    assert fused._packed is None
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(fused(x), activation()(plain))


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_maps_used_elsewhere_are_not_overwritten(name: str) -> None:
    torch.manual_seed(0)
    fused = fuse_activations(fold_batch_norms(get_model(name)))
    read: list[tuple[Tensor, Tensor]] = []
    for layer in ("layer1", "layer2", "layer3", "layer4"):
        part = fused.get_submodule(layer)
        part.register_forward_pre_hook(lambda _part, inputs: read.append((inputs[0], inputs[0].clone())))
    fused(torch.rand(1, 3, 65, 90))
    assert len(read) == 4
    for current, before in read:
        assert torch.equal(current, before)


@torch.no_grad()
def test_a_backbone_with_named_sequences_is_fused() -> None:
    torch.manual_seed(0)
    folded = fold_batch_norms(BackboneConfig(name="resnet18", levels=("c1", "c2")).build().eval())
    # A new sequence starts after each returned map, so that nothing is fused across a map that is used elsewhere.
    assert folded.sequences() == [["conv1", "bn1", "relu"], ["maxpool", "layer1"], []]  # type: ignore[operator]
    image = torch.rand(1, 3, 65, 90)
    expected = folded(image)
    fused = fuse_activations(folded)
    assert isinstance(fused.get_submodule("conv1"), FusedConv)
    assert isinstance(fused.get_submodule("relu"), nn.Identity)
    for result, reference in zip(fused(image), expected, strict=True):
        assert_close(result, reference, atol=1e-4 * float(reference.abs().max()), rtol=1e-4)


@torch.no_grad()
def test_a_convolution_whose_map_is_returned_is_not_fused() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.relu = nn.Conv2d(8, 8, 3), nn.ReLU()

        def sequences(self) -> list[list[str]]:
            return [["conv"], ["relu"]]

    assert not any(isinstance(part, FusedConv) for part in fuse_activations(Two()).modules())


def test_gradients_equal_those_of_separate_layers(x: Tensor) -> None:
    plain = sequence(nn.SiLU)
    fused = fuse_activations(copy.deepcopy(plain))
    plain(x).sum().backward()
    fused(x).sum().backward()
    assert_close(fused[0].weight.grad, plain[0].weight.grad)


@torch.no_grad()
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_fused_residual_blocks_give_the_same_result(name: str) -> None:
    torch.manual_seed(0)
    folded = fold_batch_norms(get_model(name))
    fused = fuse_activations(copy.deepcopy(folded))
    assert not any(isinstance(part, (BasicBlock, Bottleneck)) for part in fused.modules())
    assert sum(isinstance(part, FusedResidual) for part in fused.modules()) == {"resnet18": 8, "resnet50": 16}[name]
    image = torch.rand(1, 3, 65, 90)
    expected = folded(image)
    assert_close(fused(image), expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-4)


@torch.no_grad()
def test_blocks_with_norms_are_not_fused() -> None:
    assert not any(isinstance(part, FusedResidual) for part in fuse_activations(get_model("resnet18")).modules())


@torch.no_grad()
def test_under_autocast_it_runs_in_the_dtype_of_its_weights(x: Tensor) -> None:
    fused = fuse_activations(sequence(nn.ReLU))[0].to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        assert fused(x).dtype == torch.bfloat16


@torch.no_grad()
@pytest.mark.parametrize("side", [5, 40])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.SiLU])
def test_small_and_large_maps_give_the_same_result(activation: type[nn.Module], side: int) -> None:
    x = torch.randn(1, 8, side, side, generator=torch.Generator().manual_seed(1)).contiguous(memory_format=torch.channels_last)
    for conv in (nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1, stride=2), nn.Conv2d(8, 8, 1, bias=False)):
        fused, plain = FusedConv.of(conv, activation), conv(x)
        assert_close(fused(x), activation()(plain), atol=1e-5, rtol=1e-5)
        assert_close(fused(x, plain), activation()(2 * plain), atol=1e-5, rtol=1e-5)
        assert fused(x).is_contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def test_weights_can_change_and_be_copied_after_a_run(x: Tensor) -> None:
    conv = nn.Conv2d(8, 8, 3, padding=1)
    fused = FusedConv.of(conv, nn.ReLU)
    first = fused(x)
    copied, pickled = copy.deepcopy(fused), pickle.loads(pickle.dumps(fused))
    conv.weight.mul_(2)
    assert_close(fused(x), conv(x).relu(), atol=1e-5, rtol=1e-5)
    for clone in (copied, pickled):
        assert_close(clone(x), first, atol=1e-6, rtol=1e-6)
    fused.load_state_dict(copied.state_dict())
    assert_close(fused(x), first, atol=1e-6, rtol=1e-6)
    larger = x.repeat(1, 1, 2, 3)
    assert_close(fused(larger), conv(larger).relu(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kernel", "stride", "side"), [(1, 1, 1), (3, 1, 1), (3, 2, 2), (3, 2, 1), (1, 2, 2)])
def test_addition_to_a_map_of_one_cell(kernel: int, stride: int, side: int, dtype: torch.dtype) -> None:
    conv = nn.Conv2d(6, 5, kernel, stride, kernel // 2)
    x, added = torch.randn(2, 6, side, side).to(dtype), torch.randn(2, 5, 1, 1).to(dtype)
    before = added.clone()
    with torch.no_grad():
        expected = torch.relu(conv(x.float()) + added.float())
        result = FusedConv.of(conv, nn.ReLU).to(dtype)(x, added)
    assert result.shape == (2, 5, 1, 1)
    torch.testing.assert_close(result.float(), expected, rtol=0, atol=1e-5 if dtype == torch.float32 else 5e-2)
    assert torch.equal(added, before)
