from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bright import image, predictor, saved

import detkit.inference
from detkit.cli.evaluate.classifier import evaluate_images
from detkit.cli.evaluate.options import EvaluateOptions
from detkit.cli.main import main
from detkit.cli.outputs import Outputs
from detkit.weights import embedded_path

RED, GREEN = [10, 20, 20, 20], [40, 5, 20, 10]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two labeled images, where ``bright`` is a detector of bright rectangles."""

    def load(source: Any, device: str, precision: str, **options: Any) -> Any:
        assert (str(source), precision) == ("bright", "fp32")
        return predictor(60, **options)

    monkeypatch.setattr(detkit.inference, "load", load)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for i in (1, 2):
        saved(tmp_path / "in", f"{i}.png", image())
    write_labels(("red", "green"))
    return tmp_path


def write_labels(names: tuple[str, ...]) -> None:
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
    table = out[out.index("against less.json, 2,000 bootstrap resamples of the images") :]
    assert line(table, "AP50")[1:4] == ["0.750", "0.252", "+0.498"]  # half of the red objects, none of the green ones
    written = json.loads(Path("n.json").read_text())["against"]
    assert written["other"] == "less.json"
    row = next(row for row in written["numbers"] if row["name"] == "AP50")
    assert row["difference"] == pytest.approx(0.75 - 0.252, abs=1e-3)
    assert row["low"] <= row["difference"] <= row["high"]
    assert evaluate("--annotations", "gt.json", "--results", "dt.json", "--against", "less.json") == 0
    assert line(capsys.readouterr().out.split("resamples of the images")[1], "AP50")[1:4] == ["0.750", "0.252", "+0.498"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bright", "--data", "gt.json", "--metric", "voc", "--against", "bright"), "so it cannot be combined with --metric voc"),
        (("--annotations", "gt.json", "--results", "dt.json", "--against", "bright"), "expected another COCO results file ending in .json"),
        (("bright", "--data", "gt.json", "--images", "in", "--against", "none.json"), "none.json"),
    ],
)
def test_invalid_comparisons_are_refused(folder: Path, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(*words) != 0
    assert message in capsys.readouterr().err


def test_against_own_results_with_any_image_ids(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = json.loads(Path("gt.json").read_text())
    ids = {1: 7, 2: 0}
    for row in truth["images"]:
        row["id"] = ids[row["id"]]
    for row in truth["annotations"]:
        row["image_id"] = ids[row["image_id"]]
    Path("gt.json").write_text(json.dumps(truth))
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--results", "dt.json") == 0
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--against", "dt.json") == 0
    _, own, other, difference, *_ = line(capsys.readouterr().out.split("resamples of the images")[1], "AP50")
    assert own == other != "0.000"
    assert difference == "+0.000"


def test_val_fraction_and_trained_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("bright", "--data", "gt.json", "--images", "in", "--val-fraction", "0.5")
    lines = []
    for more in ((), ("--trained-on",)):
        assert evaluate(*words, *more) == 0
        lines.append(capsys.readouterr().out.split("data: ")[1].splitlines()[0])
    assert lines == ["gt.json, 50 %: 1 image, 2 boxes", "gt.json, without the 50 % kept for validation: 1 image, 1 box"]
    assert evaluate("bright", "--data", "gt.json", "--trained-on") == 2
    assert "--trained-on needs --val-fraction F: it evaluates the images that F leaves for training" in capsys.readouterr().err
    assert evaluate("bright", "--val-fraction", "0.5") == 2
    assert "--val-fraction needs --data PATH, which it splits" in capsys.readouterr().err


def test_detector_on_labeled_images(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--json", "n.json", "--results", "dt.json") == 0
    out = capsys.readouterr().out
    assert "model: bright (as given; 2 classes), on cpu in fp32" in out
    assert "data: gt.json: 2 images, 3 boxes" in out
    assert line(out, "AP50")[1] == "0.750"  # red 1, green 1/2: the first of two equal scores is wrong
    assert line(out, "APl")[1] == "-"
    assert line(out, "red")[1:] == ["2", "2", "1.000", "1.000", "1.000", "1.000"]
    assert line(out, "green")[1:3] == ["1", "2"]
    assert "2 images, 3 boxes; 4 detections" in out
    assert "ms per image); peak memory" in out
    assert "written: n.json, dt.json" in out
    numbers = json.loads(Path("n.json").read_text())
    assert (numbers["model"], numbers["data"], numbers["precision"]) == ("bright", "gt.json", "fp32")
    assert numbers["values"]["AP50"] == pytest.approx(0.75)
    assert numbers["values"]["APl"] is None
    assert numbers["seconds"].keys() == {"loading", "detecting", "judging"}
    assert numbers["peak_memory_bytes"] > 10**6
    assert [row["category_id"] for row in json.loads(Path("dt.json").read_text())] == [3, 5, 3, 5]


def test_an_unwritable_file_does_not_prevent_the_others(
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


def test_results_files_give_the_same_numbers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    words = ("bright", "--data", "gt.json", "--images", "in", "--metric", metric, "--iou", "0.5", "0.9", "--json", "n.json")
    assert evaluate(*words) == 0
    out = capsys.readouterr().out
    assert f"Pascal VOC average precision, {rule}" in out
    numbers = json.loads(Path("n.json").read_text())
    assert numbers["values"][0] == pytest.approx(ap)
    assert line(out, "mean")[1:] == ["4", "4", f"{ap:.3f}", f"{ap:.3f}"]


def test_detections_of_unknown_classes_are_left_out_and_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_labels(("red",))
    assert evaluate("bright", "--data", "gt.json", "--images", "in") == 0
    out = capsys.readouterr().out
    assert "left out: 2 detections of classes that the data does not have (green 2)" in out
    assert line(out, "AP")[1] == "1.000"


def test_classes_are_matched_by_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_labels(("rouge", "green"))
    words = ("bright", "--data", "gt.json", "--images", "in")
    assert evaluate(*words) == 2
    error = capsys.readouterr().err
    assert "the data has 2 [rouge, green]; expected 2 [red, green]; only in the data: 1 [rouge]" in error
    assert "; rename classes with --rename rouge=NAME, or select the classes to keep with --classes" in error
    assert error.count("\n") == 1
    assert evaluate(*words, "--rename", "rouge=red") == 0
    out = capsys.readouterr().out
    assert "class rouge of the data is evaluated as red" in out
    assert line(out, "red")[1:4] == ["2", "2", "1.000"]
    assert evaluate(*words, "--classes", "green") == 0
    out = capsys.readouterr().out
    assert "red" not in out.split("COCO", 1)[1].split("left out")[0]
    assert "left out: 2 detections of classes that the data does not have (red 2)" in out


def test_class_names_with_commas_are_not_split(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bright.NAMES", ("red, big", "green", None))
    write_labels(("rouge", "green"))
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--rename", "rouge=red, big", "--classes", "red, big") == 0
    assert "left out: 2 detections of classes that the data does not have (green 2)" in capsys.readouterr().out


def test_details(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate("bright", "--data", "gt.json", "--images", "in", "--details", "--json", "n.json") == 0
    out = capsys.readouterr().out
    assert "best minimum score, by F1 at IoU .5" in out
    assert "kinds of error (TIDE) and the AP50 that each costs" in out
    assert line(out, "in/1.png")[1:] == ["1", "1", "0"]
    assert json.loads(Path("n.json").read_text())["details"]["errors"]["Bkg"]["count"] == 1


def test_results_files_need_no_torch(folder: Path) -> None:
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


def test_inconsistent_flags_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert error_of(capsys, "--annotations", "gt.json") == "--annotations needs --results FILE, the COCO results to evaluate"
    assert error_of(capsys, "bright", "--annotations", "gt.json", "--results", "a").startswith(
        "--annotations evaluates a results file without a detector, so it cannot be combined with model; leave out one of them"
    )
    Path("dt.json").write_text("[]")
    assert "--results dt.json exists: to evaluate it, add --annotations FILE; to overwrite it, add --data PATH" in error_of(
        capsys, "bright", "--results", "dt.json"
    )
    for flag in ("--latest", "--trained-on", "--flip"):
        assert f"cannot be combined with {flag};" in error_of(capsys, "--annotations", "gt.json", "--results", "dt.json", flag)
    assert "--latest means your newest run, but a model is named too: bright" in error_of(capsys, "bright", "--latest", "--data", "gt.json")


def test_wrong_paths_and_names_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "data none.json: no such file or folder" in error_of(capsys, "bright", "--data", "none.json")
    assert "no data given, and bright records no validation data; pass labeled images" in error_of(capsys, "bright")
    words = ("bright", "--data", "gt.json", "--images", "in")
    assert "class rename 'red': expected DATA_NAME=NEW_NAME" in error_of(capsys, *words, "--rename", "red")
    assert "class rename: the data has no class 'rad': did you mean 'red'?" in error_of(capsys, *words, "--rename", "rad=red")
    assert "gt.json: the data has no class 'blue'" in error_of(capsys, *words, "--classes", "blue")
    assert "--classes: expected class names, such as cat dog; got ','" in error_of(capsys, *words, "--classes", ",")
    assert "annotations none.json: no such file" in error_of(capsys, "--annotations", "none.json", "--results", "gt.json")


@pytest.mark.parametrize("words", [(), ("embedded",), ("--split", "val"), ("--results", "new.json")])
def test_the_embedded_detector_needs_data(folder: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    if embedded_path() is None:
        pytest.skip("the package has no embedded detector")
    assert error_of(capsys, *words) == (
        "no data to evaluate on: the detector inside the package records no validation data; give labeled images with --data PATH, "
        "or evaluate your newest run on its own validation data with --latest"
    )


def test_no_detector_and_no_run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.weights.embedded._FILE", folder / "none.safetensors")
    words = ("--data", "gt.json", "--images", "in")
    assert "weights embedded: this installation of detkit has no embedded detector" in error_of(capsys, *words)
    assert "no run under runs/ has a checkpoint; train one with `detkit train FOLDER`, or name a model" in error_of(
        capsys, "--latest", *words
    )


@pytest.mark.parametrize("value", ["50", "0", "x"])
def test_iou_thresholds_outside_of_0_to_1_are_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        evaluate("bright", "--iou", "0.5", value)
    assert f"expected numbers above 0 and at most 1, such as 0.5 0.75; got '{value}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value"),
    [("results", "r.json"), ("pyramid", (1.0,)), ("flip", True), ("details", True), ("against", "o.json"), ("metric", "voc")],
)
def test_a_classifier_refuses_flags_about_boxes(flag: str, value: Any) -> None:
    options = replace(EvaluateOptions(model="runs/cats"), **{flag: value})
    with pytest.raises(ValueError, match=f"^--{flag} concerns boxes, and runs/cats is a classifier; leave it out$"):
        evaluate_images(options, Outputs({}))
