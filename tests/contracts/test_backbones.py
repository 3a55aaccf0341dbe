"""Tests that every registered backbone must pass."""

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
from backbone_families import smallest_of_each_family
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from detkit.accelerate.fold import fold_batch_norms
from detkit.backbones import BACKBONES, Backbone, BackboneConfig, backbone_info, timm_models, torchvision_models
from detkit.backbones.classifiers import library_network
from detkit.backbones.recipe import Recipe

NAMES = BACKBONES.names()
DETERMINISTIC = {"StochasticDepth": "p", "DropPath": "drop_prob", "Dropout": "p"}
SIZES = [(97, 130), (63, 33)]
"""No stride divides them; :func:`test_default_levels_and_a_single_level` has an image that all divide."""


SMALL = smallest_of_each_family()
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
LIGHT = [name for name in SMALL if backbone_info(name).family not in HEAVY]
LIGHT_FIRST = [pytest.param(name, marks=pytest.mark.slow) if backbone_info(name).family in HEAVY else name for name in SMALL]
"""The smallest backbone of each family; those that take seconds are marked slow."""
EACH = [name if name in LIGHT else pytest.param(name, marks=pytest.mark.slow) for name in NAMES]


def without_randomness(network: nn.Module) -> nn.Module:
    """Disable dropout and stochastic depth, for a deterministic training mode."""
    for part in network.modules():
        if type(part).__name__ in DETERMINISTIC:
            setattr(part, DETERMINISTIC[type(part).__name__], 0.0)
    return network


def build(name: str, **options: Any) -> Backbone:
    """Build a seeded backbone whose norms have statistics like those of a trained one."""
    torch.manual_seed(0)
    backbone = BackboneConfig(name=name, **options).build().eval()
    fill_norms(backbone)
    return backbone


def fill_norms(network: nn.Module) -> None:
    """Give norms values like those of a trained network, also norms initialized to 0, which would block all gradients."""
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
    """A cached backbone with trainable norms; do not modify it."""
    return without_randomness(build(name, norm="train", frozen_stages=0))


def like_small(name: str, **options: Any) -> Backbone:
    """Return a backbone with the values of :func:`small`, without drawing any; it shares its tensors, so do not modify them either."""
    with torch.device("meta"):
        other = BackboneConfig(name=name, **{"frozen_stages": 0, **options}).build().eval()
    state = small(name).state_dict()
    if options["norm"] == "frozen":
        state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    other.load_state_dict(state, strict=True, assign=True)
    return without_randomness(other)


@pytest.mark.parametrize("name", LIGHT_FIRST)
@torch.no_grad()
def test_maps_have_the_declared_shapes(name: str) -> None:
    info = backbone_info(name)
    with torch.device("meta"):
        backbone = BackboneConfig(name=name, levels=tuple(level.name for level in info.levels)).build().eval()
        assert backbone.strides == tuple(level.stride for level in info.levels)
        assert list(backbone.strides) == sorted(backbone.strides)
        for height, width in SIZES:
            maps = backbone(torch.empty(2, 3, height, width))
            expected = [(2, level.channels, math.ceil(height / level.stride), math.ceil(width / level.stride)) for level in info.levels]
            assert [tuple(level.shape) for level in maps] == expected


