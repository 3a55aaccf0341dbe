from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from object_store import FaultyServer, faulty_server

from detkit.data.storage import retries


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyServer]:
    with faulty_server(tmp_path_factory.mktemp("served")) as server:
        yield server


@pytest.fixture
def server(listener: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FaultyServer:
    monkeypatch.setenv("DETKIT_STORAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DETKIT_STORAGE_ATTEMPTS", "3")
    monkeypatch.setenv("DETKIT_STORAGE_TIMEOUT", "1")
    monkeypatch.setattr(retries, "FIRST_WAIT", 0.01)
    listener.folder, listener.repeats = tmp_path / "store", False
    listener.folder.mkdir()
    listener.faults.clear()
    listener.requests.clear()
    return listener
