from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from detkit.backbones import BackboneConfig
from detkit.layers import fold_batch_norms
from detkit.necks import LightPANConfig, PANConfig

NECKS = [PANConfig(), PANConfig(out_channels=24, depthwise=True, depth=2), LightPANConfig(out_channels=16)]


class Maps(nn.Module):
    """Maps of three strides as a backbone gives them."""

    channels, strides, level_names = (8, 12, 20), (8, 16, 32), ("c3", "c4", "c5")
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        sizes = [[-(-side // stride) for side in images.shape[-2:]] for stride in self.strides]
        shift = images.mean()
        parts = zip(self.channels, sizes, strict=True)
        return tuple(torch.arange(c * h * w, dtype=torch.float32).reshape(1, c, h, w).sin() + shift for c, (h, w) in parts)


@pytest.mark.parametrize("config", NECKS, ids=lambda config: f"{config.kind}-{config.out_channels}")
@pytest.mark.parametrize("size", [(64, 96), (75, 101)])
@torch.no_grad()
def test_every_level_keeps_its_size_whatever_it_is(config: PANConfig, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    neck = config.build(Maps()).eval()
    maps = neck(torch.zeros(1, 3, *size))
    channels = Maps.channels if config.out_channels is None else (config.out_channels,) * 3
    assert (neck.channels, neck.strides) == (channels, Maps.strides)
    expected = [(c, -(-size[0] // s), -(-size[1] // s)) for c, s in zip(channels, Maps.strides, strict=True)]
    assert [tuple(found.shape[1:]) for found in maps] == expected
    folded = fold_batch_norms(neck)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    for found, want in zip(folded(torch.zeros(1, 3, *size)), maps, strict=True):
        torch.testing.assert_close(found, want, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", NECKS, ids=lambda config: f"{config.kind}-{config.out_channels}")
def test_every_level_sees_every_map(config: PANConfig) -> None:
    torch.manual_seed(0)
    neck = config.build(Maps()).eval()
    given = [found.requires_grad_() for found in Maps()(torch.zeros(1, 3, 64, 64))]
    neck.backbone.forward = lambda _: tuple(given)
    for found in neck(torch.zeros(1, 3, 64, 64)):
        gradients = torch.autograd.grad(found.square().sum(), given, retain_graph=True)
        assert all(bool(gradient.any()) for gradient in gradients)


def test_stands_on_any_number_of_levels_of_any_backbone() -> None:
    backbone = BackboneConfig(name="resnet18", weights=None, levels=("c2", "c3", "c4", "c5")).build()
    neck = PANConfig(out_channels=16).build(backbone).eval()
    assert neck.level_names == ("p2", "p3", "p4", "p5")
    with torch.no_grad():
        assert [found.shape[-1] for found in neck(torch.zeros(1, 3, 64, 64))] == [16, 8, 4, 2]
    alone = PANConfig().build(BackboneConfig(name="resnet18", weights=None, levels=("c4",)).build())
    with torch.no_grad():
        assert len(alone(torch.zeros(1, 3, 64, 64))) == 1


def test_norms_are_those_of_the_code() -> None:
    norms = [part for part in PANConfig().build(Maps()).modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


@pytest.mark.parametrize("kind", [PANConfig, LightPANConfig])
def test_dropout_leaves_out_whole_channels_of_the_backbone_in_training_alone(kind: type[PANConfig]) -> None:
    torch.manual_seed(0)
    backbone = Maps()
    plain, dropped = (kind(out_channels=16, dropout=share).build(backbone) for share in (0.0, 0.5))
    dropped.load_state_dict(plain.state_dict())  # it has no weights of its own
    images = torch.zeros(1, 3, 64, 64)
    for found, want in zip(dropped.eval()(images), plain.eval()(images), strict=True):
        torch.testing.assert_close(found, want, atol=0, rtol=0)
    seen: list[Tensor] = []
    for project in dropped.train().inputs:
        project.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    dropped(images)
    for found, given in zip(seen, backbone(images), strict=True):
        kept = found.ne(0).flatten(2).any(2)
        assert kept.any()
        assert not kept.all()
        torch.testing.assert_close(found, given * 2 * kept[..., None, None])  # the others count for those that are gone
