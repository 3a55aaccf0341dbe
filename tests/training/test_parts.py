from __future__ import annotations

import json
import math
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from detkit.config import Config, ConfigError
from detkit.inference.device import pick_dtype
from detkit.training.config import EMAConfig, TrainingConfig
from detkit.training.folder import find_run, new_run_folder
from detkit.training.hooks import MetricsFile, Record
from detkit.training.optim.ema import EMA
from detkit.training.optim.optimizer import AdamWConfig, SGDConfig
from detkit.training.optim.precision import resolve_precision
from detkit.training.optim.schedule import CosineConfig, MultistepConfig
from detkit.training.process.clock import CoreClock, processor_seconds
from detkit.training.process.distributed import process_group, resolve_device, torch_threads
from detkit.training.progress import Progress
from detkit.training.stages import split_budget


def test_multistep_drops_at_its_milestones() -> None:
    schedule = MultistepConfig(warmup_steps=0, milestones=(0.5, 0.75), drop_factor=0.1)
    factors = [schedule.factor(step, step / 8) for step in range(8)]
    assert factors == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_cosine_falls_to_its_final_value() -> None:
    schedule = CosineConfig(warmup_steps=0, final_factor=0.2)
    assert schedule.factor(0, 0.0) == pytest.approx(1)
    assert schedule.factor(5, 0.5) == pytest.approx(0.6)
    assert schedule.factor(10, 1.0) == pytest.approx(0.2)


def test_warmup_rises_linearly_and_ends_with_the_shorter_of_its_limits() -> None:
    long = MultistepConfig(warmup_steps=10, warmup_fraction=1.0, warmup_start=0.0)
    assert [long.factor(step, step / 1000) for step in (0, 5, 10, 20)] == pytest.approx([0, 0.5, 1, 1])
    short = MultistepConfig(warmup_steps=1000, warmup_fraction=0.1, warmup_start=0.0)
    assert [short.factor(step, step / 100) for step in (0, 5, 10, 20)] == pytest.approx([0, 0.5, 1, 1])


def test_a_run_without_limits_has_twelve_epochs() -> None:
    assert TrainingConfig().total_steps(100, 4) == 300
    assert TrainingConfig(steps=50, epochs=12).total_steps(100, 4) == 50
    assert TrainingConfig(epochs=0.5).total_steps(100, 4) == 12
    assert TrainingConfig(budget=3).total_steps(100, 4) is None
    assert TrainingConfig(budget=3).follows_budget
    assert not TrainingConfig(budget=3, epochs=12).follows_budget


@pytest.mark.parametrize("config", [SGDConfig(lr=0.1), AdamWConfig(), MultistepConfig(), CosineConfig(), TrainingConfig(ema=EMAConfig())])
def test_configs_round_trip_through_json(config: Config) -> None:
    assert type(config).from_json(config.to_json()) == config


def test_progress_by_steps_spreads_evaluations_evenly() -> None:
    progress = Progress(10, None, by_budget=False)
    due = []
    for step in range(11):
        progress.update(step, 0.0)
        due.append(progress.evaluations_due(3))
    assert due == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert progress.is_over(10, 0.0)
    assert not progress.is_over(9, 1e9)


def test_progress_by_budget_reserves_time_for_the_last_evaluation() -> None:
    progress = Progress(None, 10.0, by_budget=True)
    progress.update(1, 5.0)
    assert progress.fraction == pytest.approx(5 / 9.5)
    progress.reserve_evaluation(2.0)
    assert not progress.is_over(1, 7.7)
    assert progress.is_over(1, 7.8)
    progress.update(1, 5.0)
    assert progress.fraction == pytest.approx(5 / 7.8)
    progress.update(2, 5.0)
    progress.update(3, 5.5)
    assert not progress.is_over(3, 7.2)
    assert progress.is_over(3, 7.4)  # a step takes half a minute and no longer fits


