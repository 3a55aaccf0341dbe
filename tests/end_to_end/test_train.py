from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import detkit
from detkit.checkpoint import load_checkpoint, read_header
from detkit.cli.main import main
from detkit.experiment import Experiment, train
from detkit.heads.queries.detr import DETRHeadConfig
from detkit.models.detr import DETRConfig
from detkit.training.config import EMAConfig
from detkit.training.optim.optimizer import AdamWConfig

Tiny = Callable[..., Experiment]


def test_a_run_writes_all_its_files(tiny: Tiny, ema: EMAConfig) -> None:
    config = tiny(ema=ema)
    result = train(config, device="cpu", progress=False)
    folder = Path(config.output or "")
    written = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    expected = {"config.json", "log.txt", "metrics.jsonl", "best.safetensors", "last.safetensors", "last.state", "results.json"}
    images = {"train_batch_1.jpg", "train_batch_2.jpg", "validation_1_step_000003.jpg", "validation_1_step_000006.jpg"}
    assert expected | {f"images/{name}" for name in images} <= written
    assert any(name.startswith("tensorboard/") for name in written)
    assert Experiment.from_json((folder / "config.json").read_text()) == config
    results = json.loads((folder / "results.json").read_text())
    assert results["steps"] == 6
    assert results["images_seen"] == 12
    assert results["core_minutes"] > 0
    assert results["seed"] == 3
    assert results["versions"]["torch"] == torch.__version__
    assert set(results["validation"]["last"]) >= {"AP", "AP50", "AR100"}
    assert Experiment.from_json(json.dumps(results["config"])) == config
    log = (folder / "log.txt").read_text()
    assert "0 red " in log
    assert "learning rate 0.005" in log
    assert result.reason == "finished"
    assert result.best == folder / "best.safetensors"


@pytest.mark.parametrize(("steps", "min_ap50"), [(3, 0.0), pytest.param(60, 0.5, marks=pytest.mark.slow)])
def test_the_checkpoint_can_be_loaded_alone_and_the_evaluation_agrees(tiny: Tiny, steps: int, min_ap50: float) -> None:
    config = tiny(steps=steps, evaluations=1).replace(optimizer=AdamWConfig(lr=1e-3, lr_scaling="none"))
    result = train(config, device="cpu", progress=False)
    header = read_header(result.best)
    assert header["class_names"] == ["red", "green"]
    assert Experiment.from_json(header["experiment"]) == config
    predictor = detkit.load(result.best, "cpu", "fp32")
    assert predictor.class_names == ("red", "green")
    numbers = detkit.evaluate(result.best, device="cpu")
    assert result.numbers["AP50"] >= min_ap50
    assert numbers["AP"] == pytest.approx(result.numbers["AP"], abs=1e-9)


def test_fine_tuning_starts_from_a_checkpoint(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    first = train(tiny("first", steps=2), device="cpu", progress=False)
    caplog.set_level("INFO", "detkit")
    config = tiny("second", steps=1).replace(weights=str(first.best), optimizer=AdamWConfig(lr=1e-12))
    second = train(config, device="cpu", progress=False)
    assert "copied:" in caplog.text
    assert "classes: 2 (red, green)" in caplog.text
    one, two = load_checkpoint(first.best).tensors, load_checkpoint(second.last_checkpoint).tensors
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-6)


def test_the_command_trains_from_a_file(tiny: Tiny, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tiny.json"
    file.write_text(tiny().to_json())
    code = main(["train", str(file), "training.steps=1", f"output={tmp_path / 'cli'}", "--device", "cpu"])
    out = capfd.readouterr().out
    assert code == 0
    assert "classes (label, name, id in the data, training boxes):" in out
    assert "finished after 1 steps, 2 images" in out
    assert (tmp_path / "cli" / "last.safetensors").is_file()


def test_a_detr_on_few_images_is_trained_with_a_warning(tiny: Tiny, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    head = DETRHeadConfig(num_queries=5, channels=32, attention_heads=4, encoder_layers=1, decoder_layers=1, hidden=32)
    base = tiny(steps=1)
    model = DETRConfig(preprocess=base.model.preprocess, backbone=base.model.backbone.replace(levels=("c4",)), head=head)
    file = tmp_path / "detr.json"
    file.write_text(base.replace(model=model).to_json())
    code = main(["train", str(file), f"output={tmp_path / 'detr'}", "--device", "cpu"])
    output = "".join(capfd.readouterr())
    assert "does not learn well: 5 training images are few for DETR" in " ".join(output.split())
    assert code == 0
    assert (tmp_path / "detr" / "last.safetensors").is_file()


@pytest.mark.slow
def test_runs_with_equal_seeds_are_equal_and_others_differ(tiny: Tiny) -> None:
    one = train(tiny("one", steps=2), device="cpu", progress=False)
    two = train(tiny("two", steps=2), device="cpu", progress=False)
    three = train(tiny("three", steps=2).replace(seed=4), device="cpu", progress=False)
    a, b, c = (load_checkpoint(result.last_checkpoint).tensors for result in (one, two, three))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not all(torch.equal(a[name], c[name]) for name in a)


def test_two_stages_run_in_sequence(tiny: Tiny) -> None:
    from detkit.experiment import GradientStageConfig

    stages = (GradientStageConfig(name="head", frozen=("neck",)), GradientStageConfig(name="all"))
    config = tiny(steps=1, evaluations=1).replace(stages=stages)
    result = train(config, device="cpu", progress=False)
    assert result.images_seen == 4
    assert "stage 2 of 2: all" in (result.folder / "log.txt").read_text()
