"""Error messages when a training cannot start, or must stop."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from detkit.backbones import BackboneConfig
from detkit.checkpoint import load_state, save_state
from detkit.config import ConfigError
from detkit.data import DataConfig, DetectionData, ImageRecord, SourceConfig
from detkit.data.writers import image_folder, write_labels
from detkit.experiment import Experiment, train
from detkit.heads.region.classifier import RegionConfig
from detkit.heads.region.layers import TwoFCConfig
from detkit.heads.rpn import RPNConfig
from detkit.models.faster_rcnn import FasterRCNN, FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig
from detkit.structures import Targets
from detkit.training.config import EMAConfig, TrainingConfig
from detkit.training.errors import NotFiniteError

Make = Callable[..., Experiment]


def write(folder: Path, names: list[str], boxes: int = 1, crowd: bool = False) -> DataConfig:
    for split in ("train", "val"):
        images = image_folder(folder, "coco", split)
        images.mkdir(parents=True)
        records = []
        for number in range(2):
            path = images / f"{split}_{number}.png"
            Image.fromarray(np.full((64, 64, 3), 40 * number + 9 * len(split), np.uint8)).save(path)
            rows = torch.tensor([[8.0, 8.0, 40.0, 40.0]] * boxes).reshape(-1, 4)
            targets = Targets.of(rows, torch.zeros(boxes, dtype=torch.int64), torch.full((boxes,), crowd))
            records.append(ImageRecord(path, number + 1, (64, 64), targets))
        write_labels(DetectionData.of("toy", names, records), folder, "coco", split)
    source = SourceConfig(path=str(folder), split="train")
    return DataConfig(train=source, val=source.replace(split="val"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    return write(tmp_path_factory.mktemp("data") / "data", ["cat"])


@pytest.fixture
def make(tmp_path: Path, data: DataConfig) -> Make:
    return maker(tmp_path, data)


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory, data: DataConfig) -> Path:
    folder = tmp_path_factory.mktemp("first")
    run(maker(folder, data)())
    return folder / "run"


@pytest.fixture
def finished(first_run: Path, tmp_path: Path) -> Path:
    """Return a copy of the folder of a finished run, to be modified."""
    return shutil.copytree(first_run, tmp_path / "finished")


def maker(folder: Path, data: DataConfig) -> Make:
    model = FasterRCNNConfig(
        preprocess=PreprocessConfig(short_side=64, long_side=64),
        backbone=BackboneConfig(name="shufflenet_v2_x0_5", weights=None, norm="frozen"),
        neck=FPNConfig(out_channels=8),
        rpn=RPNConfig(train_pre_nms_top_k=20, train_max_proposals=20, pre_nms_top_k=20, max_proposals=20, samples_per_image=16),
        region=RegionConfig(head=TwoFCConfig(hidden=8), samples_per_image=8),
    )

    def build(output: str = "run", **options: object) -> Experiment:
        training = TrainingConfig(steps=1, evaluations=1, precision="fp32")
        base = Experiment(name="toy", model=model, data=data, training=training, output=str(folder / output))
        loader = base.loader.replace(workers=0, batch_size=2)
        return base.replace(**{"loader": loader, "evaluation": base.evaluation.replace(drawn_images=0), **options})

    return build


def run(config: Experiment, **options: Any) -> object:
    return train(config, device="cpu", progress=False, **options)


def test_data_without_a_single_object(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no labeled object in 2 images; expected at least one"):
        run(make(data=write(tmp_path / "empty", ["cat"], boxes=0)))
    with pytest.raises(ValueError, match="expected at least one object that is not a crowd, got none in 2 images; check the labels"):
        run(make(data=write(tmp_path / "crowds", ["cat"], crowd=True)))


def test_validation_data_without_an_object(make: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = write(tmp_path / "seen", ["cat"])
    run(make(data=data.replace(val=write(tmp_path / "crowds", ["cat"], crowd=True).val)))
    assert "no metric can be measured on it" in caplog.text
    assert "step 1: AP - (best - at step 1)" in caplog.text
    assert "AP -, AP50 -" in caplog.text


def test_missing_data_and_weights_are_named_in_one_line(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    data = DataConfig(train=SourceConfig(path="data/nowhere", fetch_command="python datasets/fetch_nowhere.py data/nowhere"))
    model = make().model.replace(backbone=BackboneConfig(name="resnet18"))
    with pytest.raises(FileNotFoundError) as caught:
        run(make(data=data, model=model))
    message = str(caught.value)
    assert "get it with: python datasets/fetch_nowhere.py data/nowhere" in message
    assert "detkit models download" in message
    assert "--smoke" in message
    assert "\n" not in message


def test_weights_of_an_unknown_name(make: Make) -> None:
    with pytest.raises(FileNotFoundError, match=r"fasterrcnn_resnet50_fpm.*did you mean 'fasterrcnn_resnet50_fpn'"):
        run(make(weights="fasterrcnn_resnet50_fpm"))


def test_weights_of_another_shape(make: Make, finished: Path) -> None:
    wider = make().model.replace(neck=FPNConfig(out_channels=16))
    with pytest.raises(ValueError, match=r"weights: .*: expected shape .*, got .*; the models differ in more than their classes"):
        run(make("second", model=wider, weights=str(finished / "best.safetensors")))


def test_a_batch_too_small_for_its_norms(make: Make) -> None:
    base = make()
    backbone = base.model.backbone.replace(norm="train", frozen_stages=0)
    model = base.model.replace(preprocess=PreprocessConfig(short_side=20, long_side=30), backbone=backbone)
    message = r"cannot be trained on one value per channel: .* batch of 1 image \(\d+x\d+\) .*\(loader.batch_size\).*norm=frozen"
    with pytest.raises(ValueError, match=message):
        run(make(model=model, loader=base.loader.replace(batch_size=1)))
    run(make("second", model=model, loader=base.loader.replace(batch_size=2)))


def test_everything_frozen(make: Make) -> None:
    from detkit.experiment import GradientStageConfig

    frozen = GradientStageConfig(frozen=("neck", "rpn", "region"))
    with pytest.raises(ValueError, match="every parameter is frozen, so there is nothing to train"):
        run(make(stages=(frozen,)))
    with pytest.raises(ValueError, match="stage gradient: frozen: no parameter name starts with 'nek'"):
        run(make("again", stages=(GradientStageConfig(frozen=("nek",)),)))


def test_an_unknown_metric(make: Make, tmp_path: Path) -> None:
    training = make().training.replace(best_metric="AR_100")
    with pytest.raises(ValueError, match=r"training.best_metric: unknown metric 'AR_100': did you mean 'AR100'"):
        run(make(training=training))
    assert not list(tmp_path.rglob("last.state"))


def test_a_folder_that_holds_a_run(make: Make, finished: Path) -> None:
    with pytest.raises(ValueError, match=r"already holds a run: choose another --output, or resume this run with --resume"):
        run(make("finished"))


def test_resuming_nothing(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from detkit.training.folder import find_run

    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"resume: no run under runs/ has a last.state; .*start one with detkit train CONFIG"):
        find_run()
    with pytest.raises(FileNotFoundError, match=r"resume elsewhere: no run with a last.state found there"):
        find_run("elsewhere")


def test_resuming_with_changed_settings(make: Make, finished: Path) -> None:
    changed = make(optimizer=make().optimizer.replace(lr=0.5))
    with pytest.raises(
        ConfigError, match=r"continues exactly, so these cannot change: optimizer.lr = 0.5 \(the run has 0.02\); remove them"
    ):
        run(changed, resume=finished)


def test_resuming_with_other_classes(make: Make, finished: Path) -> None:
    state = load_state(finished / "last.state")
    save_state(finished / "last.state", {**state, "class_names": ["dog"]})
    with pytest.raises(
        ValueError, match=r"expected the run's classes \['dog'\], got \['cat'\] from the data; start a new run with weights="
    ):
        run(make(), resume=finished)


def test_resuming_a_state_of_another_version(make: Make, finished: Path) -> None:
    save_state(finished / "last.state", {**load_state(finished / "last.state"), "format": 99, "detkit": "9.1"})
    with pytest.raises(
        ValueError, match=r"expected a state of format 1, got 99, written by detkit 9.1; resume with that version of detkit, or"
    ):
        run(make(), resume=finished)


def test_resuming_a_run_with_an_ema_without_one(make: Make, finished: Path) -> None:
    state = load_state(finished / "last.state")
    state["inside"]["ema"] = {"updates": 1, "model": {}}
    save_state(finished / "last.state", state)
    with pytest.raises(ValueError, match="training.ema: the run to resume was started with an EMA; keep this setting"):
        run(make(), resume=finished)


def test_an_ema_cannot_be_added_on_resume(make: Make, finished: Path) -> None:
    with pytest.raises(ConfigError, match="these cannot change: training.ema"):
        run(make(training=make().training.replace(ema=EMAConfig())), resume=finished)


def test_a_loss_that_is_not_finite(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FasterRCNN.loss

    def broken(self: FasterRCNN, *given: Any) -> dict[str, torch.Tensor]:
        losses = original(self, *given)
        return {**losses, "rpn_box": losses["rpn_box"] * float("inf")}

    monkeypatch.setattr(FasterRCNN, "loss", broken)
    with pytest.raises(NotFiniteError, match=r"step 0: not finite: rpn_box = (inf|nan); images: .*train_\d.png, .*train_\d.png; learning"):
        run(make())
    assert (tmp_path / "run" / "not_finite.json").is_file()


def test_a_device_that_is_not_available(make: Make) -> None:
    with pytest.raises(ValueError, match=r"device 'cuda:7': this machine has \d CUDA devices; use --device cpu or auto"):
        train(make(), device="cuda:7", progress=False)


def test_an_image_damaged_after_the_labels_were_read(make: Make, tmp_path: Path) -> None:
    config = make(data=write(tmp_path / "broken", ["cat"]))
    for path in (tmp_path / "broken").rglob("train_*.png"):
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises((RuntimeError, ValueError), match=r"train_\d.png"):
        run(config)


def test_a_folder_with_other_files_is_not_mixed_with_a_run(make: Make, tmp_path: Path) -> None:
    output = tmp_path / "mine"
    output.mkdir()
    for name in ("results.json", "best.safetensors"):
        (output / name).write_text("mine")
    with pytest.raises(
        ValueError, match="mine: expected a new or empty folder for the run, .* it has best.safetensors, results.json; choose"
    ):
        train(make(output=str(output)), device="cpu", progress=False)
    assert {path.name: path.read_text() for path in output.iterdir()} == {"results.json": "mine", "best.safetensors": "mine"}


def test_a_run_in_use_is_not_resumed(first_run: Path) -> None:
    from detkit.checkpoint.folder_lock import FolderLock

    before = {path.name: path.stat().st_mtime_ns for path in first_run.iterdir()}
    with FolderLock(first_run), pytest.raises(ValueError, match="in use by process .*; wait until it has ended, or choose another folder"):
        train(first_run / "config.json", device="cpu", progress=False, resume=first_run)
    assert {path.name: path.stat().st_mtime_ns for path in first_run.iterdir()} == before
