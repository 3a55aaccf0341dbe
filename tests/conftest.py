"""Fixtures shared by all tests."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detkit.cli.process import collect_rarely, keep_freed_memory

sys.path.insert(0, str(Path(__file__).resolve().parent))  # for the modules that tests share
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as a shell has it in what it starts in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("DETKIT_NO_REPORT", "1")  # evaluate and train write a report only where a test asks for one

# The processes of pytest-xdist share the cores: neither they nor the commands that they start may use all cores each.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))

# As in the commands: importing torch would run hundreds of collections, and every test would map the memory of its tensors again. Commands
# that tests call in this process set the same; here it holds from the first test on.
collect_rarely()
keep_freed_memory()


def pytest_collection_finish() -> None:
    """Exclude the million objects of imported libraries and collected tests from garbage collections: they live until the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Leave it to the system when files reach the disk: what tests write need not survive a loss of power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _descriptor: None)
        yield


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    """Undo what a test, or code that it runs, left set for the process: no log, and a limit of pixels, which Pillow keeps."""
    yield
    logging.disable(logging.NOTSET)
    images = sys.modules.get("detkit.data.media.images")
    if images is not None and images._pillows_limit:
        images._limit_pillow(images.MAX_PIXELS)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ``../shared`` of real data and references next to the checkout; tests that need it are skipped without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "README.md").is_file():
        pytest.skip("needs ../shared, which is not available")
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A headless Chromium, of playwright; see tests/browser.py. Tests skip without it, but fail in CI."""
    from browser import launched

    with launched() as started:
        yield started
