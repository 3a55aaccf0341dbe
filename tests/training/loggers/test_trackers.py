from __future__ import annotations

import importlib.machinery
import logging
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from detkit.config import ConfigError, apply_overrides
from detkit.experiment import Experiment, train
from detkit.training.folder import RunFolder
from detkit.training.hooks import Hooks, Record
from detkit.training.loggers.choice import attach_files, attach_report, attach_results, build_loggers, check_trackers

CONFIG = {"name": "x", "optimizer": {"lr": 0.1}}


class FakeRun:
    """A run of Weights & Biases that keeps what it is given."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options, self.id = options, options["id"]
        self.rows: list[dict[str, float]] = []
        self.axes: dict[str, str] = {}
        self.files: list[str] = []
        self.finished = False
        self.config = self
        self.values: dict[str, Any] = {}

    def update(self, values: dict[str, Any], allow_val_change: bool) -> None:
        self.values |= values

    def define_metric(self, name: str, step_metric: str) -> None:
        self.axes[name] = step_metric

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def log_artifact(self, artifact: FakeArtifact) -> None:
        self.files += artifact.files

    def finish(self) -> None:
        self.finished = True


class FakeArtifact:
    def __init__(self, name: str, type: str) -> None:
        self.name, self.files = name, list[str]()

    def add_file(self, path: str, name: str) -> None:
        assert Path(path).is_file()
        self.files.append(name)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """The runs of a fake of the package wandb."""
    opened: list[FakeRun] = []

    def init(**options: Any) -> FakeRun:
        opened.append(FakeRun(options))
        return opened[-1]

    module = ModuleType("wandb")
    module.__spec__ = importlib.machinery.ModuleSpec("wandb", None, origin="fake")
    module.init, module.Artifact = init, FakeArtifact  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "WANDB_ERROR_REPORTING"):
        monkeypatch.setenv(name, "")  # so that what our code sets is undone
        monkeypatch.delenv(name)
    return opened


def record(step: int, loss: float = 2.0) -> Record:
    return Record(step, 0.5, {"total": loss}, 0.1, 1.0, 4 * step, 0.5, 0.25, 0.0)


def hooks_of(folder: Path, config: dict[str, Any] = CONFIG) -> Hooks:
    folder.mkdir(exist_ok=True)
    return Hooks(build_loggers(RunFolder(folder), config, ("wandb",)))


def test_a_run_is_logged_offline_and_resumed_as_the_same(tmp_path: Path, runs: list[FakeRun], monkeypatch: pytest.MonkeyPatch) -> None:
    hooks = hooks_of(tmp_path / "run")
    hooks.start(0)
    hooks.record(record(5, float("nan")))
    hooks.evaluation(5, {"AP": 0.5, "AP50": float("nan")})
    hooks.close()
    hooks.start(0, 1)  # the second stage
    hooks.record(record(3))
    hooks.close()
    assert os.environ["WANDB_ERROR_REPORTING"] == "false"
    assert runs[0].options["mode"] == "offline"
    assert (runs[0].options["name"], runs[0].options["dir"]) == ("run", str(tmp_path / "run"))
    assert runs[0].values == CONFIG
    assert runs[0].rows[0] == {"step": 5, "run/lr": 0.1, "run/gradient_norm": 1.0, "run/core_minutes": 0.5, "run/seconds": 0.25}
    assert runs[0].rows[1] == {"step": 5, "validation/AP": 0.5}
    assert runs[1].rows[0]["stage_2/losses/total"] == 2.0
    assert runs[1].axes["stage_2/losses/total"] == "stage_2/step"
    assert all(run.finished for run in runs)
    monkeypatch.setenv("WANDB_MODE", "online")
    resumed = hooks_of(tmp_path / "run")
    resumed.start(5)
    assert (runs[2].options["mode"], runs[2].options["resume"]) == (None, "allow")
    assert len({run.id for run in runs}) == 1
    other = hooks_of(tmp_path / "other")
    other.start(0)
    assert runs[3].id != runs[0].id


def test_results_images_and_report_are_attached_at_the_end(tmp_path: Path, runs: list[FakeRun]) -> None:
    folder = RunFolder(tmp_path)
    folder.results.write_text("{}")
    attach_results(folder, ("wandb",))
    assert not runs  # nothing was logged, so that there is no run to attach to
    hooks = hooks_of(tmp_path)
    hooks.start(0)
    hooks.close()
    folder.images.mkdir()
    for path in (folder.path / "report.html", folder.images / "validation_1.jpg"):
        path.write_text("content")
    attach_results(folder, ("wandb", "wandb"))
    attach_report(folder, ("wandb",))
    attach_files(folder, ("wandb",), "report", [tmp_path / "missing.html"])
    assert [run.files for run in runs] == [[], ["results.json", "images/validation_1.jpg"], ["report.html"]]
    assert runs[1].finished


def test_an_error_of_a_tracker_is_one_warning_and_the_files_go_on(
    tmp_path: Path, runs: list[FakeRun], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(self: FakeRun, row: dict[str, float]) -> None:
        raise ConnectionError("no network,\nsays the package")

    monkeypatch.setattr(FakeRun, "log", fail)
    hooks = hooks_of(tmp_path)
    with caplog.at_level(logging.WARNING, "detkit"):
        hooks.start(0)
        hooks.record(record(5))
        hooks.record(record(10))
        hooks.evaluation(10, {"AP": 0.5})
        hooks.close()
    (message,) = caplog.messages
    assert message.startswith("warning: Weights & Biases failed, and logs nothing more of this run: no network, says the package; ")
    assert str(tmp_path / "metrics.jsonl") in message
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 4


def test_a_missing_package_is_reported_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "wandb", raising=False)
        patch.setattr(sys, "path", [str(tmp_path)])
        (tmp_path / "wandb").mkdir()  # a folder that an offline run leaves in the working directory is no package
        with pytest.raises(ImportError, match=r"wandb needs the package wandb, .* pip install 'detkit-vision\[wandb\]'"):
            check_trackers(("wandb",))
    with pytest.raises(ImportError, match="training.loggers=mlflow needs the package mlflow"):
        train(apply_overrides(Experiment(), ["training.loggers=mlflow", f"output={tmp_path / 'run'}"]))
    assert not (tmp_path / "run").exists()


def test_loggers_are_chosen_by_name() -> None:
    assert apply_overrides(Experiment(), ["training.loggers=wandb"]).training.loggers == ("wandb",)
    assert apply_overrides(Experiment(), ["training.loggers=wandb, mlflow"]).training.loggers == ("wandb", "mlflow")
    assert apply_overrides(Experiment(), ["training.loggers="]).training.loggers == ()
    with pytest.raises(ConfigError, match=r"training\.loggers.*wandb"):
        apply_overrides(Experiment(), ["training.loggers=tensorboard"])
