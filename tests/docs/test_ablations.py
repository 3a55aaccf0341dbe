from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import make_ablations
import numpy as np
import pytest
import torch
from make_ablations import VARIANTS, Variant, VariantEvaluator
from PIL import Image

from detkit.backbones import BackboneConfig
from detkit.data import DetectionData, ImageRecord
from detkit.experiment.evaluation_run import run_evaluator
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import Predictor
from detkit.models.rcnn import RCNNConfig
from detkit.proposals import ProposalsConfig
from detkit.structures import Targets

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def predictor() -> Predictor:
    """An R-CNN whose SVMs and regressors are random numbers."""
    torch.manual_seed(0)
    config = RCNNConfig(backbone=BackboneConfig(name="shufflenet_v2_x0_5", weights=None, levels=("c4",)), warp_size=32, context_pixels=4)
    detector: Any = config.replace(region=config.region.replace(head=TwoFCConfig(hidden=16), pool_size=1)).build(2)
    for layer in (detector.region.fitted.svm, detector.region.fitted.boxes):
        torch.nn.init.normal_(layer.weight, std=0.05)
    detector.region.fitted.has_svm.fill_(True)
    detector.region.fitted.has_boxes.fill_(True)
    proposer = ProposalsConfig(mode="single", max_proposals=15).build()
    return Predictor(detector.eval(), config.preprocess, ("a", "b"), "cpu", "fp32", proposer=proposer)


@pytest.fixture
def data(tmp_path: Path) -> DetectionData:
    random, records = np.random.default_rng(0), []
    for number in range(2):
        path = tmp_path / f"{number}.png"
        pixels = random.integers(0, 60, (64, 96, 3), dtype=np.uint8)
        pixels[8:40, 10 + number : 50] = 240
        Image.fromarray(pixels).save(path)
        records.append(ImageRecord(path, number + 1, (64, 96), Targets.of(torch.tensor([[10.0, 8.0, 50.0, 40.0]]), torch.tensor([number]))))
    return DetectionData.of("toy", ["a", "b"], records)


@pytest.fixture
def run(predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run of the predictor."""
    folder = tmp_path / "rcnn-1"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model": {"kind": "rcnn"}}))
    monkeypatch.setattr(make_ablations, "load", lambda *args: copy.deepcopy(predictor))
    return folder


def test_variants_equal_the_detector_and_features_are_computed_once(run: Path, predictor: Predictor, data: DetectionData) -> None:
    variants = [Variant("", svm=svm, boxes=boxes) for svm in (True, False) for boxes in (True, False)]
    evaluated = VariantEvaluator(str(run), "cpu")
    network: Any = evaluated.predictor.detector.backbone
    counts: list[int] = []
    network.register_forward_hook(lambda *args: counts.append(len(args[1][0])))
    tables = [evaluator.table() for evaluator in evaluated.evaluate(data, variants)]
    assert sum(counts) <= 2 * 15
    for variant, table in zip(variants, tables, strict=True):
        detector: Any = predictor.detector
        detector.region.fitted.has_svm.fill_(variant.svm)
        detector.region.fitted.has_boxes.fill_(variant.boxes)
        np.testing.assert_array_equal(table, run_evaluator(predictor, data).table())
    for index, table in enumerate(tables):
        assert not any(table.shape == other.shape and (table == other).all() for other in tables[:index])


def test_measured_pair_becomes_a_table(
    run: Path, data: DetectionData, refilled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(make_ablations, "labeled_data", lambda *args, **options: data)
    report = make_ablations.measure((str(run), str(run)), "toy", "test", "cpu")
    assert [row["what"] for row in report["rows"]] == [variant.name for variant in VARIANTS["rcnn"]]
    assert report["rows"][5]["values"] == report["rows"][0]["values"]  # the second run is the first
    assert [metric["difference"] for metric in report["rows"][5]["differences"]] == [0, 0]
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "rcnn.json").write_text(json.dumps(report))
    monkeypatch.setattr(make_ablations, "RESULTS", tmp_path / "results")
    page = refilled(make_ablations.page, "ablations")
    assert "| rcnn | no fine-tuning | " in page
    assert "| 50.9 | -3.3 |" in page


def test_incomparable_runs_are_errors(run: Path, predictor: Predictor) -> None:
    (run / "config.json").write_text(json.dumps({"model": {"kind": "fast_rcnn"}}))
    with pytest.raises(ValueError, match="expected two runs of one kind, rcnn or sppnet, got fast_rcnn"):
        make_ablations.measure((str(run), str(run)), "toy", "test", "cpu")
    detector: Any = predictor.detector
    detector.region.fitted.has_boxes.fill_(False)
    with pytest.raises(ValueError, match="expected a finished run with SVMs and box regressors"):
        VariantEvaluator(str(run), "cpu")


def test_page_is_up_to_date() -> None:
    text = (ROOT / "docs" / "multi_stage.md").read_text("utf-8")
    assert text == make_ablations.page(text), "run: python docs/make_ablations.py"


def test_references_precede_their_rows() -> None:
    for variants in VARIANTS.values():
        for index, variant in enumerate(variants):
            assert (variant.reference is None) == (index == 0)
            assert variant.reference is None or variant.reference < index
