from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from detkit.config import ConfigError
from detkit.heads.choice import ChoiceConfig
from detkit.heads.region_classifier import RegionConfig

BOXES = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 8], [50.0, 50, 60, 60]])
TABLE = torch.tensor([[0.9, 0.01], [0.3, 0.8], [0.02, 0.6]])


def test_hard_by_class_is_the_default() -> None:
    boxes, chosen = ChoiceConfig().choose(BOXES, TABLE)
    assert list(zip(chosen.rows.tolist(), chosen.labels.tolist(), strict=True)) == [(0, 0), (1, 1), (2, 1)]
    assert torch.equal(boxes, BOXES)


def test_class_agnostic() -> None:
    chosen = ChoiceConfig(class_agnostic=True).choose(BOXES, TABLE)[1]
    assert chosen.rows.tolist() == [0, 2]


def test_soft() -> None:
    chosen = ChoiceConfig(suppression="linear").choose(BOXES, TABLE)[1]
    assert_close(chosen.scores, torch.tensor([0.9, 0.8, 0.6, 0.3 * 0.2]))
    assert len(ChoiceConfig(suppression="linear", limit=2).choose(BOXES, TABLE)[1]) == 2


def test_regions_choose_by_the_same_numbers() -> None:
    config = RegionConfig(min_score=0.1, max_overlap=0.4, limit=7, suppression="gaussian", class_agnostic=True)
    assert (config.candidates, config.limit) == (None, 7)
    defaults = RegionConfig()
    assert (defaults.min_score, defaults.max_overlap, defaults.limit, defaults.suppression) == (0.05, 0.5, 100, "hard")
    assert RegionConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"suppression": "soft"}, "suppression: expected 'hard', 'linear' or 'gaussian', got 'soft'"),
        ({"sigma": 0.0}, "sigma"),
        ({"max_overlap": 1.5}, "max_overlap"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ChoiceConfig(**values)  # type: ignore[arg-type]