def test_ema_is_the_moving_average_of_weights_and_buffers() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    ema = EMA(model, EMAConfig(decay=0.5, warmup_steps=0))
    expected = model[0].weight.detach().clone()
    for _ in range(3):
        with torch.no_grad():
            model[0].weight.add_(1.0)
            model[1].running_mean.add_(8.0)  # type: ignore[union-attr,operator]
            model[1].num_batches_tracked.add_(1)  # type: ignore[union-attr,operator]
        ema.update(model)
        expected = 0.5 * expected + 0.5 * model[0].weight.detach()
    torch.testing.assert_close(ema.model[0].weight, expected)  # type: ignore[index]
    torch.testing.assert_close(ema.model[1].running_mean, torch.full((2,), 17.0))  # type: ignore[index]
    assert ema.model[1].num_batches_tracked == 3  # type: ignore[index]
    assert not any(p.requires_grad for p in ema.model.parameters())


def test_ema_decay_warms_up() -> None:
    ema = EMA(nn.Linear(1, 1), EMAConfig(decay=0.9, warmup_steps=10))
    assert ema.decay() == pytest.approx(0.9 * (1 - math.exp(-0.1)))
    ema.updates = 1000
    assert ema.decay() == pytest.approx(0.9)


def use_processor(seconds: float, then_wait: float = 0.0) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(range(1000))
    time.sleep(then_wait)


def test_the_clock_counts_this_process_and_its_living_and_ended_children() -> None:
    clock = CoreClock()
    use_processor(0.2)
    assert 60 * clock.minutes() >= 0.19
    before = processor_seconds()
    child = multiprocessing.get_context("fork").Process(target=use_processor, args=(0.3, 60.0))
    child.start()
    deadline = time.monotonic() + 50
    while processor_seconds() - before < 0.29 and time.monotonic() < deadline:
        time.sleep(0.02)
    living = processor_seconds() - before
    child.kill()
    child.join()
    ended = processor_seconds() - before
    assert living >= 0.29
    assert ended >= 0.29
    clock.add_previous(7.0)
    assert 7.0 < clock.minutes() < 8.0


def test_the_clock_measures_core_minutes_by_activity() -> None:
    clock = CoreClock()
    clock.add_previous(2.0, {"inner": 1.5, "other": 0.5})
    with clock.measure("outer"):
        use_processor(0.1)
        with clock.measure("inner"):
            use_processor(0.3)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(lambda: clock.measure("thread").__enter__()).result()
    parts = clock.parts()
    assert set(parts) == {"inner", "outer", "other"}
    assert 60 * (parts["inner"] - 1.5) == pytest.approx(0.3, abs=0.05)
    assert 60 * parts["outer"] == pytest.approx(0.1, abs=0.05)
    assert sum(parts.values()) == pytest.approx(clock.minutes(), abs=0.001)


def test_the_unclaimed_budget_is_divided_among_the_other_stages() -> None:
    assert split_budget([None, 0.3, 0.1, None]) == pytest.approx([0.3, 0.3, 0.1, 0.3])
    assert split_budget([0.5, 0.25]) == [0.5, 0.25]
    with pytest.raises(ValueError, match="budget_share add up to 1.2, expected at most 1$"):
        split_budget([0.7, 0.5])
    with pytest.raises(ValueError, match="add up to 1, expected less than 1, as 1 other stages need a share too"):
        split_budget([0.7, 0.3, None])


def test_run_folders_are_numbered_and_found(tmp_path: Path) -> None:
    root = str(tmp_path / "runs")
    first, second = new_run_folder("net", root=root), new_run_folder("net", root=root)
    assert [first.path.name, second.path.name] == ["net-1", "net-2"]
    second.state.write_bytes(b"")
    first.state.write_bytes(b"")
    import os

    os.utime(second.state, (1, 1))
    assert find_run(root=root) == first
    assert find_run(str(second.path)) == second
    assert find_run(str(second.last)) == second


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


