"""``detkit train --devices`` up to the start of the processes; ``tests/end_to_end/test_devices.py`` starts them."""

from __future__ import annotations

import argparse

import pytest
import torch

from detkit.cli.main import main
from detkit.cli.train import devices as module
from detkit.cli.train.devices import processes_of, wants_processes
from detkit.cli.train.options import TrainOptions
from detkit.cli.values import devices
from detkit.training.process import launcher
from detkit.training.process.launcher import Ended


def gpus(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_numbers_and_gpus_are_parsed() -> None:
    assert [devices(text) for text in ("2", "cuda:0,cuda:2", "cuda:1, cuda:0")] == ["2", "cuda:0,cuda:2", "cuda:1,cuda:0"]
    for text in ("0", "two", "cuda:0,cuda:0", "cuda:0,1", "cuda", "", "-1"):
        with pytest.raises(argparse.ArgumentTypeError, match="expected a"):
            devices(text)


def test_one_process_per_gpu_or_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(0, monkeypatch)
    assert processes_of(TrainOptions(devices="3")) == (3, {})
    gpus(2, monkeypatch)
    assert processes_of(TrainOptions(devices="2")) == (2, {})
    assert processes_of(TrainOptions(devices="5", device="cpu")) == (5, {})
    assert processes_of(TrainOptions(devices="cuda:1")) == (1, {"CUDA_VISIBLE_DEVICES": "1"})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,4")
    assert processes_of(TrainOptions(devices="cuda:1,cuda:0")) == (2, {"CUDA_VISIBLE_DEVICES": "4,6"})


@pytest.mark.parametrize(
    ("count", "options", "message"),
    [
        (1, TrainOptions(devices="2"), "--devices 2: expected 2 GPUs, one for each process, but this machine has 1; name fewer, or"),
        (0, TrainOptions(devices="2", device="cuda"), "but this machine has none; name fewer, or train on the CPU with --device cpu"),
        (2, TrainOptions(devices="cuda:0,cuda:2"), "--devices cuda:0,cuda:2: expected a GPU cuda:2, but this machine has 2"),
        (2, TrainOptions(devices="2", device="cuda:1"), "--devices 2: does not go with --device cuda:1; use --device auto, cpu or cuda"),
        (2, TrainOptions(devices="cuda:0", device="cpu"), "does not go with --device cpu; leave out --device"),
    ],
)
def test_wrong_devices_are_explained(count: int, options: TrainOptions, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(count, monkeypatch)
    with pytest.raises(ValueError, match=message):
        processes_of(options)


def test_only_a_training_without_torchrun_starts_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    assert wants_processes(TrainOptions(devices="2"))
    assert wants_processes(TrainOptions(devices="cuda:1"))
    assert not wants_processes(TrainOptions(devices="1"))
    assert not wants_processes(TrainOptions())
    with pytest.raises(ValueError, match="expected a training; leave it out with --smoke"):
        wants_processes(TrainOptions(devices="2", smoke=True))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job7")
    with pytest.raises(ValueError, match="torchrun starts the processes already; leave out --devices"):
        wants_processes(TrainOptions(devices="2"))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "detkit-1")  # one of the processes that were started
    assert not wants_processes(TrainOptions(devices="2"))


@pytest.mark.parametrize(
    ("ended", "code", "error"),
    [
        (Ended(), 0, ""),
        (Ended(143), 143, ""),
        (Ended(2, "a.jpg: empty", "trace"), 2, "detkit: error: a.jpg: empty\n"),
        (Ended(137, "process 1 of 2 was killed"), 137, "detkit: error: process 1 of 2 was killed\n"),
    ],
)
def test_every_process_gets_the_command_and_its_end_is_that_of_the_command(
    ended: Ended, code: int, error: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gpus(2, monkeypatch)
    commands = []

    def launch(command: list[str], count: int, environment: dict[str, str]) -> Ended:
        commands.append((command[2:], count, environment))
        return ended

    monkeypatch.setattr(launcher, "launch", launch)
    monkeypatch.setattr(module, "_settle_questions", lambda *_: None)  # it replaces stdin
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ["train", "quickstart", "training.steps=2", "--output", "my run", "--devices", "cuda:1", "--no-report", "--resume"]
    assert main(words) == code
    assert capsys.readouterr().err == error
    expected = ["detkit", "train", "quickstart", "training.steps=2", "--resume", "", "--output", "my run", "--device", "cuda"]
    assert commands == [([*expected, "--devices", "cuda:1", "--no-report"], 1, {"CUDA_VISIBLE_DEVICES": "1"})]
