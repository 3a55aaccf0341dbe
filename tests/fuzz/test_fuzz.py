"""Every reader and loader on damaged, foreign and hostile files: the outcome is right, or one sentence that names the file.

``python tools/fuzz.py --cases 100000`` runs many more, in processes with a limit on memory and a watchdog for hangs.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fuzzing import TARGETS, Case, random_of, verdict
from fuzzing.case import WrongResult
from fuzzing.mutate import DEEPEST, ODD_VALUES, _change, _near, dump_json, is_deep

CASES = {"overrides": 30}
"""Cases of a target, where they are not :data:`USUAL_CASES`; 3 ms each, except where a config is built again and again."""
USUAL_CASES = 100
HANG_SECONDS = 120


@pytest.fixture(autouse=True)
def quiet_and_watched() -> Iterator[None]:
    """Switch off the log, and end a process that hangs with a traceback of all its threads."""
    logging.disable(logging.CRITICAL)
    faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()
    logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("round_", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("target", TARGETS)
def test_right_or_one_sentence_that_names_the_file(target: str, round_: int, tmp_path: Path) -> None:
    if target == "onnx" and not (importlib.util.find_spec("onnx") and importlib.util.find_spec("onnxruntime")):
        pytest.skip("needs the extra export")
    faults, count = [], CASES.get(target, USUAL_CASES)
    for number in range(count * round_, count * (round_ + 1)):
        folder = tmp_path / f"case-{number}"
        folder.mkdir()
        fault = verdict(TARGETS[target](random_of(target, number), folder))
        if fault is not None:
            faults.append(f"{target}/{number}: {fault}")
    assert not faults, "repeat one with: python tools/fuzz.py --repeat TARGET/NUMBER"


def test_the_verdict_finds_each_kind_of_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def kind(error: BaseException | None, seconds: float = 0.0) -> str | None:
        clock = iter((0.0, seconds))
        monkeypatch.setattr("time.process_time", lambda: next(clock))

        def read() -> None:
            if error is not None:
                raise error

        fault = verdict(Case(read, ("a.json",)))
        return None if fault is None else fault.kind

    assert kind(None) is None
    assert kind(ValueError("a.json: expected a list")) is None
    assert kind(ValueError("expected a list")) == "names no file"
    assert kind(UnicodeDecodeError("utf-8", b"", 0, 1, "invalid")) == "names no file"
    assert kind(RecursionError("maximum recursion depth exceeded")) == "names no file"
    assert kind(KeyError("a.json")) == "traceback"
    assert kind(MemoryError()) == "traceback"
    assert kind(WrongResult("a box outside its image")) == "wrong result"
    assert kind(None, seconds=6.0) == "too slow"


def test_the_same_number_makes_the_same_case(tmp_path: Path) -> None:
    contents = []
    for folder in (tmp_path / "one" / "x", tmp_path / "two" / "x"):
        folder.mkdir(parents=True)
        TARGETS["coco"](random_of("coco", 5), folder)
        contents.append((folder / "labels.json").read_bytes())
    assert contents[0] == contents[1]
    TARGETS["coco"](random_of("coco", 6), folder)
    assert (folder / "labels.json").read_bytes() != contents[1]


@pytest.mark.parametrize(("target", "number"), [("checkpoint", 3727), ("config", 305)])
def test_deeply_nested_cases_can_be_made(target: str, number: int, tmp_path: Path) -> None:
    assert verdict(TARGETS[target](random_of(target, number), tmp_path)) is None


def test_every_odd_value_has_values_close_to_it() -> None:
    for number in range(60):
        for value in ODD_VALUES:
            dump_json(random_of("near", number), _near(random_of("near", number), value))


def test_content_of_any_depth_is_changed_and_written() -> None:
    for levels in (10, DEEPEST - 1, DEEPEST + 1, 3000, 100_000):
        value: Any = 0
        for _ in range(levels):
            value = [value]
        assert is_deep(value) == (levels > DEEPEST)
        content: dict[str, Any] = {"a": [value, 1], "b": {"c": value}}
        for number in range(30):
            random = random_of("depth", number)
            _change(random, content["a"] if number % 2 and isinstance(content.get("a"), list) and content["a"] else content, 50)
            dump_json(random, content)
