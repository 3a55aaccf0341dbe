"""Real data, and labels that broke readers, in every format and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_data import boxes_by_name

from detkit.curation import LabeledParts, convert, read_parts
from detkit.data.writers import WRITERS


def boxes(data: LabeledParts) -> list[list[tuple[float, ...]]]:
    """Return the sorted boxes of each image, sorted."""
    return sorted(sorted(box for _, box in rows) for rows in boxes_by_name(data).values())


def readable(folder: Path) -> dict[Path, LabeledParts]:
    """Return the data sets below a folder of cases that can be read."""
    found = {}
    for path in sorted(path for path in folder.glob("*/*") if path.is_dir()):
        try:
            found[path] = read_parts(path)
        except ValueError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
def test_cases_that_broke_readers(shared: Path, tmp_path: Path, kind: str) -> None:
    sources = readable(shared / "cases" / "data")
    assert len(sources) > 90
    for number, (path, before) in enumerate(sources.items()):
        target = tmp_path / str(number)
        if path.name == "taco" and kind not in ("coco", "voc"):  # its parts have names that the format has no place for
            with pytest.raises(ValueError, match="data have parts called train, val, test only"):
                convert(path, target, kind)
            continue
        written = convert(path, target, kind)
        after = read_parts(target)
        assert boxes(after) == boxes(before), path
        spaces = "classes with spaces around their names" in written.lost
        assert after.class_names == (tuple(map(str.strip, before.class_names)) if spaces else before.class_names), path


@pytest.mark.slow
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("name", ["coco_sample/instances.json", "bccd", "voc100/annotations/pascalvoc_format"])
def test_real_data(shared: Path, tmp_path: Path, kind: str, name: str) -> None:
    source = shared / "data" / name
    images = {"images": shared / "data" / "voc100" / "images"} if "voc100" in name else {}
    if not source.exists():
        pytest.skip(f"needs {source}")
    convert(source, tmp_path / "first", "coco", **images)  # type: ignore[arg-type]
    before = read_parts(tmp_path / "first")
    convert(tmp_path / "first", tmp_path / "new", kind)
    after = read_parts(tmp_path / "new")
    assert after.class_names == before.class_names
    assert boxes(after) == boxes(before)
    assert sum(map(len, boxes(after))) > 200
