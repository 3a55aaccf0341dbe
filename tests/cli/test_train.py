from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import detkit.experiment
from detkit.cli.main import main
from detkit.data import DataConfig, SourceConfig, load_data
from detkit.data.synthetic import make_sample
from detkit.experiment import Experiment


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Experiment]:
    """The configs that the command would train."""
    configs: list[Experiment] = []

    def train(config: Experiment, **_: Any) -> SimpleNamespace:
        configs.append(config)
        return SimpleNamespace(interrupted=False)

    monkeypatch.setattr(detkit.experiment, "train", train)
    return configs


def config_file(folder: Path) -> str:
    file = folder / "config.json"
    file.write_text(Experiment(name="first", data=DataConfig(val=SourceConfig(path="elsewhere"))).to_json())
    return str(file)


def test_a_fraction_of_the_images_is_kept_for_validation(tmp_path: Path, started: list[Experiment]) -> None:
    make_sample(tmp_path / "sample", 8, "coco", short_side=64, val_images=2)
    assert main(["train", config_file(tmp_path), f"data={tmp_path / 'sample'}", "--val-fraction", "0.4"]) == 0
    assert started[0].data.val_fraction == 0.4
    train, val = load_data(started[0].data)
    assert len(train) + len(val) == 8  # the part called val is not touched
    assert len(val) >= 1
    assert not set(train.records.paths) & set(val.records.paths)


def test_flags_set_keys_of_the_config(tmp_path: Path, started: list[Experiment]) -> None:
    assert main(["train", config_file(tmp_path), "--precision", "bf16", "--output", "here"]) == 0
    assert (started[0].training.precision, started[0].output, started[0].data.val_fraction) == ("bf16", "here", None)


def test_resume_without_a_run_takes_no_other_word(tmp_path: Path, started: list[Experiment], monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "first-1"
    run.mkdir(parents=True)
    (run / "last.state").touch()
    Path(config_file(tmp_path)).rename(run / "config.json")
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--resume", "training.steps=8"]) == 0
    assert main(["train", "--resume", "runs/first-1", "training.steps=9"]) == 0
    assert [config.training.steps for config in started] == [8, 9]


@pytest.mark.parametrize(
    ("fraction", "message"), [("1.5", "expected less than 1, got 1.5"), ("half", "expected a number or none, got 'half'")]
)
def test_a_fraction_that_is_none(fraction: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", config_file(tmp_path), "--val-fraction", fraction]) == 2
    assert message in capsys.readouterr().err


def test_a_fraction_beside_validation_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_sample(tmp_path / "sample", 2, "coco", short_side=64, val_images=1)
    words = ["train", config_file(tmp_path), f"data.train={tmp_path / 'sample'}", "--val-fraction", "0.1"]
    assert main(words) == 2
    assert "expected one of them: add data.val=none to split the training images" in capsys.readouterr().err
