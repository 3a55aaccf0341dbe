from __future__ import annotations

import pytest

from detkit.cli.report import count, duration, memory_line, peak_memory, table


def test_table_lines_up() -> None:
    text = table([["cat", 0.5], ["a long name", 12]], ["class", "score"], {"score"})
    assert text.splitlines() == ["class        score", "cat            0.5", "a long name     12"]


def test_table_without_rows_has_its_header() -> None:
    assert table([], ["class"]) == "class"


@pytest.mark.parametrize(("seconds", "text"), [(0.123, "0.12 s"), (12.34, "12.3 s"), (245, "4 min 05 s"), (7380, "2 h 03 min")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_count() -> None:
    assert [count(n, "box", "boxes") for n in (0, 1, 1200)] == ["no boxes", "1 box", "1,200 boxes"]


def test_peak_memory_grows_with_use() -> None:
    before = peak_memory()
    if before is None:
        pytest.skip("this system does not tell")
    held = bytearray(b"x" * (before[0] + 50_000_000))
    after = peak_memory()
    assert after is not None
    assert after[0] > before[0] + 10_000_000
    del held
    assert "MB" in memory_line()