@pytest.mark.parametrize(
    ("onednn", "probes", "training", "detection"),
    [
        (True, (), "fp32", torch.float32),
        (True, ("amx_tile",), "bf16", torch.bfloat16),
        (True, ("avx512_bf16",), "bf16", torch.bfloat16),
        (False, ("amx_tile", "avx512_bf16"), "fp32", torch.float32),
    ],
)
def test_auto_precision_on_a_cpu_depends_on_its_instructions(
    onednn: bool, probes: tuple[str, ...], training: str, detection: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn, raising=False)
    for name in ("amx_tile", "avx512_bf16"):
        monkeypatch.setattr(torch.cpu, f"_is_{name}_supported", lambda supported=name in probes: supported, raising=False)
    assert resolve_precision("auto", torch.device("cpu")) == training
    assert pick_dtype("auto", torch.device("cpu")) == detection


def test_precision_on_a_cpu() -> None:
    cpu = torch.device("cpu")
    assert resolve_precision("bf16", cpu) == "bf16"
    with pytest.raises(ValueError, match="expected a GPU, got the CPU"):
        resolve_precision("fp16", cpu)


@pytest.mark.parametrize("onednn", [True, False])
def test_training_in_slow_bf16_is_warned_about(onednn: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: onednn, raising=False)
    assert resolve_precision("bf16", torch.device("cpu")) == "bf16"
    assert ("no bfloat16 instructions" in caplog.text) is not onednn


def test_threads_are_set_inside_the_block() -> None:
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
    with torch_threads(None):
        assert torch.get_num_threads() == before


def test_devices() -> None:
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(ValueError, match=r"device 'cuda:99': this machine has \d+ CUDA devices"):
        resolve_device("cuda:99")
    with pytest.raises(ValueError, match="expected auto, cpu, cuda"):
        resolve_device("tpu9")


@pytest.mark.parametrize("requested", ["auto", "cuda"])
def test_every_process_uses_its_gpu_and_nccl(requested: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the calls to torch, so that no GPU is needed."""
    calls: list[Any] = []
    for name, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    for name, answer in {"init_process_group": calls.append, "destroy_process_group": lambda: None}.items():
        monkeypatch.setattr(torch.distributed, name, answer)
    for name, answer in {"get_rank": lambda: 1, "get_world_size": lambda: 2}.items():
        monkeypatch.setattr(torch.distributed, name, answer)
    with process_group(requested) as processes:
        assert calls == [torch.device("cuda", 1), "nccl"]
        assert resolve_device(requested, processes.local_rank, processes.world) == torch.device("cuda", 1)
    with pytest.raises(ValueError, match="no GPU for process 2 of this machine, which has 2 GPUs; start one process per GPU"):
        resolve_device(requested, 2, 3)
    with pytest.raises(ValueError, match="without an index, as each of the 2 processes uses its own GPU; use --device cuda"):
        resolve_device("cuda:1", 0, 2)


def test_apple_gpus_train_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto").type == "mps"
    assert resolve_device("auto", 0, 2).type == "cpu"
    with pytest.raises(ValueError, match="device 'mps': expected one process, got 2"):
        resolve_device("mps", 0, 2)


def test_schedule_by_budget_needs_a_budget() -> None:
    with pytest.raises(ConfigError, match="needs training.budget"):
        TrainingConfig(schedule_by="budget")


def test_a_later_stage_keeps_the_rows_of_earlier_stages(tmp_path: Path) -> None:
    hook = MetricsFile(tmp_path / "metrics.jsonl")
    hook.start(0)
    hook.evaluation(5, {"AP": 0.1})
    hook.start(0, 1)
    hook.evaluation(3, {"AP": 0.2})
    hook.start(2, 1)
    rows = [json.loads(line) for line in hook.path.read_text().splitlines()]
    assert rows == [{"step": 5, "evaluation": {"AP": 0.1}}]
