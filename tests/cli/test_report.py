from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from detkit.cli.report import count, duration, listed, table
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


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("size", [(0, 0), (24, 60), (0, 60)])
def test_a_terminal_of_unknown_size_shows_the_bar(size: tuple[int, int]) -> None:
    import fcntl
    import pty
    import select
    import struct
    import termios

    code = "from detkit.cli.report import with_bar; import time\nfor _ in with_bar(range(3), 3, 'image', 'clip'): time.sleep(0.2)"
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=terminal, check=True, cwd=ROOT, timeout=60)
    assert select.select([reader], [], [], 10)[0], "nothing is shown"
    shown = os.read(reader, 10_000).decode()
    for descriptor in (terminal, reader):
        os.close(descriptor)
    assert "clip:   0%|" in shown
    assert "0/3 [00:00<?, ?image/s]" in shown


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b\x1b"]) == "a, b\\x1b"
    assert listed([f"class {n}" for n in range(20_000)]).endswith("class 99 and 19,900 more")
    assert len(table([("x" * 5000,)], ("name",)).splitlines()[1]) < 250
