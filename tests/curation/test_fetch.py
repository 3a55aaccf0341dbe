from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detkit.curation import DATA_SETS, FetchObserver, fetch_data_set, plan_fetch
from detkit.curation.archives import Archive
from detkit.curation.fetch import readable_size


class Recorder(FetchObserver):
    """Records the names of the events."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def planned(self, plan: Any) -> None:
        self.events.append(("planned", len(plan.missing)))

    def downloading(self, archive: Archive, received: int, total: int | None) -> None:
        if self.events[-1] != "downloading":
            self.events.append("downloading")

    def unpacking(self, archive: Archive) -> None:
        self.events.append("unpacking")

    def unpacked(self, archive: Archive, count: int) -> None:
        self.events.append(("unpacked", count))


def test_bccd_is_downloaded_once(serve_bccd: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server, target, observer = serve_bccd(), tmp_path / "data", Recorder()
    assert fetch_data_set(DATA_SETS["bccd"], target, confirm=lambda plan: True, observer=observer)
    assert sorted(path.name for path in target.iterdir()) == ["Annotations", "ImageSets", "JPEGImages"]
    assert len(list((target / "JPEGImages").iterdir())) == 364
    assert observer.events == [("planned", 1), "downloading", "unpacking", ("unpacked", 729)]
    assert fetch_data_set(DATA_SETS["bccd"], target, confirm=lambda plan: pytest.fail("nothing is missing"))
    assert server.requests == ["all"]
    assert capsys.readouterr() == ("", "")


def test_archives_can_be_kept(serve_bccd: Any, tmp_path: Path) -> None:
    serve_bccd()
    assert fetch_data_set(DATA_SETS["bccd"], tmp_path / "data", confirm=lambda plan: True, keep_archives=True)
    assert (tmp_path / "data" / "master.zip").is_file()


def test_missing_images_are_reported(serve_bccd: Any, tmp_path: Path) -> None:
    serve_bccd(300)
    with pytest.raises(ValueError, match=r"Annotations: expected 364 files, got 300; delete .* and start again"):
        fetch_data_set(DATA_SETS["bccd"], tmp_path / "data", confirm=lambda plan: True)


def test_nothing_is_written_unless_confirmed(tmp_path: Path) -> None:
    plans: list[Any] = []
    assert not fetch_data_set(DATA_SETS["coco"], tmp_path / "coco", confirm=lambda plan: bool(plans.append(plan)))
    (plan,) = plans
    assert plan.is_exact
    assert readable_size(plan.download_size) == "20.4 GB"
    assert len(plan.missing) == 3
    assert not (tmp_path / "coco").exists()


def test_parts_are_selected_by_name(tmp_path: Path) -> None:
    plan = plan_fetch(DATA_SETS["coco"], tmp_path, ["val"])
    assert [archive.file_name for archive in plan.missing] == ["annotations_trainval2017.zip", "val2017.zip"]
    assert [archive.file_name for archive in plan_fetch(DATA_SETS["voc"], tmp_path, ["2007"]).missing] == ["VOCtrainval_06-Nov-2007.tar"]
    with pytest.raises(ValueError, match=r"COCO 2017: unknown part 'trian': did you mean 'train'\?"):
        plan_fetch(DATA_SETS["coco"], tmp_path, ["trian"])


def test_too_little_disk_space_is_reported_before_any_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: type("Usage", (), {"free": 1_000_000_000})())
    with pytest.raises(ValueError, match=r"expected about 40.1 GB of free disk space, got 1.0 GB; use a folder on another disk"):
        fetch_data_set(DATA_SETS["coco"], tmp_path / "coco", confirm=lambda plan: True)


def test_every_published_archive_is_described() -> None:
    for data_set in DATA_SETS.values():
        assert data_set.license
        assert not Path(data_set.destination).is_absolute()
        for archive in data_set.select():
            assert archive.gives
            assert archive.unpacked_size > 0
            kind, _, digits = archive.checksum.partition(":")
            assert (kind, len(digits)) in {("sha256", 64), ("md5", 32), ("", 0)}
            assert bool(archive.checksum) == (archive.checksum_source != "not stated")


def test_the_table_is_read_without_torch() -> None:
    code = "import sys; from detkit.curation import DATA_SETS; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
