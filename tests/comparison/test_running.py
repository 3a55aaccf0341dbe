"""Running, interrupting and continuing a comparison, with processes that train nothing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from comparison_fakes import FakeProcess, folder_in, fresh, plan_for, write_data

from detkit.comparison.detections import read_detections, write_detections
from detkit.comparison.session import Session
from detkit.comparison.splits import prepare
from detkit.data import read_source

UNITS = ["ssd_lite0_bccd-seed0", "detr_lite0_bccd-seed0", "ssd_lite0_bccd-seed1", "detr_lite0_bccd-seed1"]


def test_every_unit_is_trained_and_evaluated_once(tmp_path: Path) -> None:
    plan, process, lines = plan_for(write_data(tmp_path / "data")), fresh(), list[str]()
    session = Session.open(plan, folder_in(tmp_path))
    assert not session.run(process, say=lines.append).failed
    assert process.log == [*((kind, name) for name in UNITS for kind in ("train", "evaluate")), ("latency", "comparison")]
    assert sum("val AP 1.000 after 1.5 core-minutes, 2 steps, 8 images" in line for line in lines) == 4
    assert not list((tmp_path / "comparison" / "runs").iterdir())
    Session.open(plan, folder_in(tmp_path)).run(process)
    assert len(process.log) == 9  # nothing is repeated


def test_a_folder_without_checkpoints_continues_elsewhere(tmp_path: Path) -> None:
    plan, process = plan_for(write_data(tmp_path / "data"), seeds=1), fresh()
    session = Session.open(plan, folder_in(tmp_path))
    session.run(process)
    shutil.rmtree(session.folder.path / "checkpoints")
    sizes = sum(path.stat().st_size for path in session.folder.path.rglob("*") if path.is_file())
    assert sizes < 100_000
    moved, data = tmp_path / "elsewhere", tmp_path / "here"
    shutil.move(session.folder.path, moved / "comparison")
    shutil.move(tmp_path / "data", data)
    more = plan_for(data, "ssd_lite0_bccd", "yolox_lite0_bccd", seeds=2)
    after = Session.open(more, folder_in(moved))
    assert [entry.name for entry in after.plan.entries] == ["ssd_lite0_bccd", "detr_lite0_bccd", "yolox_lite0_bccd"]
    after.run(process)
    assert [name for kind, name in process.log[5:] if kind == "train"] == ["yolox_lite0_bccd-seed0", *UNITS[2:], "yolox_lite0_bccd-seed1"]


def test_a_comparison_with_an_infinite_setting_continues(tmp_path: Path) -> None:
    plan = plan_for(write_data(tmp_path / "data"), "rcnn_lite0_bccd", seeds=1)
    assert plan.entries[0].experiment is not None
    assert plan.entries[0].experiment.model.proposals.max_aspect == float("inf")
    Session.open(plan, folder_in(tmp_path))
    assert Session.open(plan, folder_in(tmp_path)).plan == plan


def test_a_comparison_does_not_continue_under_another_protocol_or_on_other_data(tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    Session.open(plan_for(data), folder_in(tmp_path))
    with pytest.raises(ValueError, match=r"steps = 3 \(the folder has 2\)"):
        Session.open(plan_for(data, steps=3), folder_in(tmp_path))
    changed = plan_for(data, "ssd_lite0_bccd", seeds=2)
    entry = changed.entries[0]
    assert entry.experiment is not None
    other = entry.replace(experiment=entry.experiment.replace(optimizer=entry.experiment.optimizer.replace(lr=0.5)))
    with pytest.raises(ValueError, match=r"optimizer\.lr differ; continue with --resume"):
        Session.open(changed.replace(entries=(other,)), folder_in(tmp_path))
    write_data(data, images=13)
    with pytest.raises(ValueError, match="is not what the comparison was started with"):
        Session.open(plan_for(data), folder_in(tmp_path))


def test_a_failure_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    session = Session.open(plan_for(write_data(tmp_path / "data"), seeds=1), folder_in(tmp_path))
    runner = session.run(fresh(fails=("ssd",)))
    assert runner.failed == {UNITS[0]: "error: no such luck"}
    assert [session.folder.is_evaluated(unit) for unit in session.units()] == [False, True]
    assert not session.run(fresh()).failed  # a second try


def test_an_interrupt_stops_all_processes_and_keeps_what_they_saved(tmp_path: Path) -> None:
    stopped = []

    class Slow(FakeProcess):
        log: ClassVar[list[tuple[str, str]]] = []

        def poll(self) -> int | None:
            if len(self.log) == 2 and not stopped:
                stopped.append(self)
                raise KeyboardInterrupt
            return self.code

        def stop(self) -> None:
            self.code = 143
            stopped.append(self)

    session = Session.open(plan_for(write_data(tmp_path / "data")), folder_in(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        session.run(Slow, jobs=2)
    assert len(stopped) == 3
    run = session.folder.run(session.units()[0])
    run.path.mkdir(parents=True)
    run.config.write_text("a run that ended before anything was saved", "utf-8")
    process = fresh()
    session.run(process)
    assert len([name for kind, name in process.log if kind == "train"]) == 4


def test_parts_of_data_without_splits(tmp_path: Path) -> None:
    plan = plan_for(write_data(tmp_path / "data", images=40))
    parts = prepare(plan.protocol, tmp_path / "labels")
    ids = {name: set(data.records.image_ids) for name, data in parts.data.items()}
    assert len(ids["train"] | ids["val"] | ids["test"]) == sum(map(len, ids.values())) == 40
    assert parts.description == "15 % for test and 15 % for val, by a hash of the image ids"
    shutil.rmtree(tmp_path / "labels")
    again = prepare(plan.protocol, tmp_path / "labels")
    assert again.fingerprint() == parts.fingerprint()
    half, quarter = (read_source(parts.fraction_of_training(fraction)) for fraction in (0.5, 0.25))
    assert set(quarter.records.image_ids) < set(half.records.image_ids) < ids["train"]
    assert len(half) == round(len(ids["train"]) / 2)


def test_own_splits_are_used(tmp_path: Path) -> None:
    data = write_data(tmp_path / "all", images=3, splits=("train", "val", "test"))
    parts = prepare(plan_for(data).protocol, tmp_path / "labels")
    assert parts.description == "the data's own splits train, val, test"
    assert not (tmp_path / "labels").exists()
    without_test = write_data(tmp_path / "two", images=10, splits=("train", "val"))
    parts = prepare(plan_for(without_test).protocol, tmp_path / "labels")
    assert "own splits train, val; 15 % for test of the training images" in parts.description
    sizes = {name: len(data) for name, data in parts.data.items()}
    assert (sizes["val"], sizes["train"] + sizes["test"]) == (10, 10)


def test_detections_are_stored_exactly(tmp_path: Path) -> None:
    corners = np.random.default_rng(0).uniform(0, 2000, (500, 4)).astype(np.float32).astype(np.float64)
    corners[:, 2:] += corners[:, :2]
    corners = corners.astype(np.float32).astype(np.float64)
    score = np.random.default_rng(1).uniform(0, 1, 500).astype(np.float32)
    table = np.column_stack([np.arange(500), corners[:, :2], corners[:, 2:] - corners[:, :2], score, np.full(500, 90)])
    write_detections(tmp_path / "a.npz", table)
    assert np.array_equal(read_detections(tmp_path / "a.npz"), table)
    double = table + np.pi / 1e9 * (np.arange(7) % 6 > 0)
    write_detections(tmp_path / "b.npz", double)
    assert np.array_equal(read_detections(tmp_path / "b.npz"), double)
    write_detections(tmp_path / "none.npz", np.zeros((0, 7)))
    assert read_detections(tmp_path / "none.npz").shape == (0, 7)
    (tmp_path / "b.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="damaged file"):
        read_detections(tmp_path / "b.npz")
