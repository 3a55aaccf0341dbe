"""A folder that one process at a time writes to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from detkit.checkpoint.folder_lock import NAME, FolderInUseError, FolderLock

HOLD = """
import sys
from detkit.checkpoint.folder_lock import FolderLock
with FolderLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_folder_is_held_once_and_then_free(tmp_path: Path) -> None:
    with FolderLock(tmp_path):
        assert (tmp_path / NAME).read_text().startswith(f"process {os.getpid()} on ")
        with pytest.raises(FolderInUseError, match=f"in use by process {os.getpid()}, this one"), FolderLock(tmp_path / "."):
            pass
    assert not (tmp_path / NAME).exists()
    with FolderLock(tmp_path):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="kills with a signal")
def test_another_process_is_named_and_the_lock_of_a_killed_one_is_free(tmp_path: Path) -> None:
    process = holder(tmp_path)
    with pytest.raises(FolderInUseError, match=f"in use by process {process.pid} on .*; wait until it has ended, or choose another"):
        FolderLock(tmp_path).__enter__()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert (tmp_path / NAME).exists()
    with FolderLock(tmp_path):
        pass
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_vanished_is_released(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with FolderLock(folder):
        (folder / NAME).unlink()
        folder.rmdir()
    folder.mkdir()
    with FolderLock(folder):
        pass


def test_one_thread_at_a_time_holds_a_folder(tmp_path: Path) -> None:
    inside, most, entered, failed = [0], [0], threading.Barrier(8), []

    def hold() -> None:
        entered.wait()
        try:
            with FolderLock(tmp_path):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                end = time.monotonic() + 5
                while len(failed) < 7 and time.monotonic() < end:  # until the others have tried
                    time.sleep(0.001)
                inside[0] -= 1
        except FolderInUseError as error:
            failed.append(error)

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], len(failed)) == (1, 7)
