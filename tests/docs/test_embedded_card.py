from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import make_embedded_card
import pytest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = {
    "name": "toy",
    "seed": 0,
    "core_minutes": 90.0,
    "images_seen": 54_000,
    "validation": {"last": {"AP": 0.1234}},
    "revision": "abc",
    "machine": {"processor": "AMD EPYC"},
    "config": {
        "output": "/home/me",
        "weights": "/home/me/before/last.safetensors",
        "augmentation": {"resize": {"size": [288, 288]}},
        "model": {"preprocess": {"input_size": [416, 416]}},
    },
}


def test_page_is_up_to_date() -> None:
    text = (ROOT / "docs" / "embedded_detector.md").read_text("utf-8")
    assert text == make_embedded_card.page(text), "run: python docs/make_embedded_card.py"
    assert "Not measured yet" not in text


def test_detector_passes_the_exam() -> None:
    rows, sheet = make_embedded_card.exam()
    assert [row["wanted"] for row in rows] == ["person", "cat", "cup", "motorcycle"]
    assert all(row["passed"] for row in rows), rows
    assert all(row["false"] <= 1 for row in rows), rows
    assert sheet.ndim == 3


@pytest.mark.parametrize(
    ("names", "passed", "false"),
    [
        (("cup",), True, 0),
        (("cup", "spoon", "dining table"), True, 0),
        (("cup", "dining table", "dining table"), True, 1),
        (("cup", "cup", "bowl"), True, 2),
        (("spoon",), False, 0),
        (("bowl",), False, 1),
        ((), False, 0),
    ],
)
def test_grade(names: tuple[str, ...], passed: bool, false: int) -> None:
    assert make_embedded_card.grade(make_embedded_card.Question("coffee.png", "cup", ("spoon", "dining table")), names) == (passed, false)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty results folder, and a page with empty tables."""
    monkeypatch.setattr(make_embedded_card, "RESULTS", tmp_path / "stored")
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- {name} -->\n<!-- end of {name} -->\n" for name in ("held out", "exam", "training")))
    monkeypatch.setattr(make_embedded_card, "PAGE", page)
    return tmp_path


def test_parts_are_numbered_in_order_and_summed(results: Path) -> None:
    for name, changes in (("first", {}), ("second", {"core_minutes": 30.0}), ("first", {"images_seen": 60_000})):
        written: dict[str, Any] = json.loads(json.dumps({**RESULTS, **changes}))
        if name == "second":
            written["config"]["augmentation"]["resize"]["size"] = None
            written["config"]["weights"] = None
        (results / name).mkdir(exist_ok=True)
        (results / name / "results.json").write_text(json.dumps(written))
        assert make_embedded_card.main(["--part", str(results / name / "results.json")]) == 0
    assert sorted(path.name for path in (results / "stored").iterdir()) == ["part_1.json", "part_2.json"]
    assert "/home/me" not in (results / "stored" / "part_1.json").read_text()
    text = (results / "page.md").read_text()
    assert "| first | before | 288x288 | 1.50 | 60,000 | 11.1 | 0.123 | AMD EPYC | `abc` |" in text
    assert "| second | ImageNet | 416x416 | 0.50 | 54,000 | 30.0 | 0.123 | AMD EPYC | `abc` |" in text
    assert "| all |  |  | 2.00 | 114,000 |" in text


@pytest.mark.parametrize(
    ("weights", "name"),
    [(None, "ImageNet"), ("runs/third", "third"), ("runs/third/last.safetensors", "third"), ("folder/fifth.safetensors", "fifth")],
)
def test_initial_weights(weights: str | None, name: str) -> None:
    assert make_embedded_card.initial_weights(weights) == name


def test_metrics_of_both_detectors_are_stored(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = dict.fromkeys(make_embedded_card.SHOWN, 0.25)
    numbers = {**dict.fromkeys(make_embedded_card.NUMBERS, ""), "values": values, "weights": "/home/me"}
    (results / "numbers.json").write_text(json.dumps(numbers))
    assert make_embedded_card.main(["--held-out", "teacher", str(results / "numbers.json")]) == 0
    assert f"| its teacher, YOLOX-Nano |{' 0.250 |' * 7} - |" in (results / "page.md").read_text()
    numbers["values"] = {"AP": 0.5}
    (results / "numbers.json").write_text(json.dumps(numbers))
    assert make_embedded_card.main(["--trained-on", "teacher", str(results / "numbers.json")]) == 0
    assert f"| its teacher, YOLOX-Nano |{' 0.250 |' * 7} 0.500 |" in (results / "page.md").read_text()
    assert "/home/me" not in (results / "stored" / "teacher.json").read_text()
    with pytest.raises(SystemExit):
        make_embedded_card.main(["--held-out", "nobody", "numbers.json"])
    assert "expected student or teacher, got 'nobody'" in capsys.readouterr().err


def test_failed_exam_is_reported(results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    row = {"file": "chelsea.png", "wanted": "cat", "min_score": 0.3, "passed": False, "false": 1, "found": [("dog", 0.5)]}
    monkeypatch.setattr(make_embedded_card, "exam", lambda: ([row], np.zeros((8, 8, 3), np.uint8)))
    monkeypatch.setattr(make_embedded_card, "IMAGE", results / "exam.jpg")
    assert make_embedded_card.main(["--exam"]) == 1
    assert "| chelsea.png | cat | dog 0.50: **missed** | 1 | 0.3 |" in (results / "page.md").read_text()
    assert "**missed**" in capsys.readouterr().out
    assert (results / "exam.jpg").stat().st_size > 0
