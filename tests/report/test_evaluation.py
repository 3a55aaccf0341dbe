"""The report of ``detkit evaluate``: its numbers are those of the JSON to the last digit, and a failure costs nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from detkit.cli.main import main

sys.path.insert(0, str(Path(__file__).resolve().parent))

from page_numbers import Numbers, at, check_numbers
from scenes import with_masks, write_scene

FILES = ("--annotations", "gt.json", "--results", "dt.json")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_scene(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DETKIT_NO_REPORT")
    return tmp_path


def evaluate(*words: str) -> int:
    return main(["evaluate", *FILES, *words])


def report() -> Numbers:
    return Numbers(Path("r.html").read_text("utf-8"))


def test_every_number_of_the_page_is_that_of_the_json(folder: Path) -> None:
    assert evaluate("--images", "images", "--json", "n.json", "--report", "r.html") == 0
    content, page = json.loads(Path("n.json").read_text("utf-8")), report()
    assert check_numbers(page, content) > 200
    unkeyed = [(value, shown) for key, value, shown in page.values if not key]
    assert {value for value, _ in unkeyed} <= {"0"}  # kinds of mistakes that do not occur
    for key, _, _ in page.values:
        assert not key or key.split("/")[0] in {"analysis", "crops"}
    analysis = content["analysis"]
    for index, curve in page.blocks["curves-recall"].items():
        expected = analysis["curves"][int(index)]
        names = {"IoU .50": "precision_50", "IoU .75": "precision_75", "IoU .50 to .95": "precision_mean"}
        assert curve["curves"] == {label: expected[name] for label, name in names.items()}
    for index, curve in page.blocks["curves-score"].items():
        expected = analysis["curves"][int(index)]["by_score"]
        assert (curve["x"], curve["curves"]) == (expected["scores"], {name: expected[name] for name in ("precision", "recall", "f1")})
    for index, curve in page.blocks["calibration-curves"].items():
        bins = [row for row in analysis["calibration"][int(index)]["bins"] if row["count"]]
        assert (curve["x"], curve["curves"]["precision"]) == ([row["score"] for row in bins], [row["precision"] for row in bins])
    assert set(page.blocks["curves-recall"]) == {"0", "1", "2", "3"}  # a class without objects has no curves


def test_masks_have_their_numbers_and_are_drawn(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--images", "images", "--report", "r.html") == 0
    plain = Path("r.html").read_text("utf-8")
    with_masks(folder)
    assert evaluate("--images", "images", "--json", "n.json", "--report", "r.html") == 0
    assert "COCO   boxes  masks" in capsys.readouterr().out
    content, page, text = json.loads(Path("n.json").read_text("utf-8")), report(), Path("r.html").read_text("utf-8")
    values = {key: value for key, value, _ in page.values}
    for name in ("AP", "AP50", "AP75", "AR100"):
        assert values[f"analysis/numbers/segm/values/{name}"] == repr(content["segm"]["values"][name])
    assert content["analysis"]["numbers"]["segm"] == content["segm"]
    assert content["segm"]["values"]["AP"] != content["values"]["AP"]
    for key, value in values.items():
        assert not key or value == ("" if at(content, key) is None else repr(at(content, key))), key
    assert "mask AP50" in text
    assert "blue areas detected ones" in text
    assert "mask AP50" not in plain
    images = [set(re.findall(r'src="(data:image/webp[^"]*)"', part)) for part in (plain, text)]
    assert not images[0] & images[1]  # each of them has masks now


def test_all_kinds_are_shown_with_images_and_links(folder: Path) -> None:
    assert evaluate("--images", "images", "--report", "r.html") == 0
    text = Path("r.html").read_text("utf-8")
    for kind in ("miss", "false alarm", "wrong class", "duplicate", "poor localization", "correct, least certain"):
        assert f'data-f0="{kind}"' in text
    assert "犬 &lt;dog&gt;" in text
    assert '<option value="">all classes</option>' in text  # not mistaken for the class called "all"
    assert text.count('src="data:image/webp') > 20
    files = [link for link in report().links if link.startswith("file:")]
    assert (folder / "images" / "image 1 é.png").as_uri() in files
    cells = report().blocks["confusion-cells"]
    listed = {cells["base"] + address for address in cells["addresses"]}
    assert listed <= {path.as_uri() for path in (folder / "images").iterdir()}


def test_the_command_repeats_the_evaluation(folder: Path) -> None:
    assert evaluate("--images", "images", "--report", "r.html", "--metric", "coco") == 0
    match = re.search(r"<code>(detkit evaluate [^<]*)</code>", Path("r.html").read_text("utf-8"))
    assert match is not None
    assert match[1] == "detkit evaluate --images images --annotations gt.json --results dt.json"


def test_each_evaluation_has_a_folder_of_its_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        assert evaluate() == 0
        assert f"report: {Path('runs') / f'evaluate-{number}' / 'report.html'} (" in capsys.readouterr().out
    assert "no image" in Path("runs/evaluate-2/report.html").read_text("utf-8")


def test_no_report(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--no-report", "--json", "n.json") == 0
    monkeypatch.setenv("DETKIT_NO_REPORT", "1")
    assert evaluate() == 0
    assert not Path("runs").exists()
    assert "analysis" not in json.loads(Path("n.json").read_text())
    assert evaluate("--report", "r.html", "--no-report") == 2
    assert "contradict each other" in capsys.readouterr().err


@pytest.mark.parametrize("empty", ["detections", "objects"])
@pytest.mark.parametrize("classes", [1, 4])
def test_nothing_to_show(folder: Path, empty: str, classes: int) -> None:
    truth = json.loads(Path("gt.json").read_text("utf-8"))
    truth["categories"] = truth["categories"][:classes]
    known = {row["id"] for row in truth["categories"]}
    truth["annotations"] = [] if empty == "objects" else [row for row in truth["annotations"] if row["category_id"] in known]
    Path("gt.json").write_text(json.dumps(truth), "utf-8")
    rows = [row for row in json.loads(Path("dt.json").read_text("utf-8")) if row["category_id"] in known]
    Path("dt.json").write_text(json.dumps([] if empty == "detections" else rows), "utf-8")
    assert evaluate("--images", "images", "--json", "n.json", "--report", "r.html") == 0
    content = json.loads(Path("n.json").read_text("utf-8"))
    assert all(value == ("" if at(content, key) is None else repr(at(content, key))) for key, value, _ in report().values if key)
    expected = "The detector found nothing" if empty == "detections" else "has no object to detect"
    assert expected in Path("r.html").read_text("utf-8")


def test_missing_images_cost_only_themselves(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images" / "image 1 é.png").unlink()
    (folder / "images" / "image 3 é.png").write_bytes(b"no image")
    assert evaluate("--images", "images", "--report", "r.html") == 0
    assert "2 images could not be read" in capsys.readouterr().out
    assert 'class="missing"' in Path("r.html").read_text("utf-8")


@pytest.mark.parametrize("requested", [True, False])
def test_a_failing_report_loses_no_number(
    folder: Path, requested: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device", ".r.html.tmp")

    monkeypatch.setattr("detkit.report.page.write_text", fail)
    code = evaluate("--json", "n.json", *(("--report", "r.html") if requested else ()))
    done = capsys.readouterr()
    assert code == (2 if requested else 0)
    assert "average precision at IoU .50" in done.out
    assert json.loads(Path("n.json").read_text())["analysis"]["tide"]
    assert len(done.err.splitlines()) == 1
    assert "No space left on device" in done.err


def test_wrong_images_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other").mkdir()
    assert evaluate("--images", "other", "--report", "r.html") == 2
    assert "--images other: expected the images of gt.json; no file such as" in capsys.readouterr().err


@pytest.mark.slow
def test_many_classes_keep_the_page_small(folder: Path) -> None:
    truth = json.loads(Path("gt.json").read_text("utf-8"))
    truth["categories"] += [{"id": 100 + number, "name": f"class {number}"} for number in range(2000)]
    for number, row in enumerate(truth["annotations"]):
        row["category_id"] = 100 + number % 400
    Path("gt.json").write_text(json.dumps(truth), "utf-8")
    assert evaluate("--report", "r.html") == 0
    assert Path("r.html").stat().st_size < 6e6
    assert "classes that are confused most are shown" in Path("r.html").read_text("utf-8")


def test_a_results_file_is_reported_without_torch(folder: Path) -> None:
    code = "import sys; from detkit.cli.main import main; main(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "evaluate", *FILES, "--report", "r.html"], check=True, capture_output=True)
