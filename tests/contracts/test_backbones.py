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
from torch.utils.flop_counter import FlopCounterMode

from detkit.backbones import BACKBONES, Backbone, BackboneConfig, facts_of, timm_models, torchvision_models
from detkit.backbones.chain_parts import Recipe
from detkit.backbones.classifiers import library_network
from detkit.layers import fold_batch_norms

NAMES = BACKBONES.names()
DETERMINISTIC = {"StochasticDepth": "p", "DropPath": "drop_prob", "Dropout": "p"}
SIZES = [(64, 96), (97, 130), (63, 33)]


def smallest_of_each_family() -> list[str]:
    by_family: dict[str, str] = {}
    for name in sorted(NAMES, key=lambda name: facts_of(name).parameters):
        by_family.setdefault(facts_of(name).family, name)
    return sorted(by_family.values())


SMALL = smallest_of_each_family()
EACH = [name if name in SMALL else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]
HEAVY = {
    "CLIP ViT",
    "DenseNet",
    "ResNeXt",
    "Wide ResNet",
    "ZFNet",
    "Inception v4",
    "Inception-ResNet v1",
    "Inception-ResNet v2",
    "SENet",
    "CLIP ResNet",
    "EfficientNetV2",
    "Swin",
    "ConvNeXt",
}
LIGHT = [name for name in SMALL if facts_of(name).family not in HEAVY]
LIGHT_FIRST = [pytest.param(name, marks=pytest.mark.slow) if facts_of(name).family in HEAVY else name for name in SMALL]
"""Small ones; those that take seconds are slow."""


def without_chance(network: nn.Module) -> nn.Module:
    """Nothing is left out at random in training."""
    for part in network.modules():
        if type(part).__name__ in DETERMINISTIC:
            setattr(part, DETERMINISTIC[type(part).__name__], 0.0)
    return network


def built(name: str, **choices: Any) -> Backbone:
    """A seeded backbone whose norms have statistics as if it had been trained."""
    torch.manual_seed(0)
    backbone = BackboneConfig(name=name, **choices).build().eval()
    fill_norms(backbone)
    return backbone


def fill_norms(network: nn.Module) -> None:
    """Norms as if trained: also those that begin as nothing, which would let no gradient through."""
    generator, state = torch.Generator().manual_seed(1), network.state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_(0, 0.1, generator=generator)
        if key.endswith("running_var"):
            value.uniform_(0.7, 1.4, generator=generator)
            weight = state.get(key.removesuffix("running_var") + "weight")
            if weight is not None and not weight.any():
                weight.fill_(0.5)


@cache
def small(name: str) -> Backbone:
    """A trained-looking backbone with norms that train, not to be changed."""
    return built(name, norm="train", frozen_stages=0)


@pytest.mark.parametrize("name", LIGHT_FIRST)
@torch.no_grad()
def test_maps_are_as_declared(name: str) -> None:
    facts = facts_of(name)
    with torch.device("meta"):
        backbone = BackboneConfig(name=name, levels=tuple(level.name for level in facts.levels)).build().eval()
        assert backbone.strides == tuple(level.stride for level in facts.levels)
        assert list(backbone.strides) == sorted(backbone.strides)
        for high, wide in SIZES:
            maps = backbone(torch.empty(2, 3, high, wide))
            expected = [(2, level.channels, math.ceil(high / level.stride), math.ceil(wide / level.stride)) for level in facts.levels]
            assert [tuple(found.shape) for found in maps] == expected


