"""The trackers with their real packages, in a process that refuses connections to other machines."""

from __future__ import annotations

import os
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import socket, sys
from pathlib import Path

def refuse(*values, **options):
    raise ConnectionError("a connection to another machine was opened")

def connect(self, address):
    if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
        refuse()
    return original(self, address)

original, socket.socket.connect, socket.getaddrinfo = socket.socket.connect, connect, refuse

from detkit.training.folder import RunFolder
from detkit.training.hooks import Hooks, Record
from detkit.training.loggers.choice import attach_results, build_loggers

name, folder = sys.argv[1], RunFolder(Path(sys.argv[2]))
config = {"name": "x", "optimizer": {"lr": 0.1, "kind": "sgd"}, "output": "", "classes": ["a", "b"]}
for step in (5, 10):  # a run and its resumption
    hooks = Hooks(build_loggers(folder, config, (name,)))
    hooks.start(step - 5)
    hooks.record(Record(step, step / 10, {"total": 1 / step}, 0.1, 1.0, 4 * step, 0.5, 0.25, 0.0))
    hooks.evaluation(step, {"AP": step / 100, "AP/Tür (50 %)": 0.5})
    hooks.close()
    assert not hooks.hooks[-1].failed
folder.results.write_text("{}")
folder.images.mkdir()
(folder.images / "validation_1.jpg").write_text("image")
attach_results(folder, (name,))
"""


def train(name: str, folder: Path) -> str:
    """Run the program in an empty working directory, and return its output, which should have no warning."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("WANDB_", "MLFLOW_", "CI", "PYTEST_"))}
    working = folder.parent.parent / "working"
    working.mkdir()
    folder.mkdir(parents=True)
    command = [sys.executable, "-c", PROGRAM, name, str(folder)]
    done = subprocess.run(command, cwd=working, env=environment, text=True, capture_output=True, timeout=600, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert not list(working.iterdir())
    return done.stdout + done.stderr


def log_records(path: Path) -> Iterator[bytes]:
    """The records of a file of Weights & Biases, a log of LevelDB after a header of seven bytes."""
    data, position, record = path.read_bytes(), 7, b""
    while position + 7 <= len(data):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        record += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # full, or the last part
            yield record
            record = b""


@pytest.mark.slow
def test_weights_and_biases_writes_its_files_offline(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    folder = tmp_path / "runs ü" / "detector-1"
    assert "failed" not in train("wandb", folder)
    from wandb.proto.wandb_internal_pb2 import Record

    records = [Record.FromString(data) for path in sorted(folder.glob("wandb/offline-*/*.wandb")) for data in log_records(path)]
    rows = [
        {item.key or "/".join(item.nested_key): float(item.value_json) for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    assert [(row["step"], row["validation/AP"]) for row in rows if "validation/AP" in row] == [(5, 0.05), (10, 0.1)]
    assert [(row["step"], row["losses/total"]) for row in rows if "losses/total" in row] == [(5, 0.2), (10, 0.1)]
    runs = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert len({run.run_id for run in runs}) == 1
    assert (runs[0].display_name, runs[0].project) == ("detector-1", "detkit")
    updates = [item for record in records for group in (record.run.config, record.config) for item in group.update]
    assert {"name", "optimizer"} <= {item.key or item.nested_key[0] for item in updates}
    (artifact,) = [record.request.log_artifact.artifact for record in records if record.request.HasField("log_artifact")] or [
        record.artifact for record in records if record.WhichOneof("record_type") == "artifact"
    ]
    assert {entry.path for entry in artifact.manifest.contents} == {"results.json", "images/validation_1.jpg"}


@pytest.mark.slow
def test_mlflow_writes_to_a_database_next_to_the_runs(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    folder = tmp_path / "runs with 100 % & ü" / "detector-1"
    assert "failed" not in train("mlflow", folder)
    with sqlite3.connect(folder.parent / "mlflow.db") as database:
        (run,) = database.execute("select run_uuid, name, status from runs").fetchall()
        parameters = dict(database.execute("select key, value from params").fetchall())
        history = database.execute("select key, step, value from metrics order by step").fetchall()
    assert run[1:] == ("detector-1", "FINISHED")
    assert parameters == {"name": "x", "optimizer.lr": "0.1", "optimizer.kind": "sgd", "classes": "['a', 'b']"}
    assert [row[1:] for row in history if row[0] == "validation/AP"] == [(5, 0.05), (10, 0.1)]
    assert [row[1:] for row in history if row[0] == "losses/total"] == [(5, 0.2), (10, 0.1)]
    stored = folder.parent / "mlartifacts" / run[0] / "artifacts"
    assert {path.relative_to(stored).as_posix() for path in stored.rglob("*.*")} == {"results.json", "images/validation_1.jpg"}
