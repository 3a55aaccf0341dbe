from __future__ import annotations

import pytest
from torchvision.models import get_model_weights

from detkit.backbones import BACKBONES, describe, facts_of
from detkit.weights import catalogue

TORCHVISIONS = [name for name in BACKBONES.names() if facts_of(name).source == "torchvision"]


@pytest.mark.parametrize("name", TORCHVISIONS)
def test_figures_are_those_that_torchvision_states(name: str) -> None:
    meta = next(iter(get_model_weights(name))).meta
    assert (facts_of(name).parameters, facts_of(name).gflops) == (meta["num_params"], meta["_ops"])


@pytest.mark.parametrize("name", TORCHVISIONS)
def test_normalisation_and_size_are_torchvisions(name: str) -> None:
    transforms = next(iter(get_model_weights(name))).transforms()
    facts = facts_of(name)
    assert (facts.mean, facts.std) == (tuple(transforms.mean), tuple(transforms.std))
    assert transforms.crop_size == [facts.input_size]


def test_every_backbone_has_facts_and_weights() -> None:
    models = {entry.model for entry in catalogue() if entry.kind == "backbone"}
    assert models == set(BACKBONES.names())


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