@pytest.mark.parametrize("name", SMALL)
def test_the_usual_levels_and_a_single_one(name: str) -> None:
    facts = facts_of(name)
    with torch.device("meta"):
        assert BackboneConfig(name=name).build().level_names == facts.default_levels
        level = facts.levels[len(facts.levels) // 2]
        alone = BackboneConfig(name=name, levels=(level.name,), frozen_stages=0).build()
        (found,) = alone(torch.empty(1, 3, 64, 64))
    side = 64 // level.stride
    assert (alone.level_names, alone.strides, found.shape[1:]) == ((level.name,), (level.stride,), (level.channels, side, side))


def cell_centers(network: nn.Module, size: int) -> list[tuple[float, float]]:
    """Where in the image (y, x) the middle cell of each map looks: the center of the gradient's size on a ring of so many pixels.

    The network has no edges and the image is of one color, so that the gradient is symmetric round the cell's center, wherever it lies.
    """
    # A small value, for ReLU6 and its kin have no gradient where they saturate.
    image = torch.full((1, 3, size, size), 1e-9, dtype=torch.float64, requires_grad=True)
    turn = torch.exp(2j * torch.pi * torch.arange(size) / size)
    centers = []
    for found in network(image):
        (gradient,) = torch.autograd.grad(found[:, :, found.shape[-2] // 2, found.shape[-1] // 2].sum(), image, retain_graph=True)
        weight = gradient.abs().sum((0, 1))
        angles = [float(torch.angle((weight.sum(axis) * turn).sum())) for axis in (1, 0)]
        centers.append((angles[0] / (2 * torch.pi) * size % size, angles[1] / (2 * torch.pi) * size % size))
    return centers


def made_symmetric(network: nn.Module) -> nn.Module:
    """The network with equal weights, in float64; nothing looks farther than kernels reach, and no norm takes out what is equal."""
    with torch.no_grad():
        for key, parameter in network.named_parameters():
            if key.endswith("pos_embed"):
                parameter.zero_()
        for part in network.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.fill_(1 / part.weight[0].numel())
            if isinstance(part, nn.Linear):
                part.weight.fill_(1 / part.in_features)
            if isinstance(part, nn.LayerNorm):
                part.forward = lambda x: x  # type: ignore[method-assign]
            if "Attention" in type(part).__name__:
                part.forward = lambda x, *_, **__: torch.zeros_like(x)  # type: ignore[method-assign]
    return network.double().eval()


MEAN, PAD = nn.functional.avg_pool2d, nn.functional.pad


def endless_mean(x: Tensor, kernel_size: Any, stride: Any = None, padding: int = 0, *_: object, **__: object) -> Tensor:
    """Means in place of a pooling's maxima, on a ring."""
    ring = [torch.arange(-padding, side + padding) % side for side in x.shape[-2:]]
    return MEAN(x[..., ring[0], :][..., ring[1]], kernel_size, stride)


def endless_pad(x: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """What lies beyond an edge is the other edge."""
    return PAD(x, pad, mode="circular") if any(pad) else x


CELLS = {"VGG": 3, "Darknet of YOLOv1": 5, "Inception v4": 5, "Inception-ResNet v1": 5, "Inception-ResNet v2": 5, "SENet": 5}
"""Of the coarsest level, by family: enough that no kernel there sees all of the ring, and few where the network is large; 7 elsewhere."""


@pytest.mark.parametrize("name", [*LIGHT_FIRST, "resnet50", "mobilenet_v3_large"])
def test_cells_are_centered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_centers(name, monkeypatch)


def check_centers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of every level lie where the table has them."""
    facts = facts_of(name)
    # What transposed convolutions make of a patch lies all in the patch: no gradient tells its parts apart.
    transformer = {"c2", "c3"} if "vit" in name or "deit" in name else set()
    transformer |= {"c4"} if "patch32" in name else set()
    levels = [level for level in facts.levels if level.name not in transformer]
    backbone = made_symmetric(BackboneConfig(name=name, levels=tuple(level.name for level in levels), frozen_stages=0).build())
    for part in backbone.modules():
        if isinstance(part, nn.Conv2d):
            part.padding_mode = "circular"
            part._reversed_padding_repeated_twice = [side for side in reversed(part.padding) for _ in range(2)]
    monkeypatch.setattr(nn.functional, "max_pool2d", endless_mean)
    monkeypatch.setattr(nn.functional, "avg_pool2d", endless_mean)
    monkeypatch.setattr(nn.functional, "pad", endless_pad)
    size = CELLS.get(facts.family, 7) * levels[-1].stride
    for level, center in zip(levels, cell_centers(backbone, size), strict=True):
        wanted = size // level.stride // 2 * level.stride + level.offset
        # Blocks of Inception v3 that pad first and convolve then break the ring: there half a cell is all that can be told.
        slack = level.stride / 2 if facts.family == "Inception v3" and level.stride > 8 else 0.01
        assert center == pytest.approx((wanted, wanted), abs=slack), f"{level.name}: a cell is off its center"


def test_the_center_test_sees_one_sided_padding() -> None:
    import timm

    tensorflows = made_symmetric(timm.create_model("tf_efficientnet_lite0", features_only=True))
    # On an even size TensorFlow pads at the right and the bottom only; the map of stride 2 is a pixel off.
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    tensorflows(image)[0][:, :, 8, 8].sum().backward()
    columns = image.grad.abs().sum((0, 1, 2))
    centroid = float((columns * torch.arange(64)).sum() / columns.sum())
    assert centroid > 16.5, "cell 8 of stride 2 should be over pixel 16, and is not: that is why we pad on both sides"


@pytest.mark.parametrize("name", LIGHT)
def test_gradients_flow_and_frozen_stages_do_not_move(name: str) -> None:
    check_learning(without_chance(built(name, norm="train", frozen_stages=2)))


def check_learning(backbone: Any) -> None:
    """Of a backbone with two frozen stages: what may learn has gradients that are finite and not 0 all over, and a step leaves the rest."""
    backbone.train()
    before_nms = copy.deepcopy(backbone.state_dict())
    frozen = {id(value) for stage in backbone.stages()[:2] for value in stage.state_dict(keep_vars=True).values()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    sum(found.pow(2).mean() for found in backbone(torch.randn(2, 3, 64, 64))).backward()
    for key, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) not in frozen), key
        assert parameter.grad is None or (bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any())), key
    optimizer.step()
    for key, value in backbone.state_dict(keep_vars=True).items():
        if id(value) in frozen:
            assert torch.equal(before_nms[key], value), f"{key} moved"
        elif key.endswith("running_var"):
            assert not torch.equal(before_nms[key], value), f"{key} did not move"


@pytest.mark.parametrize("name", SMALL)
def test_stages_cover_every_parameter_once(name: str) -> None:
    """But for those that no published file has: they always learn."""
    with torch.device("meta"):
        backbone = BackboneConfig(name=name, norm="train").build()
    staged = [id(parameter) for stage in backbone.stages() for parameter in stage.parameters()]
    assert sorted(staged) == sorted(id(parameter) for key, parameter in backbone.named_parameters() if not key.startswith(backbone.fresh))


@pytest.mark.parametrize("name", SMALL)
def test_freezing_everything_and_more_than_everything(name: str) -> None:
    with torch.device("meta"):
        count = len(BackboneConfig(name=name, frozen_stages=0).build().stages())
        frozen = BackboneConfig(name=name, norm="train", frozen_stages=count).build().train()
        learning = [key for key, parameter in frozen.named_parameters() if parameter.requires_grad]
        assert all(key.startswith(frozen.fresh) for key in learning), learning
        assert not any(part.training for part in frozen.modules() if isinstance(part, nn.BatchNorm2d))
        with pytest.raises(ValueError, match=rf"{name}: expected 0 to {count} frozen stages"):
            BackboneConfig(name=name, frozen_stages=count + 1).build()


@pytest.mark.parametrize("norm", ["frozen", "train"])
@pytest.mark.parametrize("name", LIGHT)
def test_state_dict_round_trip(name: str, norm: str) -> None:
    first, second = built(name, norm=norm), BackboneConfig(name=name, norm=norm).build().eval()
    second.load_state_dict(first.state_dict(), strict=True)
    images = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(first(images), second(images), strict=True))


@pytest.mark.parametrize("name", LIGHT)
def test_frozen_norms_folding_and_absorbing_change_nothing(name: str) -> None:
    trained = small(name)
    frozen = without_chance(BackboneConfig(name=name, norm="frozen", frozen_stages=0).build())
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
    # A norm before its convolution stays.
    assert facts_of(name).family == "DenseNet" or not any(isinstance(part, nn.BatchNorm2d) for part in fold_batch_norms(trained).modules())


@pytest.mark.parametrize("name", LIGHT)
def test_batches_and_training_mode_leave_frozen_outputs_alone(name: str) -> None:
    backbone = without_chance(built(name, norm="frozen"))
    images = torch.randn(2, 3, 64, 64)
    before_nms = images.clone()
    with torch.no_grad():
        together = backbone.train()(images)
        alone = backbone.eval()(images[1:])
    assert torch.equal(images, before_nms), "images must not be changed"
    for both, one in zip(together, alone, strict=True):
        torch.testing.assert_close(both[1:], one, rtol=1e-4, atol=1e-4)


CHAINS = [name for name in SMALL if facts_of(name).made_by.startswith(("detkit.backbones.torchvision", "detkit.backbones.timm"))]


def recipe_of(name: str, network: nn.Module) -> Recipe:
    facts = facts_of(name)
    return timm_models._RECIPES[facts.family] if facts.source == "timm" else torchvision_models._RECIPES[facts.family](network)


def outputs_of(network: nn.Module, parts: Mapping[str, str], images: Tensor) -> dict[str, Tensor]:
    """What these parts give while the library's own network runs."""
    found: dict[str, Tensor] = {}
    for level, part in parts.items():
        network.get_submodule(part).register_forward_hook(lambda _module, _inputs, out, level=level: found.setdefault(level, out.clone()))
    with torch.no_grad():
        network.eval()(images)
    return found


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if facts_of(n).family in HEAVY else n for n in CHAINS])
def test_maps_are_those_of_the_librarys_own_network(name: str) -> None:
    """With the same borders; that borders are all that was changed is seen by the classifiers."""
    facts = facts_of(name)
    network = library_network(name)
    fill_norms(network)
    recipe = recipe_of(name, network)
    backbone = BackboneConfig(name=name, norm="train", levels=tuple(level.name for level in facts.levels)).build().eval()
    state = {key: value for key, value in backbone.published_names(network.state_dict()).items() if key in backbone.state_dict()}
    backbone.load_state_dict({**{k: v for k, v in backbone.state_dict().items() if k.startswith(backbone.fresh)}, **state}, strict=True)
    if recipe.prepare is not None:
        recipe.prepare(network)
    images = torch.randn(1, 3, 75, 64)
    taps = {level: part.replace("trunk.", "stages.") for level, part in recipe.taps.items()}
    expected = outputs_of(network, {**taps, **({"c5": "features.norm5"} if facts.family == "DenseNet" else {})}, images)
    with torch.no_grad():
        found = backbone(images)
    for level, ours in zip(backbone.level_names, found, strict=True):
        theirs = expected[level].permute(0, 3, 1, 2) if recipe.channels_last else expected[level]
        theirs = theirs.relu() if facts.family == "DenseNet" else theirs
        if recipe.map_norms:
            theirs = nn.functional.layer_norm(theirs.permute(0, 2, 3, 1), theirs.shape[1:2]).permute(0, 3, 1, 2)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6 * float(theirs.abs().max()))


def test_a_transformers_map_is_its_librarys() -> None:
    """At the size it was made for, where nothing is interpolated."""
    import timm

    torch.manual_seed(0)
    network = timm.create_model("deit_tiny_distilled_patch16_224").eval()
    backbone = BackboneConfig(name="deit_tiny_distilled_patch16_224", weights=None, levels=("c4",)).build().eval()
    backbone.load_state_dict(
        {k: v for k, v in backbone.published_names(network.state_dict()).items() if not k.startswith(backbone.left_out)}
    )
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        tokens = network.forward_features(images)[:, 2:]
        torch.testing.assert_close(backbone(images)[0].flatten(2).transpose(1, 2), tokens)
        assert backbone(torch.randn(1, 3, 100, 333))[0].shape == (1, 192, 7, 21)


@pytest.mark.parametrize("name", EACH)
@torch.no_grad()
def test_parameters_and_operations_are_as_told(name: str) -> None:
    """Of the classifier, or where nobody has one of the network itself; operations with torch's own counter."""
    facts = facts_of(name)
    with torch.device("meta"):
        own = facts.family in {"CSPDarknet", "Darknet of YOLOv1"}
        network = BackboneConfig(name=name, weights=None).build().eval() if own else library_network(name).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, facts.input_size, facts.input_size))
    # torchvision's files of GoogLeNet are counted without its auxiliary classifiers, which run in training alone.
    counted = [parameter.numel() for key, parameter in network.named_parameters() if not key.startswith(("aux1", "aux2"))]
    assert sum(counted) == facts.parameters
    assert counter.get_total_flops() / 2e9 == pytest.approx(facts.gflops, abs=0.006)


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from detkit.backbones import BACKBONES, BackboneConfig, describe; import detkit.necks; describe(); BackboneConfig();"
        "print(sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
