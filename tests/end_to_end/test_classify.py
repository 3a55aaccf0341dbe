"""Classifiers trained on folders of images: interruption, evaluation, detection and distillation."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.backbones import BackboneConfig, load_backbone_weights
from detkit.checkpoint import load_state
from detkit.cli.main import main
from detkit.data import DataConfig, SourceConfig
from detkit.data.augment import AugmentationConfig
from detkit.data.augment.config import JitterConfig
from detkit.data.loader import LoaderConfig
from detkit.experiment import Experiment, train
from detkit.models.classifier import ClassifierConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.preprocess import PreprocessConfig
from detkit.training import hooks
from detkit.training.config import EMAConfig, TrainingConfig
from detkit.training.distillation.config import DistillationConfig
from detkit.training.loggers import metrics_file
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig

Tiny = Callable[..., Experiment]


@pytest.fixture(scope="session")
def striped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create images with horizontal or vertical stripes, which have the same colors."""
    folder, random = tmp_path_factory.mktemp("striped"), np.random.default_rng(0)
    for part, count in (("train", 24), ("val", 8)):
        for name in ("across", "down"):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                wave = 128 + 100 * np.sin(np.arange(40) * random.uniform(1.0, 1.4) + random.uniform(0, 6))
                pixels = np.broadcast_to(wave[:, None] if name == "across" else wave[None], (40, 40))
                noisy = np.clip(pixels + random.normal(0, 10, (40, 40)), 0, 255).astype(np.uint8)
                Image.fromarray(noisy).convert("RGB").save(folder / part / name / f"{number}.png")
    return folder


@pytest.fixture
def tiny(striped: Path, tmp_path: Path) -> Tiny:
    def make(
        output: str = "run", distillation: DistillationConfig | None = None, mixup: float = 0.2, frozen: int = 0, **training: Any
    ) -> Experiment:
        return Experiment(
            name="tiny",
            model=ClassifierConfig(
                preprocess=PreprocessConfig(rule="letterbox", input_size=(32, 32)),
                backbone=BackboneConfig(name="lenet5", weights=None, frozen_stages=frozen),
                mixup=mixup,
                label_smoothing=0.1,
            ),
            data=DataConfig(train=SourceConfig(path=str(striped))),
            augmentation=AugmentationConfig(flip=0.5, resize=JitterConfig(size=None, scale=(1.0, 1.3))),
            loader=LoaderConfig(batch_size=8, workers=0, cache_megabytes=10),
            optimizer=AdamWConfig(lr=3e-3, lr_scaling="none"),
            training=TrainingConfig(**{"precision": "fp32", "steps": 6, "evaluations": 2, "best_metric": "top1", **training}),
            distillation=distillation,
            output=str(tmp_path / output),
        )

    return make


@pytest.mark.slow
@pytest.mark.parametrize(
    "rule", [AdamWConfig(lr=3e-3, lr_scaling="none"), SGDConfig(lr=1e-2, lr_scaling="none")], ids=lambda rule: rule.kind
)
def test_a_run_interrupted_between_two_unfreezings_ends_like_an_uninterrupted_one(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, rule: AdamWConfig | SGDConfig
) -> None:
    options: Any = {"ema": EMAConfig(decay=0.9, warmup_steps=3), "frozen": 3, "unfreeze": (0.3, 0.8)}
    whole = train(tiny("whole", **options).replace(optimizer=rule), device="cpu", progress=False)
    with monkeypatch.context() as patch:

        def after_step(self: hooks.Hook, step: int, progress: float) -> None:
            if step == 4:
                os.kill(os.getpid(), signal.SIGINT)

        patch.setattr(metrics_file.MetricsFile, "after_step", after_step)
        first = train(tiny("cut", **options).replace(optimizer=rule), device="cpu", progress=False)
    assert first.interrupted
    assert load_state(first.folder / "last.state")["inside"]["frozen_stages"] == 2
    again = train(tiny("cut", **options).replace(optimizer=rule), device="cpu", resume=first.folder, progress=False)
    one, two = (load_state(result.folder / "last.state")["inside"] for result in (whole, again))
    for part in ("detector", "ema"):
        own, other = (state[part]["model"] if part == "ema" else state[part] for state in (one, two))
        assert all(torch.equal(own[name], other[name]) for name in own)
    buffers, resumed_buffers = one["optimizer"]["state"], two["optimizer"]["state"]
    assert buffers.keys() == resumed_buffers.keys()
    assert all(torch.equal(value, resumed_buffers[key][name]) for key, part in buffers.items() for name, value in part.items())
    assert one["frozen_stages"] == two["frozen_stages"] == 1
    assert again.best_numbers.keys() == {"top1", "top5", "balanced"}


@pytest.mark.slow
def test_a_classifier_learns_and_serves_as_teacher_and_backbone(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    teacher = train(tiny("teacher", mixup=0.0, steps=100, evaluations=1), device="cpu", progress=False)
    assert teacher.best_numbers["top1"] > 0.9
    config = BackboneConfig(name="lenet5", weights=str(teacher.folder), frozen_stages=0)
    load_backbone_weights(config.build(), config)
    # Without labels.
    distillation = DistillationConfig(teacher=str(teacher.folder), supervised_weight=0.0, temperature=3.0)
    student = train(tiny("student", distillation, steps=100, evaluations=1), device="cpu", progress=False)
    assert student.best_numbers["top1"] > 0.9
    assert main(["evaluate", str(student.folder), "--json", str(tmp_path / "numbers.json")]) == 0
    output = capsys.readouterr().out
    assert f"top-1 {student.best_numbers['top1']:.4f}" in output
    assert "across" in output
    assert main(["detect", str(next((tmp_path.parent).glob("striped*/val/down/0.png"))), "--model", str(teacher.folder)]) == 0
    assert "down" in capsys.readouterr().out


def test_a_detector_needs_boxes(tiny: Tiny) -> None:
    config = tiny().replace(model=FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None)))
    with pytest.raises(
        ValueError, match=r"expected labels with boxes, which a detector needs, got a folder for each class; train a classifier"
    ):
        train(config, device="cpu", progress=False)


def test_mosaics_are_refused(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=r"augmentation: mosaic and mixup combine images of several objects, .* model.mixup=0.2"):
        train(tiny().replace(augmentation=AugmentationConfig(preset="yolox")), device="cpu", progress=False)


def test_a_metric_that_only_detectors_have(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=r"^training.best_metric: unknown metric 'AP': .*top1"):
        train(tiny(best_metric="AP"), device="cpu", progress=False)
