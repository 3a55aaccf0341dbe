"""Successive halving: who is stopped, and that an interruption changes nothing."""

from __future__ import annotations

import json
from pathlib import Path

from comparison_fakes import folder_in, fresh, plan_for, write_data

from detkit.comparison.halving import hopeless
from detkit.comparison.latency import measure
from detkit.comparison.session import Session

NAMES = ("ssd_lite0_bccd", "detr_lite0_bccd", "light_lite0_bccd", "yolox_lite0_bccd")


def test_the_worse_half_is_hopeless() -> None:
    assert hopeless({"a": 0.4, "b": 0.1, "c": 0.3, "d": 0.2}) == ("b", "d")
    assert hopeless({"a": 0.4, "b": 0.1, "c": 0.3}) == ("b",)
    assert hopeless({"a": 0.2, "b": 0.2, "c": 0.2, "d": 0.1}) == ("d",)
    assert hopeless({"a": 0.4, "b": None, "c": 0.3, "d": 0.1}) == ("d",)  # b has not been validated yet
    assert hopeless({"a": None, "b": None}) == ()
    assert hopeless({"a": 0.1}) == ()


def test_the_worse_half_is_stopped_at_a_quarter_and_at_a_half(tmp_path: Path) -> None:
    quality = {"ssd": 1.0, "detr": 9.0, "light": 3.0, "yolox": 6.0}
    session = Session.open(plan_for(write_data(tmp_path / "data"), *NAMES, seeds=1, halving=True), folder_in(tmp_path))
    process, lines = fresh(quality=quality), list[str]()
    session.run(process, say=lines.append)
    trained = [name.removesuffix("-seed0") for kind, name in process.log if kind == "train"]
    assert trained == [*NAMES, "ssd_lite0_bccd", "light_lite0_bccd", "ssd_lite0_bccd"]
    stopped = {
        unit.entry.name: json.loads(session.folder.stopped(unit).read_text()) for unit in session.units() if session.folder.is_stopped(unit)
    }
    assert {name: row["at"] for name, row in stopped.items()} == {
        "detr_lite0_bccd": 0.25,
        "yolox_lite0_bccd": 0.25,
        "light_lite0_bccd": 0.5,
    }
    assert "detr_lite0_bccd is stopped after 0.25 of its training: val AP 0.775 is in the worse half" in lines
    again = fresh(quality=quality)
    Session.open(session.plan, session.folder).run(again)
    assert again.log == []


def test_detectors_are_measured_in_turn() -> None:
    calls: list[tuple[str, int]] = []
    now = [0.0]

    def detector(name: str, seconds: float) -> object:
        def call(image: int) -> None:
            calls.append((name, image))
            now[0] += seconds

        return call

    predictors = {"fast": detector("fast", 1.0), "slow": detector("slow", 50.0)}
    times = measure(predictors, [0, 1], rounds=2, clock=lambda: now[0])  # type: ignore[arg-type]
    assert calls[:6] == [("fast", 0), ("slow", 0), ("fast", 0), ("slow", 0), ("fast", 1), ("slow", 1)]
    assert times == {"fast": [1.0] * 4, "slow": [50.0] * 2}  # a slow one does not hold up the others
