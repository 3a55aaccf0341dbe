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
    """Where in the image (y, x) the middle cell of each map looks: the centre of the gradient's size on a ring of so many pixels.

    The network has no edges and the image is of one colour, so that the gradient is symmetric round the cell's centre, wherever it lies.
    """
    # A small value, for ReLU6 and its kin have no gradient where they saturate.
    image = torch.full((1, 3, size, size), 1e-4, dtype=torch.float64, requires_grad=True)
    turn = torch.exp(2j * torch.pi * torch.arange(size) / size)
    centres = []
    for found in network(image):
        (gradient,) = torch.autograd.grad(found[:, :, found.shape[-2] // 2, found.shape[-1] // 2].sum(), image, retain_graph=True)
        weight = gradient.abs().sum((0, 1))
        angles = [float(torch.angle((weight.sum(axis) * turn).sum())) for axis in (1, 0)]
        centres.append((angles[0] / (2 * torch.pi) * size % size, angles[1] / (2 * torch.pi) * size % size))
    return centres


def made_symmetric(network: nn.Module) -> nn.Module:
    """The network with equal weights, in float64."""
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.fill_(1 / part.weight[0].numel())
            if isinstance(part, nn.Linear):
                part.weight.fill_(1 / part.in_features)
    return network.double().eval()


def endless_mean(x: Tensor, kernel_size: Any, stride: Any = None, padding: int = 0, *_: object, **__: object) -> Tensor:
    """Means in place of a pooling's maxima, on a ring."""
    ring = [torch.arange(-padding, side + padding) % side for side in x.shape[-2:]]
    return nn.functional.avg_pool2d(x[..., ring[0], :][..., ring[1]], kernel_size, stride)


CELLS = {"VGG": 3, "Darknet of YOLOv1": 5}
"""Of the coarsest level, by family: enough that no kernel there sees all of the ring, and few where the network is large; 7 elsewhere."""


@pytest.mark.parametrize("name", sorted({*SMALL, "resnet50", "mobilenet_v3_large", "darknet_yolov1"}))
def test_cells_are_centred(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = facts_of(name)
    backbone = made_symmetric(BackboneConfig(name=name, levels=tuple(level.name for level in facts.levels), frozen_stages=0).build())
    for part in backbone.modules():
        if isinstance(part, nn.Conv2d):
            part.padding_mode = "circular"
    monkeypatch.setattr(nn.functional, "max_pool2d", endless_mean)
    size = CELLS.get(facts.family, 7) * facts.levels[-1].stride
    for level, centre in zip(facts.levels, cell_centres(backbone, size), strict=True):
        wanted = size // level.stride // 2 * level.stride + level.offset
        assert centre == pytest.approx((wanted, wanted), abs=0.01), f"{level.name}: a cell is off its centre"


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


FROM_LIBRARIES = [name for name in NAMES if facts_of(name).source != "detkit"]


def library_network(name: str) -> tuple[nn.Module, Mapping[str, str]]:
    """The library's own network, and the names of its parts whose outputs our levels are."""
    if facts_of(name).source == "timm":
        import timm

        blocks = {"c1": 0, "c2": 1, "c3": 2, "c4": 4, "c5": 6}
        return timm.create_model(name, bn_eps=1e-3), {level: f"blocks.{place}" for level, place in blocks.items()}
    from torchvision import models

    if name.startswith("resnet"):
        return models.get_model(name), {"c1": "relu", "c2": "layer1", "c3": "layer2", "c4": "layer3", "c5": "layer4"}
    if name.startswith("vgg16"):
        network = models.vgg16(init_weights=False)
        for part in network.features:
            if isinstance(part, nn.MaxPool2d):
                part.ceil_mode = True  # where torchvision's SSD needs it, we have it everywhere
        places: dict[str, object] = {"c0": 3, "c1": 8, "c2": 15, "c3": 22, "c4": 29, "c5": 30}
    else:
        network = models.mobilenet_v3_large(reduced_tail=name.endswith("_reduced"))
        places = {"c1": 1, "c2": 3, "c3": 6, "c4": 12, "c4_expanded": "13.block.0", "c5_first": 13, "c5": 16}
    return network, {level: f"features.{place}" for level, place in places.items()}


def outputs_of(network: nn.Module, parts: Mapping[str, str], images: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for level, part in parts.items():
        network.get_submodule(part).register_forward_hook(lambda _module, _inputs, out, level=level: found.setdefault(level, out.clone()))
    with torch.no_grad():
        network.eval()(images)
    return found


@pytest.mark.parametrize("name", sorted(set(SMALL) & set(FROM_LIBRARIES)))
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
    """Of the classifier, or where nobody publishes one of the network itself."""
    with torch.device("meta"):
        network = library_network(name)[0] if name in FROM_LIBRARIES else BackboneConfig(name=name, weights=None).build()
    assert sum(parameter.numel() for parameter in network.parameters()) == facts_of(name).parameters


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from detkit.backbones import BACKBONES, BackboneConfig, describe; import detkit.necks; describe(); BackboneConfig();"
        "print(sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
