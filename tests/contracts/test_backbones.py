"""What holds for every backbone of the table."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from detkit.backbones import BACKBONES, Backbone, BackboneConfig, facts_of
from detkit.layers import fold_batch_norms

NAMES = BACKBONES.names()
SIZES = [(64, 96), (97, 130), (63, 33)]


def smallest_of_each_family() -> list[str]:
    by_family: dict[str, str] = {}
    for name in sorted(NAMES, key=lambda name: facts_of(name).parameters):
        by_family.setdefault(facts_of(name).family, name)
    return sorted(by_family.values())


SMALL = smallest_of_each_family()


def built(name: str, **choices: Any) -> Backbone:
    """A seeded backbone whose norms have statistics as if it had been trained."""
    torch.manual_seed(0)
    backbone = BackboneConfig(name=name, **choices).build().eval()
    fill_norms(backbone)
    return backbone


def fill_norms(network: nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    for key, value in network.state_dict().items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.1, generator=generator)
        if key.endswith("running_var"):
            value.uniform_(0.7, 1.4, generator=generator)


@cache
def small(name: str) -> Backbone:
    """A trained-looking backbone with norms that train, not to be changed."""
    return built(name, norm="train", frozen_stages=0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", NAMES)
def test_maps_are_as_declared(name: str, size: tuple[int, int]) -> None:
    facts = facts_of(name)
    with torch.device("meta"):
        backbone = BackboneConfig(name=name, levels=tuple(level.name for level in facts.levels)).build()
        maps = backbone(torch.empty(2, 3, *size))
    assert backbone.strides == tuple(level.stride for level in facts.levels)
    assert list(backbone.strides) == sorted(backbone.strides)
    expected = [(2, level.channels, math.ceil(size[0] / level.stride), math.ceil(size[1] / level.stride)) for level in facts.levels]
    assert [tuple(found.shape) for found in maps] == expected


@pytest.mark.parametrize("name", SMALL)
def test_the_usual_levels_and_a_single_one(name: str) -> None:
    facts = facts_of(name)
    with torch.device("meta"):
        assert BackboneConfig(name=name).build().level_names == facts.default_levels
        alone = BackboneConfig(name=name, levels=("c3",), frozen_stages=0).build()
        (found,) = alone(torch.empty(1, 3, 64, 64))
    assert (alone.level_names, alone.strides, found.shape[1:]) == (("c3",), (8,), (alone.channels[0], 8, 8))


def cell_centres(network: nn.Module, size: int) -> list[tuple[float, float]]:
    """Where in the image (y, x) the middle cell of each map looks: the centroid of the gradient's size.

    The weights are made positive and symmetric, and the image is a hill round its middle, so that the gradient is symmetric
    exactly when every convolution and every pooling is centred.
    """
    # Small values, for ReLU6 and its kin have no gradient where they saturate.
    axis = torch.arange(size, dtype=torch.float64)
    ramp = 1e-4 * (1 - (axis - size // 2).abs() / size)
    image = (ramp[:, None] + ramp[None, :]).expand(1, 3, -1, -1).clone().requires_grad_()
    centres = []
    for found in network(image):
        assert found.shape[-1] % 2 == 1
        (gradient,) = torch.autograd.grad(found[:, :, found.shape[-2] // 2, found.shape[-1] // 2].sum(), image, retain_graph=True)
        weight = gradient.abs().sum((0, 1))
        centres.append((float((weight.sum(1) * axis).sum() / weight.sum()), float((weight.sum(0) * axis).sum() / weight.sum())))
    return centres


def made_symmetric(network: nn.Module) -> nn.Module:
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.fill_(1 / part.weight[0].numel())
            if isinstance(part, nn.Linear):
                part.weight.fill_(1 / part.in_features)
    return network.double().eval()


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_centred(name: str) -> None:
    facts = facts_of(name)
    backbone = made_symmetric(BackboneConfig(name=name, levels=tuple(level.name for level in facts.levels), frozen_stages=0).build())
    size = 2 * max(level.stride for level in facts.levels) + 1  # the middle cell of every level is over the middle pixel
    for level, centre in zip(facts.levels, cell_centres(backbone, size), strict=True):
        assert centre == pytest.approx((size // 2, size // 2), abs=0.01), f"{level.name}: a cell is off its centre"


def test_the_centre_test_sees_one_sided_padding() -> None:
    import timm

    tensorflows = made_symmetric(timm.create_model("tf_efficientnet_lite0", features_only=True))
    # On an even size TensorFlow pads at the right and the bottom only; the map of stride 2 is a pixel off.
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    tensorflows(image)[0][:, :, 8, 8].sum().backward()
    columns = image.grad.abs().sum((0, 1, 2))
    centroid = float((columns * torch.arange(64)).sum() / columns.sum())
    assert centroid > 16.5, "cell 8 of stride 2 should be over pixel 16, and is not: that is why we pad on both sides"


@pytest.mark.parametrize("name", SMALL)
def test_gradients_flow_and_frozen_stages_do_not_move(name: str) -> None:
    backbone = built(name, norm="train", frozen_stages=2).train()
    before = copy.deepcopy(backbone.state_dict())
    frozen = {id(value) for stage in backbone.stages()[:2] for value in stage.state_dict(keep_vars=True).values()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    sum(found.pow(2).mean() for found in backbone(torch.randn(2, 3, 64, 64))).backward()
    for key, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) not in frozen), key
        assert parameter.grad is None or (bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any())), key
    optimizer.step()
    for key, value in backbone.state_dict(keep_vars=True).items():
        if id(value) in frozen:
            assert torch.equal(before[key], value), f"{key} moved"
        elif key.endswith("running_var"):
            assert not torch.equal(before[key], value), f"{key} did not move"


@pytest.mark.parametrize("name", SMALL)
def test_stages_cover_every_parameter_once(name: str) -> None:
    backbone = small(name)
    staged = [id(parameter) for stage in backbone.stages() for parameter in stage.parameters()]
    assert sorted(staged) == sorted(id(parameter) for parameter in backbone.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_freezing_everything_and_more_than_everything(name: str) -> None:
    with torch.device("meta"):
        count = len(BackboneConfig(name=name, frozen_stages=0).build().stages())
        frozen = BackboneConfig(name=name, norm="train", frozen_stages=count).build().train()
        assert not any(parameter.requires_grad for parameter in frozen.parameters())
        assert not any(part.training for part in frozen.modules() if isinstance(part, nn.BatchNorm2d))
        with pytest.raises(ValueError, match=rf"{name}: expected 0 to {count} frozen stages"):
            BackboneConfig(name=name, frozen_stages=count + 1).build()


@pytest.mark.parametrize("norm", ["frozen", "train"])
@pytest.mark.parametrize("name", SMALL)
def test_state_dict_round_trip(name: str, norm: str) -> None:
    first, second = built(name, norm=norm), BackboneConfig(name=name, norm=norm).build().eval()
    second.load_state_dict(first.state_dict(), strict=True)
    images = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(first(images), second(images), strict=True))


@pytest.mark.parametrize("name", SMALL)
def test_frozen_norms_folding_and_absorbing_change_nothing(name: str) -> None:
    trained = small(name)
    frozen = BackboneConfig(name=name, norm="frozen", frozen_stages=0).build()
    state = {key: value for key, value in trained.state_dict().items() if not key.endswith("num_batches_tracked")}
    frozen.load_state_dict(state, strict=True)
    images = torch.randn(1, 3, 65, 50)
    with torch.no_grad():
        expected = trained(images)
        apart, folded = frozen(images), fold_batch_norms(trained)(images)
    absorbed = frozen.train()(images)
    for want, *got in zip(expected, apart, folded, absorbed, strict=True):
        for found in got:
            torch.testing.assert_close(found, want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fold_batch_norms(trained).modules())


@pytest.mark.parametrize("name", SMALL)
def test_batches_and_training_mode_leave_frozen_outputs_alone(name: str) -> None:
    backbone = built(name, norm="frozen")
    images = torch.randn(2, 3, 64, 64)
    before = images.clone()
    with torch.no_grad():
        together = backbone.train()(images)
        alone = backbone.eval()(images[1:])
    assert torch.equal(images, before), "images must not be changed"
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[1:], one, rtol=1e-4, atol=1e-4)


def library_network(name: str) -> tuple[nn.Module, Mapping[str, str]]:
    """The library's own network, and the names of its parts whose outputs our levels are."""
    source = facts_of(name).source
    if source == "torchvision":
        from torchvision import models

        network = models.get_model(name)
        if name.startswith("resnet"):
            return network, {"c1": "relu", "c2": "layer1", "c3": "layer2", "c4": "layer3", "c5": "layer4"}
        places = {"c1": 1, "c2": 3, "c3": 6, "c4": 12, "c5_first": 13, "c5": 16}
        return network, {level: f"features.{place}" for level, place in places.items()}
    import timm

    blocks = {"c1": 0, "c2": 1, "c3": 2, "c4": 4, "c5": 6}
    return timm.create_model(name, bn_eps=1e-3), {level: f"blocks.{place}" for level, place in blocks.items()}


