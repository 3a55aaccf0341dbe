"""What exported files state about their weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from detkit.checkpoint import make_header, save_checkpoint
from detkit.export.facts import weight_facts
from detkit.weights import catalog, embedded_path, find


def test_published_weights_have_the_terms_of_the_catalog() -> None:
    facts = weight_facts("yolox_nano")
    assert facts.license == find("yolox_nano").license == "Apache-2.0"
    assert json.loads(facts.training or "")["data"] == "COCO train2017"
    unknown = next(entry.name for entry in catalog() if entry.license == "not stated")
    assert weight_facts(unknown).license is None


def test_the_detector_inside_the_package() -> None:
    facts = weight_facts(embedded_path() or "")
    assert str(facts.license).startswith("Apache-2.0")
    assert json.loads(facts.training or "")["metrics"]["AP"] > 0.1


def test_a_checkpoint_states_its_training_but_no_terms(tmp_path: Path) -> None:
    header = make_header("{}", ["a"], metrics={"AP": 0.5}, step=7)
    save_checkpoint(tmp_path / "best.safetensors", {"x": torch.zeros(1)}, header)
    for source in (tmp_path, tmp_path / "best.safetensors"):
        facts = weight_facts(source)
        assert facts.license is None
        assert json.loads(facts.training or "") == {"step": 7, "metrics": {"AP": 0.5}, "detkit": header["detkit"]}


def test_other_names_and_missing_files(tmp_path: Path) -> None:
    assert weight_facts("nothing of that name") == (None, None)
    with pytest.raises(FileNotFoundError, match="expected a checkpoint, or a run folder"):
        weight_facts(tmp_path)
