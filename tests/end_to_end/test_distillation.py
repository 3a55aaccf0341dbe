from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.backbones import BackboneConfig
from detkit.checkpoint import load_checkpoint, load_state, make_header, save_checkpoint
from detkit.data import DataConfig, SourceConfig
from detkit.data.augment import AugmentationConfig
from detkit.data.augment.config import MosaicConfig
from detkit.data.loader import LoaderConfig
from detkit.experiment import Experiment, train
from detkit.heads.fcos import FCOSHeadConfig
from detkit.heads.yolox import YOLOXHeadConfig
from detkit.models.detector import DetectorConfig
from detkit.models.fcos import FCOSConfig
from detkit.models.yolox import YOLOXConfig
from detkit.necks import FPNConfig, LightPANConfig
from detkit.preprocess import PreprocessConfig
from detkit.training.config import EMAConfig, TrainingConfig
from detkit.training.distillation.config import DistillationConfig
from detkit.training.loggers import metrics_file
from detkit.training.optim.optimizer import SGDConfig
from detkit.training.optim.schedule import CosineConfig
from detkit.training.validation import EvaluationConfig

Make = Callable[..., Experiment]


PREPROCESS = PreprocessConfig(rule="letterbox", input_size=(64, 64))


def model(norm: str) -> DetectorConfig:
    """Return a tiny detector; with ``frozen`` its norms do not depend on the batch, which two processes divide differently."""
    if norm == "frozen":
        return FCOSConfig(
            preprocess=PREPROCESS,
            backbone=BackboneConfig(name="resnet18", weights=None, norm="frozen", levels=("c3", "c4", "c5")),
            neck=FPNConfig(out_channels=8, extra_levels="p6p7"),
            head=FCOSHeadConfig(norm=None, depth=1, prior=0.2),
        )
    return YOLOXConfig(
        preprocess=PREPROCESS,
        backbone=BackboneConfig(name="resnet18", weights=None, norm="train"),
        neck=LightPANConfig(out_channels=8),
        head=YOLOXHeadConfig(channels=8, depth=1, prior=0.2),
    )


@pytest.fixture
def make(toy_data: DataConfig, tmp_path: Path) -> Make:
    """Return a function that builds an experiment with a student, its teacher, and labeled and unlabeled images."""
    torch.manual_seed(1)
    random, folder = np.random.default_rng(0), tmp_path / "unlabeled"
    folder.mkdir()
    for number in range(4):
        Image.fromarray(random.integers(0, 255, (50, 70, 3), dtype=np.uint8)).save(folder / f"{number}.png")

    def build(output: str, batch_size: int = 2, norm: str = "train", **training: Any) -> Experiment:
        path = tmp_path / f"teacher_{norm}.safetensors"
        if not path.exists():
            torch.manual_seed(1)
            save_checkpoint(path, model(norm).build(2).state_dict(), make_header(model(norm).to_json(), ["green", "red"]))
        data = toy_data.replace(unlabeled=(SourceConfig(path=str(folder)),), labeled_repeats=1.5)
        return Experiment(
            name="tiny",
            model=model(norm),
            data=data,
            distillation=DistillationConfig(teacher=str(path), feature_weight=0.5),
            augmentation=AugmentationConfig(flip=0.5, mosaic=MosaicConfig(probability=0.5)),
            loader=LoaderConfig(batch_size=batch_size, workers=0),
            optimizer=SGDConfig(lr=0.002, lr_scaling="none"),
            schedule=CosineConfig(warmup_steps=2),
            training=TrainingConfig(**{"precision": "fp32", "log_every": 1, "steps": 4, "evaluations": 1, **training}),
            evaluation=EvaluationConfig(drawn_images=0),
            output=str(tmp_path / output),
            seed=3,
        )

    return build


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return bool(torch.equal(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (a != a and b != b)


@pytest.mark.slow
def test_a_distilled_run_saves_only_the_student(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    config = make("run", steps=2)
    result = train(config, device="cpu", progress=False)
    checkpoint = load_checkpoint(result.best)
    assert checkpoint.tensors.keys() == config.model.build(2).state_dict().keys()
    unlabeled = result.facts["data"]["unlabeled"]
    assert [(row["images"], row["boxes"]) for row in unlabeled] == [(4, 0)]
    assert "unlabeled: 4 images" in caplog.text
    assert "it knows 2 of the student's 2 classes" in caplog.text
    rows = (result.folder / "metrics.jsonl").read_text()
    assert all(f'"{name}"' in rows for name in ("distill_class", "distill_box", "distill_features", "objectness"))
    adapters = load_state(result.folder / "last.state")["inside"]["adapters"]
    weights = [value for value in adapters.values() if value.dim() == 4]
    assert weights  # in the detector's memory format, or DDP would copy the gradients
    assert all(weight.stride() == weight.to(memory_format=torch.channels_last).stride() for weight in weights)


@pytest.mark.slow
def test_an_interrupted_distilled_run_ends_like_an_uninterrupted_one(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ema = EMAConfig(decay=0.9, warmup_steps=3)
    whole = train(make("whole", ema=ema, accumulation_steps=2), device="cpu", progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(
            metrics_file.MetricsFile, "after_step", lambda self, step, progress: os.kill(os.getpid(), signal.SIGINT) if step == 2 else None
        )
        first = train(make("cut", ema=ema, accumulation_steps=2), device="cpu", progress=False)
    assert first.interrupted
    again = train(make("cut", ema=ema, accumulation_steps=2), device="cpu", progress=False, resume=first.folder)
    one, two = (load_state(result.folder / "last.state") for result in (whole, again))
    assert one["inside"]["adapters"]
    for key in ("step", "detector", "optimizer", "ema", "adapters", "keeper", "random"):
        assert same(one["inside"][key], two["inside"][key]), key


@pytest.mark.slow
def test_two_processes_distill_like_one(make: Make, tmp_path: Path) -> None:
    alone = train(make("alone", batch_size=4, norm="frozen", steps=3), device="cpu", progress=False)
    file = tmp_path / "two.json"
    file.write_text(make("two", batch_size=4, norm="frozen", steps=3).to_json())
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launcher, "-m", "detkit", "train", str(file), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = load_checkpoint(alone.folder / "last.safetensors"), load_checkpoint(tmp_path / "two" / "last.safetensors")
    for name, tensor in one.tensors.items():
        torch.testing.assert_close(two.tensors[name], tensor, rtol=0, atol=1e-5, msg=name)
    initial = model("frozen").build(2).state_dict()
    assert any(not torch.equal(initial[name], tensor) for name, tensor in one.tensors.items())
