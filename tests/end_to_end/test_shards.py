"""Training from shards and from S3: the losses, weights and metrics of a training on the files themselves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from object_store import S3, s3_server

import detkit
from detkit.checkpoint import load_state
from detkit.curation.parts import read_splits
from detkit.data import DataConfig, SourceConfig
from detkit.data.shards.writer import write_shards
from detkit.data.storage import door
from detkit.experiment import Experiment, train
from detkit.experiment.results import TrainResult
from detkit.training.hooks import Hook
from detkit.training.process.copies import fetch_run

pytest.importorskip("pyarrow")
Tiny = Callable[..., Experiment]


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with s3_server() as store:
        yield store


@pytest.fixture(scope="module")
def shards(toy_data: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sharded") / "shards"
    write_shards(read_splits(SourceConfig(path=toy_data.train.path)), folder, 0.03)
    assert len(list(folder.glob("train-*.tar"))) > 1  # so that a batch has images of several shards
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("DETKIT_STORAGE_CACHE", str(folder))
    return folder


def on(config: Experiment, path: str | Path) -> Experiment:
    source = SourceConfig(path=str(path), split="train")
    return config.replace(data=DataConfig(train=source, val=source.replace(split="val")))


def losses_of(lines: bytes) -> list[dict[str, Any]]:
    rows = [{key: value for key, value in json.loads(line).items() if "loss" in key} for line in lines.splitlines()]
    assert any(rows)
    return rows


def losses(result: TrainResult) -> list[dict[str, Any]]:
    return losses_of((result.folder / "metrics.jsonl").read_bytes())


def assert_same_run(one: TrainResult, other: TrainResult) -> None:
    assert losses(one) == losses(other)
    assert repr(one.numbers) == repr(other.numbers)  # NaN included
    first, second = (load_state(result.folder / "last.state")["inside"]["detector"] for result in (one, other))
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=0, atol=0)


class Interrupt(Hook):
    """Sends SIGINT to this process after the second step."""

    def after_step(self, step: int, progress: float) -> None:
        del progress
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.slow
def test_losses_are_equal_bit_for_bit_from_files_from_shards_and_from_s3(tiny: Tiny, shards: Path, s3: S3, tmp_path: Path) -> None:
    limits: dict[str, Any] = {"steps": 3, "evaluations": 1}
    local = train(tiny("local", **limits), device="cpu", progress=False)
    assert_same_run(local, train(on(tiny("packed", **limits), shards), device="cpu", progress=False))

    address, copies = s3.upload(shards, "shards"), "s3://bucket/runs/copied"
    config = on(tiny("remote", workers=1, copy_to=copies, **limits), address)
    assert train(config, device="cpu", progress=False, hooks=(Interrupt(),)).interrupted
    folder = fetch_run(copies, tmp_path / "fetched")  # as on another machine
    remote = train(config, device="cpu", resume=folder, progress=False)
    assert remote.folder == tmp_path / "fetched" / "copied"
    assert_same_run(local, remote)
    size = sum(path.stat().st_size for path in shards.iterdir())
    assert 0.5 * size < s3.read_below("/bucket/shards/") <= 1.05 * size, s3.requests
    assert losses_of(door.read(f"{copies}/metrics.jsonl")) == losses(local)

    s3.requests.clear()
    with pytest.raises(ValueError, match="records data at s3://bucket/shards; an address in a checkpoint is not opened"):
        detkit.evaluate(remote.best, device="cpu")
    assert not s3.requests
    assert detkit.evaluate(remote.best, address, device="cpu")["AP"] == pytest.approx(local.numbers["AP"], abs=1e-9)
