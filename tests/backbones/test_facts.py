from __future__ import annotations

import pytest
from torchvision import models

from detkit.backbones import BACKBONES, describe, facts_of
from detkit.weights import WeightEntry, catalogue

TORCHVISIONS = [entry for entry in catalogue() if entry.kind == "backbone" and "torchvision" in entry.read_from]
WITHOUT_WEIGHTS = {"mobilenet_v3_large_reduced"} | {name for name in BACKBONES.names() if facts_of(name).source == "detkit"}


@pytest.mark.parametrize("entry", TORCHVISIONS, ids=lambda entry: entry.name)
def test_facts_are_those_that_torchvision_states(entry: WeightEntry) -> None:
    owner, _, member = entry.read_from.rpartition(", ")[2].partition(".")
    stated, facts = getattr(models, owner)[member], facts_of(entry.model)
    transforms = stated.transforms()
    assert (facts.parameters, facts.gflops) == (stated.meta["num_params"], stated.meta["_ops"])
    assert (facts.mean, facts.std) == (tuple(transforms.mean), tuple(transforms.std))
    assert transforms.crop_size == [facts.input_size]


def test_every_backbone_has_facts_and_weights() -> None:
    entries = {entry.model for entry in catalogue() if entry.kind == "backbone"}
    assert entries | WITHOUT_WEIGHTS == set(BACKBONES.names())
    assert not entries & WITHOUT_WEIGHTS


def test_a_row_for_each_in_words() -> None:
    rows = {row["name"]: row for row in describe()}
    assert tuple(rows) == BACKBONES.names()
    resnet = rows["resnet50"]
    assert resnet["levels"] == "c1 64/2, c2 256/4, c3 512/8, c4 1024/16, c5 2048/32"
    assert (resnet["weights"], resnet["top1"], resnet["licence"]) == ("resnet50, resnet50_v2", "76.1, 80.9", "not stated")
    assert rows["efficientnet_lite0"]["licence"] == "Apache-2.0"
    assert len({frozenset(row) for row in rows.values()}) == 1


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        facts_of("resnet-50")
