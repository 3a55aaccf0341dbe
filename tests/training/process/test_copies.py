from __future__ import annotations

from pathlib import Path

import pytest

from detkit.data.storage import door
from detkit.data.storage.retries import StorageError
from detkit.training.folder import RunFolder
from detkit.training.process.copies import RunCopies, fetch_run, is_remote

pytest.importorskip("fsspec")


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    for path in (folder.config, folder.metrics, folder.state, folder.last):
        path.write_text(f"{path.name} 1")
    return folder


def test_files_that_changed_are_copied_and_fetched(folder: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address, copied = f"memory://runs/{tmp_path.name}", []
    original = door.upload
    monkeypatch.setattr(door, "upload", lambda path, to: (copied.append(path.name), original(path, to)))
    copies = RunCopies(address)
    copies.update(folder)
    assert copied == ["config.json", "metrics.jsonl", "last.state", "last.safetensors"]
    folder.state.write_text("last.state 22")
    folder.best.write_text("best")
    copies.update(folder)
    assert copied[4:] == ["last.state", "best.safetensors"]
    fetched = fetch_run(address, tmp_path / "here")
    assert {path.name: path.read_bytes() for path in fetched.path.iterdir()} == {
        path.name: path.read_bytes() for path in folder.path.iterdir()
    }
    with pytest.raises(ValueError, match="exists already; resume it with --resume"):
        fetch_run(address, tmp_path / "here")


def test_a_copy_that_fails_is_logged_and_made_again(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copies, original = RunCopies("memory://runs/failing"), door.upload

    def refuse(path: Path, address: str) -> None:
        raise StorageError(f"{address}: out of order")

    with monkeypatch.context() as patch:
        patch.setattr(door, "upload", refuse)
        copies.update(folder)
    assert (
        "not copied to memory://runs/failing: memory://runs/failing/config.json: out of order; the next save copies it again" in caplog.text
    )
    assert door.upload is original
    copies.update(folder)
    assert door.read("memory://runs/failing/last.state") == folder.state.read_bytes()


def test_no_address_copies_nothing(folder: RunFolder) -> None:
    RunCopies("").update(folder)


def test_addresses_that_cannot_be_used_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="nothing can be written to http addresses"):
        RunCopies("https://host/run")
    with pytest.raises(ValueError, match="expected an address that begins with s3://"):
        RunCopies("runs/a")
    with pytest.raises(FileNotFoundError, match=r"resume memory://runs/none: no run with a last\.state is there"):
        fetch_run("memory://runs/none", tmp_path)
    assert (is_remote("s3://bucket/run"), is_remote("runs/a"), is_remote(None), is_remote("")) == (True, False, False, False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="several processes cannot fetch a run"):
        fetch_run("memory://runs/failing", tmp_path)
