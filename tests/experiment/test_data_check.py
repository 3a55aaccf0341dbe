"""A training checks its data first: errors stop it, warnings are logged once, the report is kept."""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from detkit.cli.main import main
from detkit.data import DataConfig, DetectionData, ImageRecord, ReadIssue, SourceConfig, make_sample
from detkit.data.checks.report import CheckReport
from detkit.experiment import Experiment
from detkit.experiment.build import RunImages
from detkit.experiment.data_check import DataCheckError, check_before_training, run_report
from detkit.models.detr import DETRConfig
from detkit.models.retinanet import RetinaNetConfig
from detkit.structures import Targets
from detkit.training.process.distributed import Processes


@dataclass(frozen=True)
class OtherProcess(Processes):
    """A process that is not the first of two; ``sent`` is what the first one broadcasts."""

    rank: int = 1
    world: int = 2
    sent: list[str] = field(default_factory=list)

    def broadcast(self, value: Any) -> Any:
        assert value == []
        return self.sent


def data(folder: str, images: int = 12, objects: int = 1) -> DetectionData:
    boxes = torch.tensor([[10.0, 10, 60, 70]]).expand(objects, 4) + 20 * torch.arange(objects)[:, None]
    targets = Targets.of(boxes, torch.zeros(objects, dtype=torch.int64))
    records = [ImageRecord(Path(f"/{folder}/{index}.jpg"), index, (480, 640), targets) for index in range(images)]
    return DetectionData.of(folder, ["cat"], records)


def leaking() -> RunImages:
    shared = [*data("train").records][:2]
    return RunImages(data("train"), DetectionData.of("val", ["cat"], [*shared, *data("val").records]))


def experiment(**values: Any) -> Experiment:
    config = Experiment(data=DataConfig(train=SourceConfig(path="my_data")), model=RetinaNetConfig(), weights="start.safetensors")
    return config.replace(data=config.data.replace(**values))


def test_an_error_stops_the_run_with_a_way_out(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataCheckError) as caught:
        check_before_training(experiment(), leaking(), Processes())
    (line,) = caught.value.lines
    assert line.startswith(
        "train: training images that are also used to measure: 2 (such as /train/0.jpg = val: /train/0.jpg: the same file;"
    )
    assert caught.value.advice == (
        "1 error in the data, so the training did not start: mend them (detkit data check my_data shows all), or train anyway with "
        "data.check=warn"
    )
    assert line in str(caught.value)
    assert caplog.messages == []
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_with_warn_the_error_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    report = check_before_training(experiment(check="warn"), leaking(), Processes())
    assert report is not None
    assert report.counts == {"error": 1, "warning": 0, "note": 0}
    (message,) = caplog.messages
    assert message.startswith("warning: train: training images that are also used to measure: 2")


def test_off_checks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert check_before_training(experiment(check="off"), leaking(), Processes()) is None
    assert caplog.messages == []


def test_warnings_are_logged_once_and_notes_are_not(caplog: pytest.LogCaptureFixture) -> None:
    train, val = data("train"), data("val")
    train.report.add(ReadIssue.UNKNOWN_CLASS, "a.jpg", 3)
    train.report.add(ReadIssue.CLIPPED, "a.jpg", 3)
    with caplog.at_level(logging.INFO):
        report = check_before_training(experiment(), RunImages(train, val), Processes())
    assert report is not None
    assert report.counts == {"error": 0, "warning": 1, "note": 1}
    (message,) = caplog.messages
    assert message.startswith("warning: train: boxes skipped because the data does not define their class: 3 (such as a.jpg: 3 times)")


def test_only_the_first_process_checks(caplog: pytest.LogCaptureFixture) -> None:
    assert check_before_training(experiment(), leaking(), OtherProcess()) is None
    assert caplog.messages == []
    with pytest.raises(DataCheckError, match="a leak"):
        check_before_training(experiment(), leaking(), OtherProcess(sent=["a leak"]))


def test_copies_are_a_warning_where_the_division_is_random() -> None:
    images = leaking()
    divided = RunImages(images.train, replace(images.val, report=images.train.report))
    (finding,) = run_report(experiment(), divided).findings
    assert (finding.rule.name, finding.rule.severity.value, finding.count) == ("divided_copy", "warning", 2)


def test_unlabeled_images_that_cannot_be_read() -> None:
    unlabeled = data("unlabeled")
    unlabeled.report.add(ReadIssue.UNREADABLE_IMAGE, "a.jpg")
    (finding,) = run_report(experiment(), RunImages(data("train"), data("val"), (unlabeled,))).findings
    assert (finding.rule.name, finding.part) == ("unreadable_image", "unlabeled data 1")


def test_limits_of_the_model() -> None:
    train = data("train", objects=7)
    few = RetinaNetConfig()
    few = few.replace(head=few.head.replace(postprocess=few.head.postprocess.replace(max_detections=6)))
    images = RunImages(train, data("val"))
    (finding,) = run_report(experiment().replace(model=few), images).findings
    assert (finding.rule.name, finding.count) == ("too_many_objects", 12)
    config = experiment().replace(model=DETRConfig())
    assert run_report(config, images).findings == ()
    (finding,) = run_report(config.replace(weights=None), images).findings
    assert finding.rule.name == "unsuited_data"
    assert "are few for DETR" in finding.line()


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    make_sample(tmp_path / "data", 4, "yolo", short_side=64, val_images=2)
    return tmp_path / "data"


STEPS = ("quickstart", "training.steps=1", "training.evaluations=1", "loader.workers=0", "loader.batch_size=2")


def test_the_run_keeps_the_report_and_a_resumed_run_does_not_check(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *STEPS, f"data={small}", "output=run", "--device", "cpu"]) == 0
    assert CheckReport.read("run/data_check.json").statistics["train"]["images"] == 4
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if "warning" in line]
    assert len(lines) == len(set(lines))
    Path("run/data_check.json").unlink()
    assert main(["train", "--resume", "run", "training.steps=2", "--device", "cpu"]) == 0
    assert not Path("run/data_check.json").exists()


def test_the_command_prints_each_error_on_a_line_and_makes_no_folder(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = sorted((small / "images" / "train").iterdir())[0]
    copy = small / "images" / "val" / f"copy{image.suffix}"
    copy.write_bytes(image.read_bytes())
    (small / "labels" / "val" / "copy.txt").write_text((small / "labels" / "train" / f"{image.stem}.txt").read_text())
    assert main(["train", *STEPS, f"data={small}", "output=run", "--device", "cpu"]) == 2
    out, err = capsys.readouterr()
    (line,) = [line for line in out.splitlines() if line.startswith("error: ")]
    assert f"{image.name} = val: copy{image.suffix}: the same bytes" in line
    assert err.startswith("detkit: error: 1 error in the data, so the training did not start")
    assert not Path("run").exists()
