from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from detkit.weights import NOT_STATED, download
from detkit.weights.fetch import verify_checksum

Site = Any  # the fixture of conftest.py


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "file.pth"


def test_downloads_the_file_and_leaves_no_other(site: Site, target: Path) -> None:
    calls: list[tuple[int, int | None]] = []
    assert download(site.url, target, sha(site.content)[:8], progress=lambda received, total: calls.append((received, total))) == target
    assert target.read_bytes() == site.content
    assert [path.name for path in target.parent.iterdir()] == ["file.pth"]
    assert calls[-1] == (len(site.content), len(site.content))
    assert site.requests == [""]


def test_resumes_within_one_call(site: Site, target: Path) -> None:
    site.cut_after = [300_000, 200_000]
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content
    assert site.requests == ["", "bytes=300000-", "bytes=500000-"]


def test_resumes_in_the_next_call(site: Site, target: Path) -> None:
    site.cut_after = [1000, 1000, 1000]
    with pytest.raises(
        RuntimeError, match=r"the connection was closed after 3000 of 1048576 bytes; the same command resumes from byte 3000"
    ):
        download(site.url, target, sha(site.content))
    assert not target.exists()
    assert target.with_name("file.pth.part").stat().st_size == 3000
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content
    assert site.requests[-1] == "bytes=3000-"


def test_restarts_where_the_server_cannot_resume(site: Site, target: Path) -> None:
    site.ranges = False
    site.cut_after = [1000]
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content


def test_complete_partial_file_is_used(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes(site.content)
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content


def test_too_long_partial_file_is_discarded(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes(site.content + b"more")
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content


def test_wrong_checksum_leaves_no_file(site: Site, target: Path) -> None:
    with pytest.raises(
        ValueError, match=r"expected a file whose SHA-256 begins with 00000000, got [0-9a-f]{8} \(1048576 bytes\); it was deleted"
    ):
        download(site.url, target, "00000000")
    assert not list(target.parent.iterdir())


def test_without_a_stated_checksum_any_file_is_accepted(site: Site, target: Path) -> None:
    download(site.url, target, NOT_STATED)
    assert verify_checksum(target, NOT_STATED).read_bytes() == site.content


def test_client_errors_are_not_retried(site: Site, target: Path) -> None:
    site.refuse = 404
    with pytest.raises(RuntimeError, match=r"could not download http://127.*: Not Found; .* put the file into .*a folder yourself"):
        download(site.url, target, "00000000")
    assert len(site.requests) == 1


def test_server_errors_are_retried(site: Site, target: Path) -> None:
    site.refuse = 503
    with pytest.raises(RuntimeError, match="Service Unavailable"):
        download(site.url, target, "00000000")
    assert len(site.requests) == 3


def test_offline(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.pth"  # bound but not listening: connections are refused
        with pytest.raises(RuntimeError, match=r"could not download .*Connection refused; try the same command again, or put the file"):
            download(url, target, "00000000")


def test_old_file_stays_until_the_new_one_is_complete(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    site.cut_after = [10, 10, 10]
    with pytest.raises(RuntimeError):
        download(site.url, target, sha(site.content))
    assert target.read_bytes() == b"old"


def test_a_folder_that_cannot_be_made_is_one_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OSError, match="file: the folder of published weights cannot be made .*; name another one"):
        download(site.url, tmp_path / "file" / "weights.pth", "")
