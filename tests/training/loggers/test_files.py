from __future__ import annotations

import csv
import json
import shutil
import threading
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from detkit.training.hooks import Hooks, Record
from detkit.training.loggers.event_files import TensorBoard
from detkit.training.loggers.metrics_file import MetricsFile


def test_rows_of_repeated_steps_are_deleted(tmp_path: Path) -> None:
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    for step in (5, 10, 15):
        hook.record(Record(step, step / 20, {"total": float("nan")}, 0.1, 1.0, 4 * step, 0.5, 0.1, 0.0))
        hook.evaluation(step, {"AP": 0.5})
    with hook.path.open("a") as handle:
        handle.write('{"step": 7, "cut in ha')
    hook.start(10)
    rows = [json.loads(line) for line in hook.path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [5, 5, 10, 10]
    assert rows[0]["losses"] == {"total": None}


def test_a_later_stage_keeps_the_rows_of_earlier_stages(tmp_path: Path) -> None:
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    hook.start(0)
    hook.evaluation(5, {"AP": 0.1})
    hook.start(0, 1)
    hook.evaluation(3, {"AP": 0.2})
    hook.start(2, 1)
    rows = [json.loads(line) for line in hook.path.read_text().splitlines()]
    assert rows == [{"step": 5, "evaluation": {"AP": 0.1}}]


def row(step: int) -> Record:
    return Record(step, step / 20, {"total": 2.0 * step}, 0.1, 1.0, 4 * step, 0.5, 0.25, 0.0)


def cells(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    with path.open(encoding="utf-8", newline="") as handle:
        reader = csv.DictReader(handle)
        return list(reader.fieldnames or ()), list(reader)


def test_the_csv_file_has_the_rows_of_the_json_lines(tmp_path: Path) -> None:
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    hook.start(0)
    hook.record(Record(5, 0.25, {"class": 1 / 3, "total": float("nan")}, 0.1, 1.0, 20, 0.5, 0.1, 0.0))
    hook.evaluation(5, {"AP": 0.1})
    hook.start(0, 1)
    hook.record(Record(5, 0.25, {"tête, 1": 2.0}, 0.1, 1.0, 40, 0.5, 0.1, 0.0))
    columns, rows = cells(tmp_path / "metrics.csv")
    first = ["stage", "step", "progress", "lr", "gradient_norm", "images_seen", "core_minutes", "seconds", "waiting"]
    assert columns == [*first, "losses/class", "losses/total", "validation/AP", "losses/tête, 1"]
    assert [(row["stage"], row["step"]) for row in rows] == [("0", "5"), ("0", "5"), ("1", "5")]
    assert (float(rows[0]["losses/class"]), rows[0]["losses/total"], rows[0]["validation/AP"]) == (1 / 3, "", "")
    assert (rows[1]["validation/AP"], rows[1]["lr"], rows[2]["losses/tête, 1"]) == ("0.1", "", "2.0")


def test_a_resumed_run_repairs_its_csv_file_and_keeps_its_columns(tmp_path: Path) -> None:
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    hook.start(0)
    for step in (5, 10, 15):
        hook.record(row(step))
        hook.evaluation(step, {"AP": 0.5})
    columns = cells(tmp_path / "metrics.csv")[0]
    with (tmp_path / "metrics.csv").open("a") as handle:
        handle.write("0,20,0.")  # a line of a run that was killed
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    hook.start(10)
    hook.record(row(15))
    assert cells(tmp_path / "metrics.csv")[0] == columns
    assert [row["step"] for row in cells(tmp_path / "metrics.csv")[1]] == ["5", "5", "10", "10", "15"]
    (tmp_path / "metrics.csv").unlink()  # by the user, or a run of an earlier version
    hook.evaluation(15, {"AP": 0.6})
    assert [row["validation/AP"] for row in cells(tmp_path / "metrics.csv")[1]] == ["", "0.5", "", "0.5", "", "0.6"]


def test_tensorboard_reads_the_numbers_at_once_and_drops_repeated_steps(tmp_path: Path) -> None:
    hook = TensorBoard(tmp_path / "tensorboard")
    hook.start(0)
    for step in (5, 10, 15):
        hook.record(row(step))
    hook.evaluation(15, {"AP": 0.5})
    hook.start(10)  # as a resumed run
    hook.record(row(15))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(event.step, event.value) for event in events.Scalars("losses/total")] == [(5, 10.0), (10, 20.0), (15, 30.0)]
    assert [event.step for event in events.Scalars("run/seconds")] == [5, 10, 15]
    assert events.Tags()["scalars"].count("validation/AP") == 1
    hook.close()


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("recreated", [False, True])
def test_a_removed_folder_is_one_error_that_names_it(
    tmp_path: Path, recreated: bool, recorded: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, threads = tmp_path / "run", threading.active_count()
    folder.mkdir()
    hooks = Hooks((TensorBoard(folder / "tensorboard"), MetricsFile(folder / "metrics.jsonl")))
    hooks.start(0)
    if recorded:
        hooks.record(row(5))
    shutil.rmtree(folder)
    if recreated:
        folder.mkdir()  # as a checkpoint written afterwards does
    with pytest.raises(FileNotFoundError, match=r"/run: the folder of the run was removed or emptied during the training"):
        hooks.record(row(10))
    hooks.close()
    assert threading.active_count() == threads
    assert capfd.readouterr().err == ""
