"""timm networks that are not in the catalog: the maps that they return, and their weights."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor
from torch.nn import functional

from detkit.backbones import BACKBONES, Backbone, BackboneConfig, backbone_info, load_backbone_weights

RESULTS = Path(__file__).resolve().parents[3] / "docs" / "backbones_timm.json"
FAST = ["test_vit", "test_vit_relpos", "test_mambaout"]
"""The last map of a plain transformer, the last of three by intermediate layers, and maps with their channels last."""
SIDES = {
    "csatv2": 256,
    "naflexvit_base_patch16_parfac_gap": 128,
    "nasnetalarge": 96,
    "pnasnet5large": 96,
    "qwen3_vit_88m": 128,
    "sam2_hiera_tiny": 224,
}
"""Sides of the images of networks that take any, and for which their own size, up to 896 pixels, takes most of the time."""


def build(name: str, **options: Any) -> Backbone:
    return BackboneConfig(name=f"timm/{name}", weights=None, **options).build().eval()


@cache
def smallest() -> dict[str, str]:
    """The smallest network of each of timm's modules that is not refused."""
    rows = json.loads(RESULTS.read_text("utf-8"))["networks"]
    allowed = {name: row["parameters"] for name, row in rows.items() if "parameters" in row}
    names = {module: [name for name in timm.list_models(module=module) if name in allowed] for module in timm.list_modules()}
    return {module: min(members, key=lambda name: allowed[name]) for module, members in names.items() if members}


def check_values(name: str) -> None:
    """The maps of the backbone are timm's own, with the same weights, for an image of the network's own size or a smaller one."""
    torch.manual_seed(0)
    backbone: Any = build(name, norm="train")
    plain = hasattr(backbone, "pyramid")
    reference = timm.create_model(name, **({"dynamic_img_size": True} if plain else {"features_only": True})).eval()
    state = {f"body.{key}": value for key, value in reference.state_dict().items()}
    own = {key: value for key, value in backbone.state_dict().items() if key.startswith(backbone.new_prefixes or ("none",))}
    backbone.load_state_dict({**{key: state[key] for key in backbone.state_dict() if key not in own}, **own}, strict=True)
    size = SIDES.get(name) or timm.get_pretrained_cfg(name).input_size[-1]
    images = torch.rand(1, 3, size, size)
    with torch.no_grad():
        maps = backbone(images)
        expected = patch_map(reference, images, backbone.strides) if plain else last_maps(reference, images, backbone)
    for level, stride in zip(maps, backbone.strides, strict=True):
        if stride in expected:
            assert level.any()
            torch.testing.assert_close(level, expected[stride], rtol=1e-4, atol=1e-5 * float(expected[stride].abs().max()))
    assert set(expected) <= set(backbone.strides)
    assert expected


def patch_map(reference: VisionTransformer, images: Tensor, strides: tuple[int, ...]) -> dict[int, Tensor]:
    """The normalized last map; the other levels are computed from it."""
    (last,) = reference.forward_intermediates(images, indices=1, norm=True, intermediates_only=True)
    stride = images.shape[-1] // last.shape[-1]
    return {stride: last} if stride in strides else {}


