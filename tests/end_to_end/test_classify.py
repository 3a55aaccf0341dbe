"""Classifiers from folders of images: trained, cut and gone on with, evaluated, and taught by one another."""

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
from detkit.training.distillation import DistillationConfig
from detkit.training.optimizer import AdamWConfig, SGDConfig

Tiny = Callable[..., Experiment]


@pytest.fixture(scope="session")
def striped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images striped one way or the other, which nobody can tell apart by their colors."""
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
def test_a_run_cut_between_two_unfreezings_ends_as_one_that_was_not(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, rule: AdamWConfig | SGDConfig
) -> None:
    how: Any = {"ema": EMAConfig(decay=0.9, warmup_steps=3), "frozen": 3, "unfreeze": (0.3, 0.8)}
    whole = train(tiny("whole", **how).replace(optimizer=rule), device="cpu", progress=False)
    with monkeypatch.context() as patch:

        def advance(self: hooks.Hook, made: int, progress: float) -> None:
            if made == 4:
                os.kill(os.getpid(), signal.SIGINT)

        patch.setattr(hooks.MetricsFile, "advance", advance)
        first = train(tiny("cut", **how).replace(optimizer=rule), device="cpu", progress=False)
    assert first.interrupted
    assert load_state(first.folder / "last.state")["inside"]["frozen_stages"] == 2
    again = train(tiny("cut", **how).replace(optimizer=rule), device="cpu", resume=first.folder, progress=False)
    one, two = (load_state(result.folder / "last.state")["inside"] for result in (whole, again))
    for part in ("detector", "ema"):
        mine, theirs = (state[part]["model"] if part == "ema" else state[part] for state in (one, two))
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    kept, again_kept = one["optimizer"]["state"], two["optimizer"]["state"]
    assert kept.keys() == again_kept.keys()
    assert all(torch.equal(value, again_kept[key][name]) for key, part in kept.items() for name, value in part.items())
    assert one["frozen_stages"] == two["frozen_stages"] == 1
    assert again.best_numbers.keys() == {"top1", "top5", "balanced"}


@pytest.mark.slow
def test_it_learns_and_teaches_and_is_a_backbone(tiny: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    taught = train(tiny("teacher", mixup=0.0, steps=100, evaluations=1), device="cpu", progress=False)
    assert taught.best_numbers["top1"] > 0.9
    config = BackboneConfig(name="lenet5", weights=str(taught.folder), frozen_stages=0)
    load_backbone_weights(config.build(), config)
    # Without a single label.
    by_teacher = DistillationConfig(teacher=str(taught.folder), supervised_weight=0.0, temperature=3.0)
    student = train(tiny("student", by_teacher, steps=100, evaluations=1), device="cpu", progress=False)
    assert student.best_numbers["top1"] > 0.9
    assert main(["evaluate", str(student.folder), "--json", str(tmp_path / "numbers.json")]) == 0
    said = capsys.readouterr().out
    assert f"top-1 {student.best_numbers['top1']:.4f}" in said
    assert "across" in said
    assert main(["detect", str(next((tmp_path.parent).glob("striped*/val/down/0.png"))), "--weights", str(taught.folder)]) == 0
    assert "down" in capsys.readouterr().out


def test_a_detector_needs_boxes(tiny: Tiny) -> None:
    config = tiny().replace(model=FasterRCNNConfig(backbone=BackboneConfig(name="resnet18", weights=None)))
    with pytest.raises(ValueError, match=r"says what images show and not where, and a detector learns from boxes; train a"):
        train(config, device="cpu", progress=False)


def test_mosaics_have_no_one_class(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=r"augmentation: mosaic and mixup join images of several objects, .* model.mixup=0.2"):
        train(tiny().replace(augmentation=AugmentationConfig(preset="yolox")), device="cpu", progress=False)


def test_a_metric_of_detectors(tiny: Tiny) -> None:
    with pytest.raises(ValueError, match=r"^training.best_metric: the evaluation has no 'AP': .*top1"):
        train(tiny(best_metric="AP"), device="cpu", progress=False)