@pytest.mark.parametrize("name", SMALL)
def test_default_levels_and_a_single_level(name: str) -> None:
    info = backbone_info(name)
    with torch.device("meta"):
        assert without_values(name).level_names == info.default_levels
        level = info.levels[len(info.levels) // 2]
        single = BackboneConfig(name=name, levels=(level.name,), frozen_stages=0).build()
        (level_map,) = single(torch.empty(1, 3, 64, 64))
    side = 64 // level.stride
    assert (single.level_names, single.strides, level_map.shape[1:]) == ((level.name,), (level.stride,), (level.channels, side, side))


def cell_centers(network: nn.Module, size: int, side: int) -> list[tuple[float, float]]:
    """Return the center ``(y, x)`` in the image of the receptive field of each map's middle cell.

    Each axis is measured on a strip of its own, ``size`` pixels long and ``side`` wide, which is a quarter of the work on a square: the
    strip is a circle in both directions, so what a square has across it is folded, and the sums along it stay the same.
    """
    ys = strip_centers(network, (size, side), axis=0)
    return list(zip(ys, strip_centers(network, (side, size), axis=1), strict=True))


def strip_centers(network: nn.Module, shape: tuple[int, int], axis: int) -> list[float]:
    """Return the circular mean of the gradient's magnitude along ``axis``, for the middle cell of each map.

    The network has no borders and the image is of one color, so the gradient is symmetric around the center of the cell, wherever that is.
    """
    # A small value, because ReLU6 and similar activations have no gradient where they saturate.
    image = torch.full((1, 3, *shape), 1e-9, requires_grad=True)
    size = shape[axis]
    phases = torch.exp(2j * torch.pi * torch.arange(size) / size)
    centers = []
    for level in network(image):
        (gradient,) = torch.autograd.grad(level[:, :, level.shape[-2] // 2, level.shape[-1] // 2].sum(), image, retain_graph=True)
        angle = float(torch.angle((gradient.double().abs().sum((0, 1, 3 - axis)) * phases).sum()))
        centers.append(angle / (2 * torch.pi) * size % size)
    return centers


def make_symmetric(network: nn.Module) -> nn.Module:
    """Set all weights equal, and disable attention, which sees the whole map, and layer norms, which cancel equal values."""
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
    return network.eval()


AVG_POOL = nn.functional.avg_pool2d


def circular_mean_pool(x: Tensor, kernel_size: Any, stride: Any = None, padding: int = 0, *_: object, **__: object) -> Tensor:
    """Average pooling with circular padding, which replaces max pooling."""
    ring = [torch.arange(-padding, side + padding) % side for side in x.shape[-2:]]
    return AVG_POOL(x[..., ring[0], :][..., ring[1]], kernel_size, stride)


def circular_pad(x: Tensor, pad: Any, mode: str = "constant", value: float | None = None) -> Tensor:
    """Circular padding instead of zero padding, also by more than once around."""
    if not any(pad):
        return x
    for axis, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True), 1):
        x = x.index_select(x.ndim - axis, torch.arange(-before, x.shape[-axis] + after) % x.shape[-axis])
    return x


CELLS = {"VGG": 3, "Darknet of YOLOv1": 5, "Inception v4": 5, "Inception-ResNet v1": 5, "Inception-ResNet v2": 5, "SENet": 5}
"""Cells per side of the coarsest level, by family; 7 for all others.

There must be enough that no kernel covers the whole circle, and few if the network is large.
"""


@pytest.mark.parametrize("name", [*LIGHT_FIRST, "resnet50", "mobilenet_v3_large"])
def test_cells_are_centered(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_centers(name, monkeypatch)


def check_centers(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells of every level have their centers where the table states."""
    info = backbone_info(name)
    # The outputs of transposed convolutions stay within their patch, where gradients cannot distinguish them.
    upsampled = {"c2", "c3"} if "vit" in name or "deit" in name else set()
    upsampled |= {"c4"} if "patch32" in name else set()
    levels = [level for level in info.levels if level.name not in upsampled]
    backbone = make_symmetric(BackboneConfig(name=name, levels=tuple(level.name for level in levels), frozen_stages=0).build())
    for part in backbone.modules():
        if isinstance(part, nn.Conv2d):
            part.padding_mode = "circular"
            part._reversed_padding_repeated_twice = [side for side in reversed(part.padding) for _ in range(2)]
    monkeypatch.setattr(nn.functional, "max_pool2d", circular_mean_pool)
    monkeypatch.setattr(nn.functional, "avg_pool2d", circular_mean_pool)
    monkeypatch.setattr(nn.functional, "pad", circular_pad)
    stride = levels[-1].stride
    size = CELLS.get(info.family, 7) * stride
    for level, center in zip(levels, cell_centers(backbone, size, stride), strict=True):
        expected = size // level.stride // 2 * level.stride + level.offset
        # Blocks of Inception v3 that pad before the convolution break the circle: their accuracy is half a cell.
        tolerance = level.stride / 2 if info.family == "Inception v3" and level.stride > 8 else 0.01
        assert center == pytest.approx((expected, expected), abs=tolerance), f"{level.name}: cells are not centered"


def test_the_center_check_detects_one_sided_padding() -> None:
    import timm

    network = make_symmetric(timm.create_model("tf_efficientnet_lite0", features_only=True))
    # For an even size TensorFlow pads at the right and bottom only, which shifts the map of stride 2 by a pixel.
    image = torch.rand(1, 3, 64, 64, requires_grad=True)
    network(image)[0][:, :, 8, 8].sum().backward()
    columns = image.grad.abs().sum((0, 1, 2))
    centroid = float((columns * torch.arange(64)).sum() / columns.sum())
    assert centroid > 16.5, "cell 8 of stride 2 must not be centered at pixel 16, which is why detkit pads on both sides"


@pytest.mark.parametrize("name", LIGHT)
def test_parameters_get_gradients_and_frozen_stages_do_not_change(name: str) -> None:
    backbone = copy.deepcopy(small(name))
    backbone.freeze(2)
    check_training(backbone)


def check_training(backbone: Any) -> None:
    """With two frozen stages, other parameters get finite, nonzero gradients, and a step changes them and no frozen ones."""
    backbone.train()
    before = copy.deepcopy(backbone.state_dict())
    frozen = {id(value) for stage in backbone.stages()[:2] for value in stage.state_dict(keep_vars=True).values()}
    optimizer = torch.optim.SGD([p for p in backbone.parameters() if p.requires_grad], lr=0.1)
    sum(level.pow(2).mean() for level in backbone(torch.randn(2, 3, 64, 64))).backward()
    for key, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == (id(parameter) not in frozen), key
        # HGNetV2 adds constants before 1x1 convolutions, whose norms subtract them again.
        cancels = key.endswith(".lab.bias")
        assert parameter.grad is None or (bool(parameter.grad.isfinite().all()) and bool(cancels or parameter.grad.any())), key
    optimizer.step()
    for key, value in backbone.state_dict(keep_vars=True).items():
        if id(value) in frozen:
            assert torch.equal(before[key], value), f"{key} changed"
        elif key.endswith("running_var"):
            assert not torch.equal(before[key], value), f"{key} did not change"


@cache
def without_values(name: str) -> Backbone:
    """A cached backbone on the meta device, with trainable norms and nothing frozen; do not modify it."""
    with torch.device("meta"):
        return BackboneConfig(name=name, norm="train", frozen_stages=0).build()


@pytest.mark.parametrize("name", SMALL)
def test_stages_cover_every_parameter_once(name: str) -> None:
    """Except for parameters that no published file has, which are always trained."""
    backbone = without_values(name)
    staged = [id(parameter) for stage in backbone.stages() for parameter in stage.parameters()]
    assert sorted(staged) == sorted(
        id(parameter) for key, parameter in backbone.named_parameters() if not key.startswith(backbone.new_prefixes)
    )


@pytest.mark.parametrize("name", SMALL)
def test_freezing_all_stages_and_too_many(name: str) -> None:
    count = len(without_values(name).stages())
    with torch.device("meta"):
        frozen = BackboneConfig(name=name, norm="train", frozen_stages=count).build().train()
    trainable = [key for key, parameter in frozen.named_parameters() if parameter.requires_grad]
    assert all(key.startswith(frozen.new_prefixes) for key in trainable), trainable
    assert not any(part.training for part in frozen.modules() if isinstance(part, nn.BatchNorm2d))
    with pytest.raises(ValueError, match=rf"{name}: expected 0 to {count} frozen stages"):
        frozen.freeze(count + 1)


@pytest.mark.parametrize("name", LIGHT)
def test_state_dict_round_trip(name: str) -> None:
    """With trainable norms; the next test loads every backbone with frozen ones."""
    images = torch.randn(1, 3, 40, 56)
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(small(name)(images), like_small(name, norm="train")(images), strict=True))


@pytest.mark.parametrize("name", LIGHT)
def test_frozen_folded_and_absorbed_norms_give_the_same_maps(name: str) -> None:
    trained = small(name)
    frozen = like_small(name, norm="frozen")
    images = torch.randn(1, 3, 65, 50)
    with torch.no_grad():
        expected = trained(images)
        separate, folded = frozen(images), fold_batch_norms(trained)(images)
    absorbed = frozen.train()(images)
    for reference, *results in zip(expected, separate, folded, absorbed, strict=True):
        for result in results:
            torch.testing.assert_close(result, reference, rtol=1e-4, atol=1e-4 * float(reference.abs().max()))
    # Norms that precede their convolution are not folded.
    assert backbone_info(name).family == "DenseNet" or not any(
        isinstance(part, nn.BatchNorm2d) for part in fold_batch_norms(trained).modules()
    )


@pytest.mark.parametrize("name", LIGHT)
def test_frozen_outputs_do_not_depend_on_batch_or_mode(name: str) -> None:
    backbone = like_small(name, norm="frozen", frozen_stages=2)
    images = torch.randn(2, 3, 64, 64)
    before = images.clone()
    with torch.no_grad():
        batched = backbone.train()(images)
        alone = backbone.eval()(images[1:])
    assert torch.equal(images, before), "images must not be modified"
    for all_maps, single in zip(batched, alone, strict=True):
        torch.testing.assert_close(all_maps[1:], single, rtol=1e-4, atol=1e-4)


FROM_LIBRARIES = [
    name for name in SMALL if backbone_info(name).factory.startswith(("detkit.backbones.torchvision", "detkit.backbones.timm"))
]


def recipe_of(name: str, network: nn.Module) -> Recipe:
    info = backbone_info(name)
    return timm_models._RECIPES[info.family] if info.source == "timm" else torchvision_models._RECIPES[info.family](network)


def outputs_of(network: nn.Module, parts: Mapping[str, str], images: Tensor) -> dict[str, Tensor]:
    """Outputs of these modules while the library's own network runs."""
    outputs: dict[str, Tensor] = {}
    for level, part in parts.items():
        network.get_submodule(part).register_forward_hook(lambda _module, _inputs, out, level=level: outputs.setdefault(level, out.clone()))
    with torch.no_grad():
        network.eval()(images)
    return outputs


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow) if backbone_info(n).family in HEAVY | {"Inception v3", "VGG"} else n for n in FROM_LIBRARIES],
)
def test_maps_equal_those_of_the_librarys_network(name: str) -> None:
    """The library's network gets the same padding; the tests of the classifiers show that only the padding was changed."""
    info = backbone_info(name)
    network = library_network(name)
    fill_norms(network)
    recipe = recipe_of(name, network)
    backbone = BackboneConfig(name=name, norm="train", levels=tuple(level.name for level in info.levels)).build().eval()
    state = {key: value for key, value in backbone.rename_published(network.state_dict()).items() if key in backbone.state_dict()}
    backbone.load_state_dict(
        {**{k: v for k, v in backbone.state_dict().items() if k.startswith(backbone.new_prefixes)}, **state}, strict=True
    )
    if recipe.prepare is not None:
        recipe.prepare(network)
    images = torch.randn(1, 3, 75, 64)
    taps = {level: part.replace("trunk.", "stages.") for level, part in recipe.taps.items()}
    expected = outputs_of(network, {**taps, **({"c5": "features.norm5"} if info.family == "DenseNet" else {})}, images)
    with torch.no_grad():
        maps = backbone(images)
    for level, level_map in zip(backbone.level_names, maps, strict=True):
        reference = expected[level].permute(0, 3, 1, 2) if recipe.channels_last else expected[level]
        reference = reference.relu() if info.family == "DenseNet" else reference
        if recipe.map_norms:
            reference = nn.functional.layer_norm(reference.permute(0, 2, 3, 1), reference.shape[1:2]).permute(0, 3, 1, 2)
        torch.testing.assert_close(level_map, reference, rtol=1e-5, atol=1e-6 * float(reference.abs().max()))


