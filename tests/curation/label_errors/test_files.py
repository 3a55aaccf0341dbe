"""Tables of candidates, the label set to correct, and the warning about detectors that were trained on the labels."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from labeled_scenes import NAMES, Scenes

from detkit.curation.label_errors import ErrorKind, LabelErrors, label_set, memory, memory_warnings
from detkit.curation.label_errors.candidates import Candidate
from detkit.curation.output import OutputOptions, write_parts
from detkit.curation.parts import read_parts

BOX, BETTER = (10.0, 20.0, 60.0, 80.0), (12.0, 22.0, 90.0, 95.0)
CANDIDATES = (
    Candidate(ErrorKind.MISSING, "train", 2, "002.png", None, "", None, "cat", BETTER, 0.9, 0.8),
    Candidate(ErrorKind.CLASS, "train", 0, "000.png", 1, "cup", BOX, "dog", None, 0.7, 0.6),
    Candidate(ErrorKind.BOX, "train", 2, "002.png", 1, "cup", BOX, "cup", BETTER, 0.5, 0.9),
    Candidate(ErrorKind.BOX, "train", 1, 'a,"b".png', 2, "dog", BOX, "", None, 0.4, None, True),
)
ERRORS = LabelErrors("scenes", "synthetic", CANDIDATES, 3, 9, {"mug": 2}, ("car",), ("look out",))


def test_json_and_csv_have_all_candidates(tmp_path: Path) -> None:
    ERRORS.write(tmp_path / "e.json")
    ERRORS.write(tmp_path / "e.csv")
    content = json.loads((tmp_path / "e.json").read_text("utf-8"))
    assert content["counts"] == {"missing box": 1, "doubtful box": 2, "doubtful class": 1}
    assert content["candidates"][0]["suggested_box"] == list(BETTER)
    assert content["candidates"][3]["file"] == 'a,"b".png'
    rows = list(csv.DictReader((tmp_path / "e.csv").open(encoding="utf-8", newline="")))
    assert [row["file"] for row in rows] == [one.file for one in CANDIDATES]
    assert (rows[0]["row"], rows[0]["x1"], rows[0]["suggested_x1"]) == ("", "", "12.00")
    assert (rows[1]["class"], rows[1]["suggested_class"], rows[1]["suggested_x1"]) == ("cup", "dog", "")
    assert (rows[3]["detection_score"], rows[3]["difficult"]) == ("", "1")


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_the_label_set_keeps_labels_and_adds_marked_suggestions(tmp_path: Path, kind: str) -> None:
    scenes = Scenes(4)
    (tmp_path / "images").mkdir()
    parts = scenes.parts(tmp_path / "images")
    write_parts(label_set(parts, ERRORS, 4), tmp_path / "new", OutputOptions(kind=kind))
    read = read_parts(tmp_path / "new")
    assert set(NAMES) < set(read.class_names)
    part = next(iter(read.parts.values()))
    by_name = {Path(record.path).name: record for record in part.data.records}
    assert set(by_name) == {"000.png", "001.png", "002.png"}
    targets = by_name["002.png"].targets
    names = [read.class_names[label] for label in targets.labels.tolist()]
    assert names == [*(NAMES[label] for label in scenes.labels[2].tolist()), "?cat", "?cup"]
    assert targets.boxes[3].tolist() == pytest.approx(BETTER, abs=0.01)
    assert targets.boxes[4].tolist() == pytest.approx(BETTER, abs=0.01)
    assert read.class_names[int(by_name["000.png"].targets.labels[-1])] == "?dog"
    assert by_name["000.png"].targets.boxes[-1].tolist() == pytest.approx(BOX, abs=0.01)
    assert read.class_names[int(by_name["001.png"].targets.labels[-1])] == "?not dog"


def test_the_first_candidates_choose_the_images() -> None:
    parts = label_set(Scenes(4).parts(), ERRORS, 1)
    assert parts.parts["train"].names == ("002.png",)
    assert parts.class_names == (*NAMES, "?cat")


def test_no_candidates_are_an_error() -> None:
    with pytest.raises(ValueError, match="no candidates"):
        label_set(Scenes(1).parts(), LabelErrors("scenes", "m", (), 1, 3), 5)


def header(path: str, split: str | None) -> dict[str, str]:
    return {"experiment": json.dumps({"data": {"train": {"path": path, "split": split}}})}


@pytest.mark.parametrize(
    ("trained_on", "split", "expected"),
    [("scenes", None, "all of its images"), ("scenes/labels.json", "val", "the part val"), ("other", None, None)],
)
def test_a_detector_that_was_trained_on_the_data_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trained_on: str, split: str | None, expected: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "source_metadata", lambda _: header(trained_on, split))
    lines = memory_warnings("model.safetensors", Scenes(1).parts())
    assert len(lines) == (expected is not None)
    assert expected is None or f"model.safetensors: it was trained on {expected}" in lines[0]


@pytest.mark.parametrize("metadata", [{}, {"experiment": ""}, {"experiment": "{"}, {"experiment": '{"data": 3}'}])
def test_unknown_training_data_are_reported(monkeypatch: pytest.MonkeyPatch, metadata: dict[str, str]) -> None:
    monkeypatch.setattr(memory, "source_metadata", lambda _: metadata)
    assert "does not state its training data" in memory_warnings("m", Scenes(1).parts())[0]
