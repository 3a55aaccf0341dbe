"""The work of one process: pauses, and runs that were moved."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from comparison_fakes import folder_in, plan_for, write_data

from detkit.comparison.running import run_config
from detkit.comparison.session import Session
from detkit.comparison.work import Pause, move_run
from detkit.experiment.config import Experiment
from detkit.experiment.resume import check_resumable


def test_a_run_that_was_moved_can_be_resumed(tmp_path: Path) -> None:
    words = ("fast_rcnn_lite0_bccd",)
    here, there = (
        Session.open(plan_for(write_data(tmp_path / name / "data"), *words), folder_in(tmp_path / name)) for name in ("here", "there")
    )
    old, new = (run_config(session.units()[0], session.plan, session.parts, session.folder) for session in (here, there))
    run = there.folder.run(there.units()[0])
    run.path.mkdir(parents=True)
    run.config.write_text(old.to_json(), "utf-8")
    assert str(tmp_path / "here") in run.config.read_text("utf-8")
    move_run(run, new)
    check_resumable(run, new)
    assert str(tmp_path / "here") not in run.config.read_text("utf-8")
    changed = new.replace(seed=1)
    move_run(run, changed)
    with pytest.raises(ValueError, match="seed = 1"):
        check_resumable(run, changed)  # only locations are rewritten


def test_every_training_pays_for_its_own_proposals(tmp_path: Path) -> None:
    session = Session.open(plan_for(write_data(tmp_path / "data"), "rcnn_lite0_bccd", "sppnet_lite0_bccd"), folder_in(tmp_path))
    configs = [run_config(unit, session.plan, session.parts, session.folder) for unit in session.units()]
    caches = {config.model.proposals_config.cache for config in configs if config.model.proposals_config is not None}
    assert len(caches) == len(configs) == 4
    assert all(Experiment.from_json(config.to_json()) == config for config in configs)


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sent: list[int] = []
    monkeypatch.setattr(signal, "raise_signal", sent.append)
    return sent


@pytest.mark.parametrize(
    ("budget", "minutes", "progress", "stopped"), [(10.0, 2.6, 0.9, True), (10.0, 2.4, 0.9, False), (None, 0.0, 0.25, True)]
)
def test_a_training_pauses_at_the_first_evaluation_after_a_fraction(
    budget: float | None, minutes: float, progress: float, stopped: bool, stops: list[int]
) -> None:
    pause = Pause(0.25, 0, lambda: minutes, budget)
    pause.after_step(1, progress)
    pause.evaluation(1, {})
    assert bool(stops) == stopped


def test_a_training_stops_when_nobody_waits_for_it(stops: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    parent: Any = 123
    monkeypatch.setattr(os, "getppid", lambda: parent)
    pause = Pause(None, 123, lambda: 0.0, None)
    pause.after_step(1, 0.1)
    assert stops == []
    parent = 1
    pause.after_step(2, 0.2)
    pause.after_step(3, 0.3)
    assert stops == [signal.SIGTERM]