@pytest.mark.oracle("timm", "feature map of a vision transformer", tolerance="1e-5")
def test_the_map_of_a_transformer_equals_timms() -> None:
    """At the size it was trained for, where position embeddings are not interpolated."""
    import timm

    torch.manual_seed(0)
    network = timm.create_model("deit_tiny_distilled_patch16_224").eval()
    backbone = BackboneConfig(name="deit_tiny_distilled_patch16_224", weights=None, levels=("c4",)).build().eval()
    backbone.load_state_dict(
        {k: v for k, v in backbone.rename_published(network.state_dict()).items() if not k.startswith(backbone.unused_prefixes)}
    )
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        tokens = network.forward_features(images)[:, 2:]
        torch.testing.assert_close(backbone(images)[0].flatten(2).transpose(1, 2), tokens)
        assert backbone(torch.randn(1, 3, 100, 333))[0].shape == (1, 192, 7, 21)


@pytest.mark.parametrize("name", EACH)
@torch.no_grad()
def test_declared_parameters_and_gflops(name: str) -> None:
    """For the classifier, or for the backbone where no classifier exists; operations by torch's own counter."""
    info = backbone_info(name)
    with torch.device("meta"):
        without_classifier = info.family in {"CSPDarknet", "Darknet of YOLOv1"}
        network = BackboneConfig(name=name, weights=None).build().eval() if without_classifier else library_network(name).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, info.input_size, info.input_size))
    # torchvision counts GoogLeNet without its auxiliary classifiers, which run only in training.
    counted = [parameter.numel() for key, parameter in network.named_parameters() if not key.startswith(("aux1", "aux2"))]
    assert sum(counted) == info.parameters
    assert counter.get_total_flops() / 2e9 == pytest.approx(info.gflops, abs=0.006)


def test_listing_backbones_imports_no_heavy_package() -> None:
    code = (
        "import sys; from detkit.backbones import BACKBONES, BackboneConfig, describe_backbones; import detkit.necks;"
        "describe_backbones(); BackboneConfig();"
        "print(sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
