from __future__ import annotations

import pytest
import timm
from torchvision import models

from detkit.backbones import BACKBONES, describe, facts_of
from detkit.weights import WeightEntry, catalog

ENTRIES = [entry for entry in catalog() if entry.kind == "backbone"]
DEFAULTS = {entry.model: entry for entry in reversed(ENTRIES)}  # of several for one model, the first
TORCHVISIONS = [entry for entry in DEFAULTS.values() if "torchvision" in entry.read_from]
TIMMS = [entry for entry in DEFAULTS.values() if "timm" in entry.read_from]
WITHOUT_WEIGHTS = {"mobilenet_v3_large_reduced"} | {name for name in BACKBONES.names() if facts_of(name).source == "detkit"}


@pytest.mark.parametrize("entry", TORCHVISIONS, ids=lambda entry: entry.name)
def test_facts_are_those_that_torchvision_states(entry: WeightEntry) -> None:
    owner, _, member = entry.read_from.rpartition(", ")[2].partition(".")
    stated, facts = getattr(models, owner)[member], facts_of(entry.model)
    transforms = stated.transforms()
    assert (facts.parameters, facts.gflops) == (stated.meta["num_params"], stated.meta["_ops"])
    assert transforms.crop_size == [facts.input_size]
    if facts.family.startswith("Inception"):
        # It turns ImageNet's normalization into this one inside, with these weights.
        assert set(facts.mean + facts.std) == {0.5}
    else:
        assert (facts.mean, facts.std) == (tuple(transforms.mean), tuple(transforms.std))


@pytest.mark.parametrize("entry", TIMMS, ids=lambda entry: entry.name)
def test_facts_are_those_that_timm_states(entry: WeightEntry) -> None:
    facts = facts_of(entry.model)
    tag = entry.file_name.removesuffix(".safetensors").rpartition(".")[2] if entry.file_name.endswith(".safetensors") else ""
    lite = facts.family == "EfficientNet-Lite"
    name = f"tf_{entry.model}" if lite else entry.model
    config = timm.get_pretrained_cfg(f"{name}.{tag}" if tag else name)
    if tag:
        assert (config.hf_hub_id or "").endswith((f"timm/{name}.{tag}", "timm/", entry.file_name.removesuffix(".safetensors")))
    else:
        assert config.url == entry.url
    assert config.input_size == (3, facts.input_size, facts.input_size)
    if lite:
        # timm writes (x - 127.5) / 127.5 for the publisher's (x - 127) / 128.
        assert facts.mean == pytest.approx(config.mean, abs=0.003)
        assert facts.std == pytest.approx(config.std, abs=0.003)
    else:
        assert (facts.mean, facts.std) == (config.mean, config.std)
    assert entry.parameters == facts.parameters
    assert entry.license.lower().startswith(config.license)


def test_every_backbone_has_facts_and_weights() -> None:
    entries = set(DEFAULTS)
    assert entries | WITHOUT_WEIGHTS == set(BACKBONES.names())
    assert not entries & WITHOUT_WEIGHTS


def test_a_row_for_each_in_words() -> None:
    rows = {row["name"]: row for row in describe()}
    assert tuple(rows) == BACKBONES.names()
    resnet = rows["resnet50"]
    assert resnet["levels"] == "c1 64/2, c2 256/4, c3 512/8, c4 1024/16, c5 2048/32"
    assert (resnet["weights"], resnet["top1"], resnet["license"]) == ("resnet50, resnet50_v2", "76.1, 80.9", "not stated")
    assert rows["efficientnet_lite0"]["license"] == "Apache-2.0"
    assert len({frozenset(row) for row in rows.values()}) == 1


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        facts_of("resnet-50")
