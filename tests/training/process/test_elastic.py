"""Runs that torchrun restarts, without torchrun: which run a restart finds, and what it says about another number of processes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from torch import nn

from detkit.data.sampler import BatchPlan, RankBatches
from detkit.training.folder import RunFolder
from detkit.training.process.distributed import LostProcessError, Processes, _explain_lost_process
from detkit.training.process.elastic import begun_run, changed_processes, clear_begun, launch_id, record_launch, run_to_resume


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job7")
    return monkeypatch


def make_run(path: str, state: bool = True) -> RunFolder:
    folder = RunFolder(Path(path))
    folder.path.mkdir(parents=True)
    record_launch(folder)
    if state:
        folder.state.touch()
    return folder


def test_a_restart_finds_the_run_of_its_launch_on_any_machine(launch: pytest.MonkeyPatch) -> None:
    assert begun_run("toy") is None
    first, second = make_run("runs/toy-1"), make_run("runs/toy-2")
    os.utime(first.launch, (1, 1))
    make_run("runs/other-1")
    assert begun_run("toy") == second
    assert begun_run("toy", "runs/toy-1") == first
    assert run_to_resume(Processes(), "toy") == second
    second.state.unlink()
    assert run_to_resume(Processes(), "toy") is None
    launch.setenv("TORCHELASTIC_RUN_ID", "job8")
    assert begun_run("toy") is None
    assert begun_run("toy", "runs/toy-1") is None


def test_a_launch_without_an_id_finds_only_its_own_runs(launch: pytest.MonkeyPatch) -> None:
    launch.setenv("TORCHELASTIC_RUN_ID", "none")
    run = make_run("runs/toy-1")
    assert begun_run("toy") == run
    another = os.getppid() + 1
    launch.setattr(os, "getppid", lambda: another)  # another torchrun
    assert begun_run("toy") is None


def test_without_torchrun_no_run_is_found_or_recorded(launch: pytest.MonkeyPatch) -> None:
    run = make_run("runs/toy-1")
    launch.delenv("TORCHELASTIC_RUN_ID")
    assert launch_id() is None
    assert begun_run("toy", str(run.path)) is None
    run.launch.unlink()
    record_launch(run)
    assert not run.launch.exists()


@pytest.mark.parametrize("text", ["", "{", "[1]", "{}", '{"id": 7}'])
def test_a_damaged_record_is_of_no_launch(launch: pytest.MonkeyPatch, text: str) -> None:
    run = make_run("runs/toy-1")
    run.launch.write_text(text)
    assert begun_run("toy") is None


def test_files_of_a_run_without_a_state_are_deleted_but_hidden_ones(launch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run = make_run("runs/toy-1", state=False)
    run.images.mkdir()
    (run.images / "batch.jpg").touch()
    (run.path / "latest").symlink_to(run.images)
    (run.path / ".detkit.lock").touch()
    clear_begun(run)
    assert [path.name for path in run.path.iterdir()] == [".detkit.lock"]


def test_the_line_about_another_number_of_processes() -> None:
    plain = changed_processes(2, 1, 4, nn.Linear(1, 1))
    assert "saved by 2 processes and is resumed with 1" in plain
    assert "exactly: sums are rounded in another order. Images per batch (4), their order and the learning rate stay the same" in plain
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.1))
    line = changed_processes(4, 3, 8, network)
    assert "2 or 3 images of a batch" in line
    assert "batch norms see about 2.67 images instead of 2" in line
    assert "dropout draws other random numbers" in line
    assert "batch norm" not in changed_processes(4, 3, 8, network.eval())


@pytest.mark.parametrize("worlds", [(2, 1), (1, 2, 3), (4, 2, 3, 1)])
def test_every_image_of_an_epoch_is_seen_once_whatever_the_number_of_processes(worlds: tuple[int, ...]) -> None:
    plan, seen, sizes = BatchPlan(23, 4, seed=5), [], []
    steps = 12  # 48 images: two epochs of 23, and two images
    for index, world in enumerate(worlds):
        first, last = (steps * part // len(worlds) for part in (index, index + 1))
        ranks = [RankBatches(plan, first, last, rank, world, uneven=True) for rank in range(world)]
        for parts in zip(*ranks, strict=True):
            sizes.append({len(part) for part in parts})
            seen += [key for part in parts for key in part]
    assert Counter((key.epoch, key.record) for key in seen if key.epoch < 2) == Counter((epoch, i) for epoch in (0, 1) for i in range(23))
    assert all(max(counts) - min(counts) <= 1 for counts in sizes)


def test_processes_without_an_image_are_an_error() -> None:
    with pytest.raises(ValueError, match="a global batch of 2 images leaves none for some of 3 processes; start at most 2"):
        RankBatches(BatchPlan(9, 2), world=3, uneven=True)


def test_the_loss_of_a_process_is_one_line_and_other_errors_stay() -> None:
    gloo = "[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:5\nmore"
    with (
        pytest.raises(LostProcessError, match=r"^another process of this run has ended .* \(\[\.\./third_party.*:5\)$"),
        _explain_lost_process(),
    ):
        raise RuntimeError(gloo)
    with pytest.raises(RuntimeError, match="^out of memory$"), _explain_lost_process():
        raise RuntimeError("out of memory")
