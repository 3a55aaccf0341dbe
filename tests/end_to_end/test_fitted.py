"""R-CNN's three stages, in sequence and alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch

from detkit.checkpoint import load_checkpoint
from detkit.diagnostics.explanation import explain
from detkit.experiment import Experiment, train
from detkit.experiment.config import BoxRegressionStageConfig, GradientStageConfig, SVMStageConfig
from detkit.heads.region.fitted import FittedConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.inference import load
from detkit.models.rcnn import RCNNConfig
from detkit.proposals import ProposalsConfig
from detkit.training.process.clock import CoreClock

Tiny = Callable[..., Experiment]


def rcnn(tiny: Tiny) -> Experiment:
    base, model = tiny("fitted", steps=2, evaluations=1), RCNNConfig()
    region = model.region.replace(head=TwoFCConfig(hidden=16), samples_per_image=8, pool_size=1)
    model = model.replace(
        backbone=base.model.backbone.replace(levels=("c4",)),
        proposals=ProposalsConfig(mode="single", max_proposals=20),
        region=region,
        warp_size=32,
        context_pixels=4,
    )
    return base.replace(model=model, stages=(GradientStageConfig(), SVMStageConfig(), BoxRegressionStageConfig()))


def test_stages_run_in_sequence_and_can_be_rerun_alone(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = rcnn(tiny)
    result = train(config, device="cpu", progress=False)
    first = load_checkpoint(result.folder / "last.safetensors").tensors
    assert bool(first["region.fitted.has_svm"])
    assert bool(first["region.fitted.has_boxes"])
    assert first["region.fitted.svm.weight"].any()
    assert len(list((result.folder / "features").glob("*.npz"))) == 5
    assert load_checkpoint(result.best).tensors["region.fitted.svm.weight"].equal(first["region.fitted.svm.weight"])

    monkeypatch.setattr("detkit.training.fitting.feature_store.region_features", None)  # nothing is computed again
    easier = config.replace(stages=(config.stages[0], SVMStageConfig(svm=config.stages[1].svm.replace(cost=1e-5)), config.stages[2]))
    train(easier, device="cpu", progress=False, resume=result.folder, stage="svm")
    second = load_checkpoint(result.folder / "last.safetensors").tensors
    changed = [name for name in first if not first[name].equal(second[name])]
    assert sorted(changed) == ["region.fitted.svm.bias", "region.fitted.svm.weight"]

    continued = config.replace(weights=str(result.folder), stages=(GradientStageConfig(),), output=str(tmp_path / "continued"))
    third = load_checkpoint(train(continued, device="cpu", progress=False).best).tensors  # evaluated with its softmax
    assert not bool(third["region.fitted.has_svm"])
    assert not bool(third["region.fitted.has_boxes"])


def test_too_many_features_are_refused_before_training(tiny: Tiny, tmp_path: Path) -> None:
    config = rcnn(tiny)
    region = config.model.region.replace(pool_size=12, fitted=FittedConfig(boxes_from="pooled"))
    with pytest.raises(ValueError, match=r'at most 13000 features of a region, got 13824; set model.region.fitted.boxes_from="hidden"'):
        train(config.replace(model=config.model.replace(region=region)), device="cpu", progress=False)
    assert not (tmp_path / "fitted" / "last.state").exists()
    assert not (tmp_path / "fitted" / "config.json").exists()  # so that the folder can be used again


class FakeClock(CoreClock):
    """A clock by which the features of an image take one core-minute and its proposals a tenth."""

    def minutes(self) -> float:
        parts = self.visits
        return parts.get("features", 0) + 0.1 * parts.get("proposals", 0)

    def __init__(self) -> None:
        super().__init__()
        self.visits: dict[str, int] = {}

    def measure(self, name: str) -> AbstractContextManager[None]:
        self.visits[name] = self.visits.get(name, 0) + 1
        return super().measure(name)


def test_one_budget_covers_all_stages(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    config = rcnn(tiny)
    # Fine-tuning needs the proposals of 4 images; until 80 % of the SVMs' budget is spent, features of some images are computed.
    stages = (config.stages[0].replace(training=config.training), *config.stages[1:])
    training = config.training.replace(budget=4.0, steps=None, schedule_by="auto")
    caplog.set_level("INFO", "detkit")
    result = train(config.replace(training=training, stages=stages), device="cpu", progress=False, clock=FakeClock())
    tensors = load_checkpoint(result.folder / "last.safetensors").tensors
    assert 1 <= len(list((result.folder / "features").glob("*.npz"))) < 5
    assert "images; the other images are skipped" in caplog.text
    assert bool(tensors["region.fitted.has_svm"])
    assert bool(tensors["region.fitted.has_boxes"])
    by_activity = json.loads((result.folder / "results.json").read_text())["core_minutes_by_stage"]
    assert set(by_activity) == {"other", "gradient", "evaluation", "proposals", "features", "svm", "boxes"}


def test_a_checkpoint_includes_the_proposals_config(tiny: Tiny, tmp_path: Path) -> None:
    config = rcnn(tiny).replace(stages=(GradientStageConfig(),))
    predictor = load(train(config, device="cpu", progress=False).best, "cpu")
    assert predictor.proposer.config.max_proposals == 20
    for size in ((50, 70), (1, 1)):
        image = torch.randint(256, (*size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).numpy()
        detections = predictor(image)
        assert (detections.boxes <= torch.tensor([size[1], size[0]] * 2)).all()
    (stage,) = explain(predictor, image).stages
    assert stage.location_name == "proposal"
    with pytest.raises(ValueError, match="unknown stage 'smv': did you mean 'gradient'|expected"):
        train(config, stage="smv")
