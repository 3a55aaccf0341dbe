from __future__ import annotations

import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from bright import image, predictor, saved

import detkit.inference
from detkit.cli.evaluate_classifier import judge_images
from detkit.cli.main import main
from detkit.cli.outputs import Outputs

RED, GREEN = [10, 20, 20, 20], [40, 5, 20, 10]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two labeled images, and a detector of bright rectangles under the name ``bright``."""

    def load(source: Any, device: str, precision: str, **options: Any) -> Any:
        assert (str(source), precision) == ("bright", "fp32")
        return predictor(60, **options)

    monkeypatch.setattr(detkit.inference, "load", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for i in (1, 2):
        saved(tmp_path / "in", f"{i}.png", image())
    write_truth(("red", "green"))
    return tmp_path


def write_truth(names: tuple[str, ...]) -> None:
    images = [{"id": i, "file_name": f"{i}.png", "width": 80, "height": 60} for i in (1, 2)]
    boxes = [(1, 3, RED), (2, 3, RED), (2, 5, GREEN)]
    rows = [{"id": n + 1, "image_id": i, "category_id": c, "bbox": b} for n, (i, c, b) in enumerate(boxes) if c == 3 or len(names) > 1]
    categories = [{"id": number, "name": name} for number, name in zip((3, 5), names, strict=False)]
    Path("gt.json").write_text(json.dumps({"images": images, "categories": categories, "annotations": rows}))


def evaluate(*words: str) -> int:
    return main(["evaluate", *words])


def line(text: str, start: str) -> list[str]:
    return next(row.split() for row in text.splitlines() if row.split()[:1] == [start])


def test_against_another_detector_or_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("bright", "--data", "gt.json", "--images", "in")
    assert evaluate(*words, "--results", "dt.json", "--against", "bright") == 0
    assert line(capsys.readouterr().out, "AP50")[1:] == ["0.750", "average", "precision", "at", "IoU", ".50"]
    Path("less.json").write_text(json.dumps([row for row in json.loads(Path("dt.json").read_text()) if row["image_id"] == 1]))
    assert evaluate(*words, "--against", "less.json", "--json", "n.json") == 0
    out = capsys.readouterr().out
    table = out[out.index("against less.json, 2,000 draws of images") :]
    assert line(table, "AP50")[1:4] == ["0.750", "0.252", "+0.498"]  # half the red ones, no green one
    written = json.loads(Path("n.json").read_text())["against"]
    assert written["other"] == "less.json"
    row = next(row for row in written["numbers"] if row["name"] == "AP50")
    assert row["difference"] == pytest.approx(0.75 - 0.252, abs=1e-3)
    assert row["low"] <= row["difference"] <= row["high"]
    assert evaluate("--annotations", "gt.json", "--results", "dt.json", "--against", "less.json") == 0
    assert line(capsys.readouterr().out.split("draws of images")[1], "AP50")[1:4] == ["0.750", "0.252", "+0.498"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bright", "--data", "gt.json", "--metric", "voc", "--against", "bright"), "does not go with --metric voc"),
        (("--annotations", "gt.json", "--results", "dt.json", "--against", "bright"), "another file of COCO results, ending in .json"),
        (("bright", "--data", "gt.json", "--images", "in", "--against", "none.json"), "none.json"),
    ],
)
def test_against_what_cannot_be(folder: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(*words) != 0
    assert message in capsys.readouterr().err


def test_against_its_own_results_whatever_the_ids(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = json.loads(Path("gt.json").read_text())
    ids = {1: 7, 2: 0}
    for row in truth["images"]:
        row["id"] = ids[row["id"]]
    for row in truth["annotations"]:
        row["image_id"] = ids[row["image_id"]]
    Path("gt.json").write_text(json.dumps(truth))
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--results", "dt.json") == 0
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--against", "dt.json") == 0
    _, own, other, difference, *_ = line(capsys.readouterr().out.split("draws of images")[1], "AP50")
    assert own == other != "0.000"
    assert difference == "+0.000"


def test_the_images_kept_for_validation_and_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("bright", "--data", "gt.json", "--images", "in", "--val-fraction", "0.5")
    told = []
    for more in ((), ("--trained-on",)):
        assert evaluate(*words, *more) == 0
        told.append(capsys.readouterr().out.split("data: ")[1].splitlines()[0])
    assert told == ["gt.json, 50 %: 1 image, 2 boxes", "gt.json, without the 50 % kept for validation: 1 image, 1 box"]
    assert evaluate("bright", "--data", "gt.json", "--trained-on") == 2
    assert "--trained-on means the images that --val-fraction F leaves for training" in capsys.readouterr().err
    assert evaluate("bright", "--val-fraction", "0.5") == 2
    assert "--val-fraction is a part of --data PATH" in capsys.readouterr().err


def test_a_detector_on_labeled_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--json", "n.json", "--results", "dt.json") == 0
    out = capsys.readouterr().out
    assert "weights: bright (as given; 2 classes), on cpu in fp32" in out
    assert "data: gt.json: 2 images, 3 boxes" in out
    assert line(out, "AP50")[1] == "0.750"  # red 1; green 1/2: the first of two equal scores is wrong
    assert line(out, "APl")[1] == "-"
    assert line(out, "red")[1:] == ["2", "2", "1.000", "1.000", "1.000", "1.000"]
    assert line(out, "green")[1:3] == ["1", "2"]
    assert "2 images, 3 boxes; 4 detections" in out
    assert "ms a image); peak memory" in out
    assert "written: n.json, dt.json" in out
    numbers = json.loads(Path("n.json").read_text())
    assert (numbers["weights"], numbers["data"], numbers["precision"]) == ("bright", "gt.json", "fp32")
    assert numbers["values"]["AP50"] == pytest.approx(0.75)
    assert numbers["values"]["APl"] is None
    assert numbers["seconds"].keys() == {"loading", "detecting", "judging"}
    assert numbers["peak_memory_bytes"] > 10**6
    assert [row["category_id"] for row in json.loads(Path("dt.json").read_text())] == [3, 5, 3, 5]


def test_a_file_that_cannot_be_written_does_not_lose_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_results(*_: Any) -> None:
        raise OSError(28, "No space left on device", ".dt.json.123.tmp")

    monkeypatch.setattr("detkit.evaluation.evaluator.Evaluator.write_results", write_results)
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--results", "dt.json", "--json", "n.json") == 2
    done = capsys.readouterr()
    assert done.err == "detkit: error: --results dt.json: could not be written: No space left on device\n"
    assert done.out.splitlines()[-1] == "written: n.json"
    assert json.loads(Path("n.json").read_text())["left_out_classes"] == {}


def test_its_results_give_the_same_numbers_from_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--results", "dt.json", "--json", "a.json") == 0
    for evaluator in ("hotcoco", "pycocotools"):
        assert evaluate("--annotations", "gt.json", "--results", "dt.json", "--json", "b.json", "--evaluator", evaluator) == 0
        first, second = (json.loads(Path(name).read_text()) for name in ("a.json", "b.json"))
        assert first["values"] == pytest.approx(second["values"], abs=1e-12)
        assert first["classes"] == second["classes"]
        assert second["evaluator"] == evaluator


@pytest.mark.parametrize(("metric", "rule", "ap"), [("voc", "all-point", (1 + 0.25) / 2), ("voc07", "11-point", (1 + 6 * 0.5 / 11) / 2)])
def test_voc_metrics(folder: Path, capsys: pytest.CaptureFixture[str], metric: str, rule: str, ap: float) -> None:
    truth = json.loads(Path("gt.json").read_text())
    truth["annotations"].append({"id": 9, "image_id": 2, "category_id": 5, "bbox": [0, 0, 5, 5]})
    Path("gt.json").write_text(json.dumps(truth))
    words = ("bright", "--data", "gt.json", "--images", "in", "--metric", metric, "--iou", "0.5,0.9", "--json", "n.json")
    assert evaluate(*words) == 0
    out = capsys.readouterr().out
    assert f"Pascal VOC average precision, {rule}" in out
    numbers = json.loads(Path("n.json").read_text())
    assert numbers["values"][0] == pytest.approx(ap)
    assert line(out, "mean")[1:] == ["4", "4", f"{ap:.3f}", f"{ap:.3f}"]


def test_classes_that_the_data_does_not_have_are_left_out_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_truth(("red",))
    assert evaluate("bright", "--data", "gt.json", "--images", "in") == 0
    out = capsys.readouterr().out
    assert "left out: 2 detections of classes that the data does not have (green 2)" in out
    assert line(out, "AP")[1] == "1.000"


def test_classes_are_mapped_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_truth(("rouge", "green"))
    words = ("bright", "--data", "gt.json", "--images", "in")
    assert evaluate(*words) == 2
    error = capsys.readouterr().err
    assert "the data has 2 [rouge, green]; expected 2 [red, green]; only in the data: 1 [rouge]" in error
    assert error.count("\n") == 1
    assert evaluate(*words, "--rename", "rouge=red") == 0
    out = capsys.readouterr().out
    assert "class rouge of the data is judged as red" in out
    assert line(out, "red")[1:4] == ["2", "2", "1.000"]
    assert evaluate(*words, "--classes", "green") == 0
    out = capsys.readouterr().out
    assert "red" not in out.split("COCO", 1)[1].split("left out")[0]
    assert "left out: 2 detections of classes that the data does not have (red 2)" in out


def test_a_class_with_a_comma_stays_whole(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bright.NAMES", ("red, big", "green", None))
    write_truth(("rouge", "green"))
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--rename", "rouge=red, big", "--classes", "red, big") == 0
    assert "left out: 2 detections of classes that the data does not have (green 2)" in capsys.readouterr().out


def test_details(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--details", "--json", "n.json") == 0
    out = capsys.readouterr().out
    assert "best score to cut at, by F1 at IoU .5" in out
    assert "kinds of error (TIDE), and how much AP50 each costs" in out
    assert line(out, "in/1.png")[1:] == ["1", "1", "0"]
    assert json.loads(Path("n.json").read_text())["details"]["errors"]["Bkg"]["count"] == 1


def test_files_need_no_torch(folder: Path) -> None:
    import subprocess
    import sys

    Path("dt.json").write_text("[]")
    code = (
        "import sys; from detkit.cli.main import main\n"
        "code = main(['evaluate', '--annotations', 'gt.json', '--results', 'dt.json', '--json', 'n.json'])\n"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(detkit.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL, env=environment).returncode == 0
    assert json.loads(Path("n.json").read_text())["values"]["AP"] == 0.0


def error_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert evaluate(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("detkit: error: ")
    assert error.count("\n") == 1
    return error.removeprefix("detkit: error: ").strip()


def test_flags_that_do_not_go_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys, "--annotations", "gt.json") == "--annotations needs --results FILE, the COCO results to judge"
    assert error_of(capsys, "bright", "--annotations", "gt.json", "--results", "a").startswith(
        "--annotations judges a file of results without"
    )
    assert "expected numbers above 0 and at most 1, such as 0.5,0.75; got '50'" in error_of(capsys, "bright", "--iou", "50")
    Path("dt.json").write_text("[]")
    assert "exists; to judge it give --annotations FILE too" in error_of(capsys, "--results", "dt.json")


def test_wrong_paths_and_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "data none.json: no such file or folder" in error_of(capsys, "bright", "--data", "none.json")
    assert "which data? bright does not tell on what it was validated" in error_of(capsys, "bright")
    words = ("bright", "--data", "gt.json", "--images", "in")
    assert "class map 'red': expected DATA_NAME=NEW_NAME" in error_of(capsys, *words, "--rename", "red")
    assert "class map: the data has no class 'rad': did you mean 'red'?" in error_of(capsys, *words, "--rename", "rad=red")
    assert "gt.json: the data has no class 'blue'" in error_of(capsys, *words, "--classes", "blue")
    assert "--classes: expected names of classes, such as cat,dog; got ','" in error_of(capsys, *words, "--classes", ",")
    assert "annotations none.json: no such file" in error_of(capsys, "--annotations", "none.json", "--results", "gt.json")


def test_no_weights_and_no_run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.weights.carried._FILE", folder / "none.safetensors")
    assert "there is no detector to use: no run under runs/" in error_of(capsys, "--data", "gt.json", "--images", "in")


@pytest.mark.parametrize("flag", ["results", "pyramid", "flip", "details", "against", "metric"])
def test_a_classifier_refuses_what_is_about_boxes(flag: str) -> None:
    given = dict.fromkeys(("results", "pyramid", "flip", "details", "against")) | {"metric": "coco", "weights": "runs/cats"} | {flag: "voc"}
    with pytest.raises(ValueError, match=f"^--{flag}: runs/cats is a classifier, which finds no boxes$"):
        judge_images(Namespace(**given), Outputs(Namespace()))