def last_maps(reference: Any, images: Tensor, backbone: Any) -> dict[int, Tensor]:
    """Of timm's own maps the last of every stride, in the form ``(B, C, H, W)``."""
    high, multiple = images.shape[-1], backbone._multiple
    outputs = reference(functional.pad(images, (0, -high % multiple, 0, -high % multiple)))
    last = dict(zip(reference.feature_info.reduction(), outputs, strict=True))
    chosen = {}
    for stride, channels in zip(backbone.strides, backbone.channels, strict=True):
        cells, level = -(-high // stride), last[stride]
        chosen[stride] = (level.permute(0, 3, 1, 2) if level.shape[-1] == channels != level.shape[1] else level)[..., :cells, :cells]
    return chosen


@pytest.mark.oracle("timm", "feature maps of timm networks", tolerance="1e-4 relative")
@pytest.mark.parametrize("name", FAST)
def test_maps_equal_timms(name: str) -> None:
    check_values(name)


@pytest.mark.oracle("timm", "feature maps of a network of every timm module", tolerance="1e-4 relative")
@pytest.mark.slow
@pytest.mark.parametrize("module", timm.list_modules())
def test_maps_of_every_module_equal_timms(module: str) -> None:
    if module not in smallest():
        refused = [backbone_error(name) for name in timm.list_models(module=module)]
        assert refused
        assert all(refused)
    else:
        check_values(smallest()[module])


def backbone_error(name: str) -> str:
    try:
        backbone_info(f"timm/{name}")
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["resnet10t", "mobilenetv4_conv_small", "vit_tiny_patch16_384", "vit_tiny_r_s16_p8_224", "dla46_c"])
def test_maps_match_the_declared_levels(name: str) -> None:
    assert f"timm/{name}" in BACKBONES
    assert f"timm/{name}" not in BACKBONES.names()
    info = backbone_info(f"timm/{name}")
    with torch.device("meta"):
        backbone = build(name)
        maps = backbone(torch.empty(1, 3, 65, 97))
    assert backbone.level_names == info.default_levels == ("c2", "c3", "c4", "c5")
    assert [tuple(level.shape[1:]) for level in maps] == [
        (c, -(-65 // s), -(-97 // s)) for c, s in zip(backbone.channels, backbone.strides, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("beit_base_patch16_224", {"c4": (768, 16)}),
        ("xcit_nano_12_p8_224", {"c3": (128, 8)}),
        ("deit_tiny_distilled_patch16_224", {"c4": (192, 16)}),
        ("dla34", {"c1": (32, 2), "c2": (64, 4), "c3": (128, 8), "c4": (256, 16), "c5": (512, 32)}),
        ("csatv2", {"c3": (32, 8), "c4": (72, 16), "c5": (168, 32), "c6": (386, 64)}),
        ("tresnet_m", {"c2": (64, 4), "c3": (128, 8), "c4": (1024, 16), "c5": (2048, 32)}),
    ],
)
def test_levels_where_timms_maps_do_not_start_at_the_first(name: str, levels: dict[str, tuple[int, int]]) -> None:
    info = backbone_info(f"timm/{name}")
    assert {level.name: (level.channels, level.stride) for level in info.levels} == levels


@pytest.mark.parametrize("name", ["beit_base_patch16_224", "xcit_nano_12_p8_224"])
def test_the_whole_network_is_built(name: str) -> None:
    """And not its first three blocks, whose positions are those of the maps."""
    with torch.device("meta"):
        backbone: Any = build(name)
        blocks = timm.create_model(name).blocks
    assert len(backbone.body.model.blocks) == len(blocks)


@torch.no_grad()
def test_loads_a_file_of_timm(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = timm.create_model("mobilenetv4_conv_small").eval()
    torch.save(reference.state_dict(), tmp_path / "file.pth")
    config = BackboneConfig(name="timm/mobilenetv4_conv_small", weights=str(tmp_path / "file.pth"), norm="train", frozen_stages=0)
    backbone = config.build().eval()
    load_backbone_weights(backbone, config)
    images = torch.randn(1, 3, 64, 96)
    for level, expected in zip(backbone(images), reference.forward_intermediates(images, intermediates_only=True)[1:], strict=True):
        torch.testing.assert_close(level, expected)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("test_vit_relpos", ("body.model.head.", "body.model.fc_norm.")),
        pytest.param("legacy_xception", ("body.body.fc.",), marks=pytest.mark.slow),
    ],
)
def test_loads_a_file_into_a_wrapped_network(name: str, heads: tuple[str, ...], tmp_path: Path) -> None:
    """timm keeps some networks whole, under a name of its own; two stages are frozen with weights."""
    torch.manual_seed(0)
    published = timm.create_model(name).state_dict()
    torch.save(published, tmp_path / "file.pth")
    config = BackboneConfig(name=f"timm/{name}", weights=str(tmp_path / "file.pth"))
    backbone = config.build().eval()
    report = load_backbone_weights(backbone, config)
    assert {key for key in report.unused_names if not key.startswith(heads)} <= {key for key in report.unused_names if "norm" in key}
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, published[key.removeprefix("body.").partition(".")[2]])
    torch.save(backbone.state_dict(), tmp_path / "own.pth")
    again = config.replace(weights=str(tmp_path / "own.pth"))
    load_backbone_weights(again.build(), again)


@pytest.mark.parametrize("name", ["test_vit_relpos", "test_efficientnet", "tresnet_m", "test_mambaout"])
def test_stages_cover_every_parameter_once(name: str) -> None:
    with torch.device("meta"):
        backbone = build(name)
    staged = [id(parameter) for stage in backbone.stages() for parameter in stage.parameters()]
    assert sorted(staged) == sorted(map(id, backbone.parameters()))
    assert len(backbone.stages()) >= 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet26x", r"timm \S+ has no such network: did you mean 'resnet26"),
        ("vit_large_patch14_clip_224", "expected patches of 4, 8, 16 or 32 pixels, .*, got 14"),
        ("crossvit_tiny_240", "expected maps whose strides are powers of two, got strides 12, 17"),
        pytest.param(
            "inception_v3",
            r"expected a map of shape \(2048, 10, 10\) at stride 32 .*, got \(2048, 8, 8\): the network does not pad",
            marks=pytest.mark.slow,
        ),
        pytest.param("gemma4_vit_167m", "timm's network cannot be measured on an image of 768 pixels", marks=pytest.mark.slow),
    ],
)
def test_unsupported_networks_are_errors(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"^backbone timm/{name}: {message}"):
        BackboneConfig(name=f"timm/{name}", weights=None).build()


def test_images_of_another_size_are_explained() -> None:
    backbone = build("levit_128s")
    with pytest.raises(ValueError, match=r"timm/levit_128s: timm's network takes no image of 96 x 64 pixels .*: set preprocess.rule=fixed"):
        backbone(torch.rand(1, 3, 96, 64))


def test_weights_are_not_downloaded_implicitly() -> None:
    config = BackboneConfig(name="timm/resnet10t")
    with pytest.raises(ValueError, match=r"no published weights are known; pass a file"):
        load_backbone_weights(config.build(), config)