def outputs_of(network: nn.Module, parts: Mapping[str, str], images: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for level, part in parts.items():
        network.get_submodule(part).register_forward_hook(lambda _module, _inputs, out, level=level: found.setdefault(level, out.clone()))
    with torch.no_grad():
        network.eval()(images)
    return found


@pytest.mark.parametrize("name", SMALL)
def test_maps_are_those_of_the_librarys_own_network(name: str) -> None:
    facts = facts_of(name)
    network, parts = library_network(name)
    fill_norms(network)
    backbone = BackboneConfig(name=name, norm="train", levels=tuple(level.name for level in facts.levels)).build().eval()
    state = {key: value for key, value in network.state_dict().items() if key in backbone.state_dict()}
    backbone.load_state_dict(state, strict=True)
    images = torch.randn(1, 3, 75, 64)
    expected = outputs_of(network, parts, images)
    with torch.no_grad():
        found = backbone(images)
    for level, ours in zip(backbone.level_names, found, strict=True):
        assert torch.equal(ours, expected[level]), level


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_as_published(name: str) -> None:
    with torch.device("meta"):
        network, _ = library_network(name)
    assert sum(parameter.numel() for parameter in network.parameters()) == facts_of(name).parameters


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from detkit.backbones import BACKBONES, BackboneConfig, describe; import detkit.necks; describe(); BackboneConfig();"
        "print(sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
