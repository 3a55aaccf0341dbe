from __future__ import annotations

import json
from pathlib import Path

import pytest

from detkit.cli.main import main


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Annotations of four images with a cat each and a dog in one, and results: every cat at .9, a wrong dog in each image at .6."""
    monkeypatch.chdir(tmp_path)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in range(1, 5)]
    boxes = [(i, 1) for i in range(1, 5)] + [(1, 2)]
    annotations = [{"id": n, "image_id": i, "category_id": c, "bbox": [10, 10, 20, 20]} for n, (i, c) in enumerate(boxes, 1)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    Path("truth.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    rows = [{"image_id": i, "category_id": c, "bbox": [10, 10, 20, 20], "score": 0.9 - 0.3 * (c - 1)} for i in range(1, 5) for c in (1, 2)]
    Path("results.json").write_text(json.dumps(rows))
    return ["evaluate", "--annotations", "truth.json", "--results", "results.json", "--no-report"]


def test_numbers_of_what_is_reported(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--at-operating-point", "--min-score", "0.5", "--json", "a.json"]) == 0
    out = capsys.readouterr().out
    assert "at a minimum score of 0.5, at IoU .5" in out
    assert "all        -        5           8        5      0.625   1.000  0.769                   0.750" in out
    assert "dog      0.5        1           4        1      0.250   1.000  0.400                   0.750" in out
    content = json.loads(Path("a.json").read_text())
    found = content["at_operating_point"]
    assert (found["min_score"], found["overall"]["precision"], found["classes"][0]["recall"]) == (0.5, 0.625, 1.0)
    assert main([*files, "--at-operating-point", "--min-score", "0.7", "--json", "b.json"]) == 0
    other = json.loads(Path("b.json").read_text())
    assert other["at_operating_point"]["overall"]["precision"] == 1
    assert other["at_operating_point"]["classes"][1]["precision"] is None
    varying = {"at_operating_point", "seconds", "peak_memory_bytes"}
    assert {key: other[key] for key in other.keys() - varying} == {key: content[key] for key in content.keys() - varying}, "AP counts all"


def test_flags_that_need_one_another(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--min-score", "0.5"]) == 2
    assert "--min-score needs --at-operating-point" in capsys.readouterr().err
    assert main([*files, "--at-operating-point"]) == 2
    assert "--at-operating-point with --annotations needs --min-score S" in capsys.readouterr().err
