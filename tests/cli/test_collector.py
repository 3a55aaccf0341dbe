from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND = """
import atexit, gc
atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count() > 0))
{}
from detkit.cli.main import main
main(["--version"])
"""


@pytest.mark.parametrize(
    ("before", "skipped"),
    [("", "True"), ("Kind = type('nb_type_0', (type,), {'__module__': 'nanobind'})", "False")],
    ids=["plain", "nanobind"],
)
def test_final_collection_is_skipped_unless_leaks_would_be_reported(before: str, skipped: str) -> None:
    done = subprocess.run([sys.executable, "-c", COMMAND.format(before)], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == f"10000 {skipped}", done.stderr
