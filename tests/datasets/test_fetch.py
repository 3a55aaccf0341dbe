"""The scripts that fetch data sets, against a server on this machine."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "datasets"


class RangeHandler(SimpleHTTPRequestHandler):
    """A server that can go on in the middle of a file, and remembers where it was asked to."""

    asked: list[str]

    def __init__(self, *args: Any, asked: list[str], **more: Any) -> None:
        self.asked = asked
        super().__init__(*args, **more)

    def do_GET(self) -> None:
        data = Path(self.translate_path(self.path)).read_bytes()
        wanted = self.headers.get("Range")
        self.asked.append(wanted or "all")
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.wfile.write(data[start:])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path, list[str]]]:
    """Address, folder that is served, and what was asked of it."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(RangeHandler, directory=str(folder), asked=asked)) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", folder, asked
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield
    for name in ("_archives", "_fetch", "fetch_bccd", "fetch_coco", "fetch_voc", "make_sample"):
        sys.modules.pop(name, None)


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


def taped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tape:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tape.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def bccd(images: int = 364) -> bytes:
    base = "BCCD_Dataset-master/BCCD/"
    members = {f"{base}Annotations/{n}.xml": b"<annotation/>" for n in range(images)}
    members |= {f"{base}JPEGImages/{n}.jpg": b"jpeg" for n in range(images)}
    return zipped({**members, f"{base}ImageSets/Main/train.txt": b"0\n", "BCCD_Dataset-master/README.md": b"text"})


