from __future__ import annotations

import pytest
import timm
from torchvision import models

from detkit.backbones import BACKBONES, backbone_info, describe_backbones
from detkit.weights import WeightEntry, catalog

ENTRIES = [entry for entry in catalog() if entry.kind == "backbone"]
DEFAULTS = {entry.model: entry for entry in reversed(ENTRIES)}  # of several for one model, the first
TORCHVISIONS = [entry for entry in DEFAULTS.values() if "torchvision" in entry.source]
TIMMS = [entry for entry in DEFAULTS.values() if "timm" in entry.source]
WITHOUT_WEIGHTS = {"mobilenet_v3_large_reduced"} | {
    name for name in BACKBONES.names() if backbone_info(name).source == "detkit" and backbone_info(name).family != "EfficientNet-Lite"
}


@pytest.mark.oracle("torchvision", "parameters, GMACs and normalization of backbones", tolerance="equal")
@pytest.mark.parametrize("entry", TORCHVISIONS, ids=lambda entry: entry.name)
def test_info_equals_torchvision(entry: WeightEntry) -> None:
    owner, _, member = entry.source.rpartition(", ")[2].partition(".")
    stated, info = getattr(models, owner)[member], backbone_info(entry.model)
    transforms = stated.transforms()
    assert (info.parameters, info.gflops) == (stated.meta["num_params"], stated.meta["_ops"])
    assert transforms.crop_size == [info.input_size]
    if info.family.startswith("Inception"):
        # With these weights torchvision converts ImageNet's normalization to this one internally.
        assert set(info.mean + info.std) == {0.5}
    else:
        assert (info.mean, info.std) == (tuple(transforms.mean), tuple(transforms.std))


@pytest.mark.oracle("timm", "parameters, normalization and license of backbones", tolerance="equal")
@pytest.mark.parametrize("entry", TIMMS, ids=lambda entry: entry.name)
def test_info_equals_timm(entry: WeightEntry) -> None:
    info = backbone_info(entry.model)
    tag = entry.file_name.removesuffix(".safetensors").rpartition(".")[2] if entry.file_name.endswith(".safetensors") else ""
    lite = info.family == "EfficientNet-Lite"
    name = f"tf_{entry.model}" if lite else entry.model
    config = timm.get_pretrained_cfg(f"{name}.{tag}" if tag else name)
    if tag:
        assert (config.hf_hub_id or "").endswith((f"timm/{name}.{tag}", "timm/", entry.file_name.removesuffix(".safetensors")))
    else:
        assert config.url == entry.url
    assert config.input_size == (3, info.input_size, info.input_size)
    if lite:
        # timm uses (x - 127.5) / 127.5 where the publisher has (x - 127) / 128.
        assert info.mean == pytest.approx(config.mean, abs=0.003)
        assert info.std == pytest.approx(config.std, abs=0.003)
    else:
        assert (info.mean, info.std) == (config.mean, config.std)
    assert entry.parameters == info.parameters
    assert entry.license.lower().startswith(config.license)


def test_every_backbone_has_weights_or_is_a_known_exception() -> None:
    entries = set(DEFAULTS)
    assert entries | WITHOUT_WEIGHTS == set(BACKBONES.names())
    assert not entries & WITHOUT_WEIGHTS


def test_table_has_one_row_per_backbone() -> None:
    rows = {row["name"]: row for row in describe_backbones()}
    assert tuple(rows) == BACKBONES.names()
    resnet = rows["resnet50"]
    assert resnet["levels"] == "c1 64/2, c2 256/4, c3 512/8, c4 1024/16, c5 2048/32"
    assert (resnet["weights"], resnet["top1"], resnet["license"]) == ("resnet50, resnet50_v2", "76.1, 80.9", "not stated")
    assert rows["efficientnet_lite0"]["license"] == "Apache-2.0"
    assert len({frozenset(row) for row in rows.values()}) == 1


def test_unknown_names_suggest_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        backbone_info("resnet-50")
