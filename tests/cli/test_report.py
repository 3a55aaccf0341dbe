from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from detkit.cli.report import count, duration, table
from detkit.machine import peak_memory

ROOT = Path(__file__).resolve().parents[2]


def test_table_columns_are_aligned() -> None:
    text = table([["cat", 0.5], ["a long name", 12]], ["class", "score"], {"score"})
    assert text.splitlines() == ["class        score", "cat            0.5", "a long name     12"]


def test_table_without_rows_has_its_header() -> None:
    assert table([], ["class"]) == "class"


@pytest.mark.parametrize(("seconds", "text"), [(0.123, "0.12 s"), (12.34, "12.3 s"), (245, "4 min 05 s"), (7380, "2 h 03 min")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_count() -> None:
    assert [count(n, "box", "boxes") for n in (0, 1, 1200)] == ["no boxes", "1 box", "1,200 boxes"]


def test_peak_memory_excludes_that_of_the_parent_process() -> None:
    if peak_memory() is None:
        pytest.skip("peak memory is unknown on this system")
    code = """if True:
        from detkit.cli.report import memory_line
        from detkit.machine import peak_memory
        before = peak_memory()[0]
        held = bytearray(b"x" * 60_000_000)
        print(peak_memory()[0] - before)
        print(memory_line())"""
    held = bytearray(b"x" * 400_000_000)  # memory of the parent process must not be counted
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    del held
    grown, line = done.stdout.splitlines()
    assert 60e6 < int(grown) < 200e6
    assert re.fullmatch(r"peak memory [\d,]+ MB", line)
