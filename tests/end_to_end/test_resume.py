from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.checkpoint import load_checkpoint, load_state
from detkit.cli.main import main
from detkit.experiment import Experiment, train
from detkit.training import hooks
from detkit.training.config import EMAConfig
from detkit.training.loggers import metrics_file

Tiny = Callable[..., Experiment]


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return bool(torch.equal(a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (a != a and b != b)  # NaN on both sides


def interrupt_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send SIGINT to this process after ``step`` steps."""

    def after_step(self: hooks.Hook, current: int, progress: float) -> None:
        if current == step:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(metrics_file.MetricsFile, "after_step", after_step)


@pytest.mark.parametrize(("cut", "workers"), [(1, 1), pytest.param(4, 0, marks=pytest.mark.slow)])
def test_a_run_interrupted_within_an_epoch_ends_like_an_uninterrupted_one(
    tiny: Tiny, ema: EMAConfig, monkeypatch: pytest.MonkeyPatch, cut: int, workers: int
) -> None:
    whole = train(tiny("whole", workers, ema=ema), device="cpu", progress=False)
    with monkeypatch.context() as patch:
        interrupt_after(cut, patch)
        first = train(tiny("cut", workers, ema=ema), device="cpu", progress=False)
    assert (first.interrupted, first.reason, first.steps) == (True, "SIGINT", cut)
    torch.manual_seed(1234)
    again = train(tiny("cut", workers, ema=ema), device="cpu", resume=first.folder, progress=False)
    assert (again.steps, again.images_seen) == (whole.steps, whole.images_seen) == (6, 12)
    one, two = load_state(whole.folder / "last.state")["inside"], load_state(again.folder / "last.state")["inside"]
    for key in ("detector", "ema", "optimizer", "random", "keeper", "step", "evaluations"):
        assert same(one[key], two[key]), key
    best = [load_checkpoint(result.best) for result in (whole, again)]
    assert same(best[0].tensors, best[1].tensors)
    assert again.core_minutes > first.core_minutes


class InterruptValidation(hooks.Hook):
    """Sends SIGINT to this process after the first image of the first validation."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def evaluating(self, done: int, images: int) -> None:
        if len(self.calls) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        self.calls.append((done, images))


def test_a_run_interrupted_within_a_validation_repeats_it(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    whole = train(tiny("whole", steps=4), device="cpu", progress=False)
    hook = InterruptValidation()
    caplog.clear()
    first = train(tiny("cut", steps=4), device="cpu", progress=False, hooks=[hook])
    assert hook.calls == [(0, 2), (1, 2)]
    assert (first.interrupted, first.reason, first.steps, first.numbers) == (True, "SIGINT", 2, {})
    told = [message for message in caplog.messages if "validation on" in message or "SIGINT: stopping" in message]
    assert re.fullmatch(r"step 2: validation on 2 images, about 0:\d\d:\d\d", told[0])
    assert told[1:] == ["SIGINT: stopping after this step and saving the run; again to stop now"]
    again = train(tiny("cut", steps=4), device="cpu", resume=first.folder, progress=False)
    assert same(again.numbers, whole.numbers)
    for path in ("best.safetensors", "last.safetensors"):
        assert same(*(load_checkpoint(result.folder / path).tensors for result in (whole, again)))


def test_a_run_is_not_resumed_on_other_training_images(tiny: Tiny, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = tiny(steps=1, evaluations=1)
    folder = Path(config.data.train.path)
    shutil.copytree(folder, tmp_path / "data")
    config = config.replace(data=config.data.replace(train=config.data.train.replace(path=str(tmp_path / "data"))))
    run = train(config, device="cpu", progress=False)
    assert run.facts["wall_minutes"] > 0
    more = config.replace(training=config.training.replace(steps=2))
    image = next((tmp_path / "data").rglob("train_0.png"))
    image.write_bytes(image.read_bytes() + b"0")
    train(more, device="cpu", resume=run.folder, progress=False)
    assert any("training data changed since the run was saved: the content of image files" in message for message in caplog.messages)
    labels = next((tmp_path / "data" / "annotations").glob("*train*.json"))
    content = json.loads(labels.read_text())
    content["images"] = content["images"][:3]
    content["annotations"] = [row for row in content["annotations"] if row["image_id"] <= 3]
    labels.write_text(json.dumps(content))
    before = (run.folder / "last.state").read_bytes()
    with pytest.raises(ValueError, match="training data changed since the run was saved: 5 images became 3; restore the data, or start"):
        train(more, device="cpu", resume=run.folder, progress=False)
    assert (run.folder / "last.state").read_bytes() == before


def test_a_finished_run_continues_when_its_limit_is_raised(tiny: Tiny) -> None:
    first = train(tiny(steps=2, evaluations=1), device="cpu", progress=False)
    more = train(tiny(steps=3, evaluations=1), device="cpu", resume=first.folder, progress=False)
    assert more.steps == 3
    assert Experiment.from_json((more.folder / "config.json").read_text()).training.steps == 3


@pytest.mark.slow
@pytest.mark.parametrize("to_group", [False, True])
def test_the_command_saves_on_sigterm_and_resumes(tiny: Tiny, tmp_path: Path, to_group: bool, capsys: pytest.CaptureFixture[str]) -> None:
    config = tiny("cut", workers=1, steps=400, log_every=1)
    file = tmp_path / "tiny.json"
    file.write_text(config.to_json())
    command = [sys.executable, "-m", "detkit", "train", str(file), "--device", "cpu"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    metrics = tmp_path / "cut" / "metrics.jsonl"
    deadline = time.monotonic() + 240
    while not (metrics.exists() and metrics.read_text().count("\n") >= 2) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    (os.killpg if to_group else os.kill)(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 143, out
    assert f"resume it with: detkit train --resume {tmp_path / 'cut'}" in out
    steps = load_state(tmp_path / "cut" / "last.state")["inside"]["step"]
    assert 2 <= steps < 400
    assert main(["train", "--resume", str(tmp_path / "cut"), f"training.steps={steps + 1}", "--device", "cpu"]) == 0
    assert f"resuming after step {steps}" in capsys.readouterr().out
    assert load_state(tmp_path / "cut" / "last.state")["inside"]["step"] == steps + 1