def test_bccd_from_nothing_to_a_folder(server: tuple[str, Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dataclasses import replace

    import fetch_bccd

    address, folder, asked = server
    (folder / "master.zip").write_bytes(bccd())
    fetch_bccd.ARCHIVE = replace(fetch_bccd.ARCHIVE, url=f"{address}/master.zip")
    target = tmp_path / "data"
    assert fetch_bccd.main([str(target), "--yes"]) == 0
    assert sorted(path.name for path in target.iterdir()) == ["Annotations", "ImageSets", "JPEGImages"]
    assert len(list((target / "JPEGImages").iterdir())) == 364
    told = capsys.readouterr().out
    assert "size not stated, checksum not stated; to fetch" in told
    assert "MIT license" in told
    assert f"ready; train with data={target}" in told
    assert fetch_bccd.main([str(target), "--yes"]) == 0
    assert asked == ["all"]
    assert "is there already" in capsys.readouterr().out


def test_images_that_are_missing_are_told(server: tuple[str, Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from dataclasses import replace

    import fetch_bccd

    address, folder, _ = server
    (folder / "master.zip").write_bytes(bccd(300))
    fetch_bccd.ARCHIVE = replace(fetch_bccd.ARCHIVE, url=f"{address}/master.zip")
    assert fetch_bccd.main([str(tmp_path / "data"), "--yes"]) == 2
    assert "expected 364 files, got 300" in capsys.readouterr().err


def test_without_yes_nothing_is_fetched(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import fetch_coco

    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert fetch_coco.main([str(tmp_path / "coco")]) == 2
    out, err = capsys.readouterr()
    assert "19.3 GB" in out
    assert "in all 20.4 GB to download" in out
    assert "COCO itself states none" in out
    assert "add --yes" in err
    assert not (tmp_path / "coco").exists()


def archive(address: str, name: str, data: bytes, **more: Any) -> Any:
    from _archives import Archive

    return Archive(f"{address}/{name}", len(data), f"md5:{hashlib.md5(data).hexdigest()}", "here", **more)


def test_a_download_goes_on_where_it_stopped(server: tuple[str, Path, list[str]], tmp_path: Path) -> None:
    from _archives import fetch_archive

    address, folder, asked = server
    data = zipped({"a/b.txt": bytes(range(256)) * 100})
    (folder / "a.zip").write_bytes(data)
    target = tmp_path / "data"
    target.mkdir()
    (target / "a.zip.part").write_bytes(data[:100])
    assert fetch_archive(archive(address, "a.zip", data), target).read_bytes() == data
    assert asked == ["bytes=100-"]


@pytest.mark.parametrize("wrong", ["size", "checksum"])
def test_another_file_than_published_is_deleted(server: tuple[str, Path, list[str]], tmp_path: Path, wrong: str) -> None:
    from _archives import fetch_archive

    address, folder, _ = server
    data = zipped({"a": b"1"})
    (folder / "a.zip").write_bytes(data)
    published = archive(address, "a.zip", data + b" " if wrong == "size" else data[:-1] + b"x")
    message = rf"expected {len(data) + 1} bytes, got {len(data)}" if wrong == "size" else "expected md5 .*, got"
    with pytest.raises(ValueError, match=message + ".*it was deleted: start again"):
        fetch_archive(published, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def test_voc_archives_share_a_folder(tmp_path: Path) -> None:
    from _archives import unpack_archive

    target = tmp_path / "data"
    for part in ("trainval", "test"):
        members = {
            f"VOCdevkit/VOC2007/{name}": part.encode()
            for name in (f"Annotations/{part}.xml", f"JPEGImages/{part}.jpg", f"ImageSets/Main/{part}.txt")
        }
        path = tmp_path / f"{part}.tar"
        path.write_bytes(taped(members))
        published = archive("x", path.name, b"", strip="VOCdevkit/", gives=(f"VOC2007/ImageSets/Main/{part}.txt",))
        assert not published.is_unpacked(target)
        assert unpack_archive(published, path, target) == 3
        assert published.is_unpacked(target)
    found = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert found == sorted(
        f"VOC2007/{name}"
        for part in ("trainval", "test")
        for name in (f"Annotations/{part}.xml", f"ImageSets/Main/{part}.txt", f"JPEGImages/{part}.jpg")
    )


def test_a_cut_archive_leaves_nothing_behind(tmp_path: Path) -> None:
    from _archives import unpack_archive

    path = tmp_path / "a.tar"
    path.write_bytes(taped({f"VOCdevkit/{n}": bytes(5000) for n in range(5)})[:9000])
    with pytest.raises(ValueError, match="the archive is damaged"):
        unpack_archive(archive("x", "a.tar", b"", strip="VOCdevkit/"), path, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


@pytest.mark.parametrize("name", ["../outside.txt", "a/../../outside.txt", "/tmp/outside-of-the-folder.txt"])
@pytest.mark.parametrize("pack", [zipped, taped])
def test_members_that_climb_out_are_refused(tmp_path: Path, name: str, pack: Any) -> None:
    from _archives import unpack_archive

    path = tmp_path / "a.archive"
    path.write_bytes(pack({"fine.txt": b"1", name: b"2"}))
    with pytest.raises(ValueError, match="climbs out of the folder; the archive is not to be trusted"):
        unpack_archive(archive("x", "a.archive", b""), path, tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []
    assert not (tmp_path / "outside.txt").exists()


def test_another_archive_is_told(tmp_path: Path) -> None:
    from _archives import unpack_archive

    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"else/x": b""}))
    with pytest.raises(ValueError, match="none of its files begins with VOCdevkit/"):
        unpack_archive(archive("x", "a.zip", b"", strip="VOCdevkit/"), path, tmp_path / "data")


def test_every_published_archive_is_described() -> None:
    import fetch_bccd
    import fetch_coco
    import fetch_voc

    archives = [fetch_coco.ANNOTATIONS, *fetch_coco.IMAGES.values(), *fetch_voc.ARCHIVES.values(), fetch_bccd.ARCHIVE]
    for published in archives:
        assert published.gives
        kind, _, digits = published.checksum.partition(":")
        assert (kind, len(digits)) in {("sha256", 64), ("md5", 32), ("", 0)}
        assert bool(published.checksum) == (published.checksum_from != "not stated")


def test_the_sample_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import make_sample

    target = tmp_path / "sample"
    assert make_sample.main([str(target), "--images", "2", "--val-images", "1", "--format", "yolo", "--short-side", "64"]) == 0
    assert (target / "data.yaml").is_file()
    assert f"ready; train with data={target}" in capsys.readouterr().out
    assert make_sample.main([str(target), "--images", "2"]) == 2
    assert "it exists and is not empty; name a new folder" in capsys.readouterr().err
