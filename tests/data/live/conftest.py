from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from stream_server import StreamServer

from detkit.data.live import backing_off

sys.path.insert(0, str(Path(__file__).parents[2] / "inference"))  # for its videos


@pytest.fixture
def server() -> Iterator[StreamServer]:
    with StreamServer() as started:
        yield started


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lost connections be made again at once."""
    monkeypatch.setattr(backing_off, "_FIRST_WAIT", 0.01)
