from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys

import pytest

from detkit.cli.process import Terminated, keep_freed_memory, stop_on_signals

FAULTS = """
import resource, sys
from detkit.cli.process import Terminated, keep_freed_memory, stop_on_signals
if sys.argv[1] == "keep":
    assert keep_freed_memory()
import torch
def faults(megabytes):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(megabytes << 18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
for megabytes in (60, 50, 40):
    faults(megabytes)
print(faults(40))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc" or not sys.platform.startswith("linux"), reason="needs glibc on Linux")
def test_freed_tensors_are_not_mapped_again() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD"))}

    def faults(mode: str) -> int:
        done = subprocess.run([sys.executable, "-c", FAULTS, mode], env=clean, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("keep") < faults("leave") / 4


def test_settings_of_the_user_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "65536")
    assert keep_freed_memory() is False


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False


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


WORKER = """
import os, signal, sys
from detkit.cli.process import stop_on_signals
with stop_on_signals():
    child = os.fork()
    if not child:
        signal.raise_signal(signal.SIGTERM)
        os._exit(5)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_a_forked_worker_ends_without_a_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("-15\n", "")


def test_signals_that_the_parent_ignores_stay_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with stop_on_signals():
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
            with pytest.raises(Terminated):
                signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
