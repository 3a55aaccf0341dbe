from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from detkit.accelerate.fold import fold_batch_norms
from detkit.backbones import BackboneConfig
from detkit.necks import LightPANConfig, PANConfig

NECKS = [PANConfig(), PANConfig(out_channels=24, depthwise=True, depth=2), LightPANConfig(out_channels=16)]


class Maps(nn.Module):
    """Backbone stub with maps of three strides."""

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
def test_every_level_keeps_its_size(config: PANConfig, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    neck = config.build(Maps()).eval()
    maps = neck(torch.zeros(1, 3, *size))
    channels = Maps.channels if config.out_channels is None else (config.out_channels,) * 3
    assert (neck.channels, neck.strides) == (channels, Maps.strides)
    expected = [(c, -(-size[0] // s), -(-size[1] // s)) for c, s in zip(channels, Maps.strides, strict=True)]
    assert [tuple(output.shape[1:]) for output in maps] == expected
    folded = fold_batch_norms(neck)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in folded.modules())
    for output, expected in zip(folded(torch.zeros(1, 3, *size)), maps, strict=True):
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", NECKS, ids=lambda config: f"{config.kind}-{config.out_channels}")
def test_every_level_depends_on_every_map(config: PANConfig) -> None:
    torch.manual_seed(0)
    neck = config.build(Maps()).eval()
    sources = [output.requires_grad_() for output in Maps()(torch.zeros(1, 3, 64, 64))]
    neck.backbone.forward = lambda _: tuple(sources)
    for output in neck(torch.zeros(1, 3, 64, 64)):
        gradients = torch.autograd.grad(output.square().sum(), sources, retain_graph=True)
        assert all(bool(gradient.any()) for gradient in gradients)


def test_any_number_of_levels() -> None:
    backbone = BackboneConfig(name="resnet18", weights=None, levels=("c2", "c3", "c4", "c5")).build()
    neck = PANConfig(out_channels=16).build(backbone).eval()
    assert neck.level_names == ("p2", "p3", "p4", "p5")
    with torch.no_grad():
        assert [output.shape[-1] for output in neck(torch.zeros(1, 3, 64, 64))] == [16, 8, 4, 2]
    single = PANConfig().build(BackboneConfig(name="resnet18", weights=None, levels=("c4",)).build())
    with torch.no_grad():
        assert len(single(torch.zeros(1, 3, 64, 64))) == 1


def test_norms_match_the_original_code() -> None:
    norms = [part for part in PANConfig().build(Maps()).modules() if isinstance(part, nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


@pytest.mark.parametrize("kind", [PANConfig, LightPANConfig])
def test_dropout_drops_whole_backbone_channels_in_training_only(kind: type[PANConfig]) -> None:
    torch.manual_seed(0)
    backbone = Maps()
    plain, dropped = (kind(out_channels=16, dropout=rate).build(backbone) for rate in (0.0, 0.5))
    dropped.load_state_dict(plain.state_dict())  # dropout has no weights
    images = torch.zeros(1, 3, 64, 64)
    for output, expected in zip(dropped.eval()(images), plain.eval()(images), strict=True):
        torch.testing.assert_close(output, expected, atol=0, rtol=0)
    captured: list[Tensor] = []
    for project in dropped.train().inputs:
        project.register_forward_pre_hook(lambda _, sources: captured.append(sources[0]))
    dropped(images)
    for output, sources in zip(captured, backbone(images), strict=True):
        kept = output.ne(0).flatten(2).any(2)
        assert kept.any()
        assert not kept.all()
        torch.testing.assert_close(output, sources * 2 * kept[..., None, None])  # the kept channels are scaled up for the dropped ones
