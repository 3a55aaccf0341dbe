from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from detkit.curation.archives import Archive, fetch_archive, unpack_archive


def archive(url: str, name: str, data: bytes, **fields: Any) -> Archive:
    return Archive(f"{url}/{name}", len(data), len(data), f"md5:{hashlib.md5(data).hexdigest()}", "here", **fields)


def test_an_interrupted_download_is_resumed(server: Any, packers: Any, tmp_path: Path) -> None:
    data = packers["zip"]({"a/b.txt": bytes(range(256)) * 100})
    (server.folder / "a.zip").write_bytes(data)
    target = tmp_path / "data"
    target.mkdir()
    (target / "a.zip.part").write_bytes(data[:100])
    received: list[tuple[int, int | None]] = []
    path = fetch_archive(archive(server.url, "a.zip", data), target, lambda count, total: received.append((count, total)))
    assert path.read_bytes() == data
    assert server.requests == ["bytes=100-"]
    assert received[-1] == (len(data), len(data))


@pytest.mark.parametrize("wrong", ["size", "checksum"])
def test_a_file_that_differs_from_the_published_one_is_deleted(server: Any, packers: Any, tmp_path: Path, wrong: str) -> None:
    data = packers["zip"]({"a": b"1"})
    (server.folder / "a.zip").write_bytes(data)
    published = archive(server.url, "a.zip", data + b" " if wrong == "size" else data[:-1] + b"x")
    message = rf"expected {len(data) + 1} bytes, got {len(data)}" if wrong == "size" else "expected md5 .*, got"
    with pytest.raises(ValueError, match=message + ".*it was deleted: start again"):
        fetch_archive(published, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_voc_archives_share_a_folder(packers: Any, tmp_path: Path) -> None:
    target = tmp_path / "data"
    for part in ("trainval", "test"):
        members = {
            f"VOCdevkit/VOC2007/{name}": part.encode()
            for name in (f"Annotations/{part}.xml", f"JPEGImages/{part}.jpg", f"ImageSets/Main/{part}.txt")
        }
        path = tmp_path / f"{part}.tar"
        path.write_bytes(packers["tar"](members))
        published = archive("x", path.name, b"", strip="VOCdevkit/", gives=(f"VOC2007/ImageSets/Main/{part}.txt",))
        assert not published.is_unpacked(target)
        assert unpack_archive(published, path, target) == 3
        assert published.is_unpacked(target)
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert files == sorted(
        f"VOC2007/{name}"
        for part in ("trainval", "test")
        for name in (f"Annotations/{part}.xml", f"ImageSets/Main/{part}.txt", f"JPEGImages/{part}.jpg")
    )


def test_a_truncated_archive_leaves_nothing_in_the_folder(packers: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(packers["tar"]({f"VOCdevkit/{n}": bytes(5000) for n in range(5)})[:9000])
    with pytest.raises(ValueError, match="the archive is damaged"):
        unpack_archive(archive("x", "a.tar", b"", strip="VOCdevkit/"), path, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("name", ["../outside.txt", "a/../../outside.txt", "/tmp/outside-of-the-folder.txt"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_members_outside_the_folder_are_refused(packers: Any, tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / "a.archive"
    path.write_bytes(packers[kind]({"fine.txt": b"1", name: b"2"}))
    with pytest.raises(ValueError, match="leads out of the folder; do not trust this archive"):
        unpack_archive(archive("x", "a.archive", b""), path, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    assert not (tmp_path / "outside.txt").exists()


def test_an_archive_without_the_expected_members_is_refused(packers: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(packers["zip"]({"else/x": b""}))
    with pytest.raises(ValueError, match="expected files whose names begin with VOCdevkit/, got none"):
        unpack_archive(archive("x", "a.zip", b"", strip="VOCdevkit/"), path, tmp_path / "data")
