from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest

from detkit.weights import NOT_STATED, download
from detkit.weights.fetch import checked

Site = Any  # the fixture of conftest.py


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "file.pth"


def test_fetches_the_file_whole_and_leaves_nothing_else(site: Site, target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    assert download(site.url, target, sha(site.content)[:8], progress=lambda here, total: told.append((here, total))) == target
    assert target.read_bytes() == site.content
    assert [path.name for path in target.parent.iterdir()] == ["file.pth"]
    assert told[-1] == (len(site.content), len(site.content))
    assert site.asked == [""]


def test_goes_on_where_it_broke_off_within_one_call(site: Site, target: Path) -> None:
    site.cut_after = [300_000, 200_000]
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content
    assert site.asked == ["", "bytes=300000-", "bytes=500000-"]


def test_goes_on_in_the_next_call(site: Site, target: Path) -> None:
    site.cut_after = [1000, 1000, 1000]
    with pytest.raises(
        RuntimeError, match=r"the connection broke off after 3000 of 1048576 bytes; the same command goes on from byte 3000"
    ):
        download(site.url, target, sha(site.content))
    assert not target.exists()
    assert target.with_name("file.pth.part").stat().st_size == 3000
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content
    assert site.asked[-1] == "bytes=3000-"


def test_starts_anew_where_the_server_cannot_go_on(site: Site, target: Path) -> None:
    site.ranges = False
    site.cut_after = [1000]
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content


def test_a_part_that_is_already_whole_is_taken(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes(site.content)
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content


def test_a_part_that_is_too_long_is_thrown_away(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("file.pth.part").write_bytes(site.content + b"more")
    download(site.url, target, sha(site.content))
    assert target.read_bytes() == site.content


def test_a_wrong_checksum_leaves_no_file(site: Site, target: Path) -> None:
    with pytest.raises(
        ValueError, match=r"expected a file whose SHA-256 begins with 00000000, got [0-9a-f]{8} \(1048576 bytes\); it was deleted"
    ):
        download(site.url, target, "00000000")
    assert not list(target.parent.iterdir())


def test_without_a_stated_checksum_what_comes_is_taken(site: Site, target: Path) -> None:
    download(site.url, target, NOT_STATED)
    assert checked(target, NOT_STATED).read_bytes() == site.content


def test_a_refusal_is_not_tried_again(site: Site, target: Path) -> None:
    site.refuse = 404
    with pytest.raises(RuntimeError, match=r"could not download http://127.*: Not Found; .* put the file into .*a folder by hand"):
        download(site.url, target, "00000000")
    assert len(site.asked) == 1


def test_a_troubled_server_is_tried_again(site: Site, target: Path) -> None:
    site.refuse = 503
    with pytest.raises(RuntimeError, match="Service Unavailable"):
        download(site.url, target, "00000000")
    assert len(site.asked) == 3


def test_offline(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.pth"  # bound and not listening: refused
        with pytest.raises(RuntimeError, match=r"could not download .*Connection refused; try the same command again, or put the file"):
            download(url, target, "00000000")


def test_the_old_file_stays_until_the_new_one_is_whole(site: Site, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(b"old")
    site.cut_after = [10, 10, 10]
    with pytest.raises(RuntimeError):
        download(site.url, target, sha(site.content))
    assert target.read_bytes() == b"old"
