from __future__ import annotations

import subprocess
import sys

import pytest

COMMAND = """
import atexit, gc
atexit.register(lambda: print("spared", gc.get_freeze_count() > 1000))
{}
from detkit.cli.main import main
main(["--version"])
"""


@pytest.mark.parametrize(
    ("before", "spared"),
    [("", "True"), ("Kind = type('nb_type_0', (type,), {'__module__': 'nanobind'})", "False")],
    ids=["plain", "nanobind"],
)
def test_the_last_search_for_garbage_is_spared_unless_its_leavings_are_called_leaks(before: str, spared: str) -> None:
    done = subprocess.run([sys.executable, "-c", COMMAND.format(before)], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == f"spared {spared}", done.stderr
