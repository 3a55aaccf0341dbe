from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from detkit.backbones import BackboneConfig
from detkit.checkpoint import make_header, save_checkpoint
from detkit.cli import advice
from detkit.cli.main import main
from detkit.cli.subjects import kind_of
from detkit.experiment import Experiment
from detkit.models.classifier import ClassifierConfig
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig

CONFIG_FILE = """
from detkit.backbones import BackboneConfig
from detkit.data import DataConfig, SourceConfig
from detkit.experiment import Experiment
from detkit.models.faster_rcnn import FasterRCNNConfig
from detkit.necks import FPNConfig
from detkit.preprocess import PreprocessConfig

config = Experiment(
    name="tiny",
    model=FasterRCNNConfig(
        backbone=BackboneConfig(name="resnet18"), neck=FPNConfig(out_channels=16), preprocess=PreprocessConfig(short_side=64, long_side=128)
    ),
    data=DataConfig(train=SourceConfig(path="nowhere", fetch_command="python datasets/fetch_nothing.py")),
)
"""


def coco(folder: Path) -> Path:
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 80, "height": 60} for i in (1, 2, 3)]
    boxes = [(1, 7, [5, 5, 20, 20]), (1, 9, [10, 10, 60, 40]), (2, 7, [0, 0, 10, 12]), (2, 7, [3, 3, 0, 5])]
    annotations = [
        {"id": i, "image_id": image, "category_id": category, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for i, (image, category, box) in enumerate(boxes)
    ]
    from bright import image as pixels
    from bright import saved

    for row in images:
        saved(folder, str(row["file_name"]), pixels())
    path = folder / "instances.json"
    categories = [{"id": 7, "name": "cat"}, {"id": 9, "name": "dog"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    assert f"torch                   {torch.__version__.split('+')[0]}" in out
    assert "threads" in out
    assert "--device" in out


def test_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(coco(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert "3 images (1 image without objects), 3 boxes" in out
    assert "    0  cat     7      2       2  66.7 %" in out
    assert "small (below 32 x 32) 2 (66.7 %)" in out
    assert "no width or height: 1" in out


def test_a_config_without_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.py").write_text(CONFIG_FILE)
    assert main(["info", "tiny.py", "model.neck.out_channels=24", "--size", "50x60"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "80 classes assumed, because its data cannot be read" in out
    assert "python datasets/fetch_nothing.py" in out
    assert "an image of 60 x 50 is resized to 76 x 64 and padded to 96 x 64" in out
    assert "neck 0 24 24 x 16 4" in out
    assert "trainable" in out


def test_a_config_with_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tiny.py").write_text(CONFIG_FILE)
    assert main(["info", "tiny.py", "--data", str(coco(tmp_path))]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "tiny.py: faster_rcnn, 2 classes" in out
    assert "mean best IoU" in out
    assert "all 3 0." in out
    assert "at the input size of faster_rcnn: median 20 px -> 21 px; 0.0 % of the boxes are under 9 px" in out


def test_a_classifier_has_no_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    model = ClassifierConfig(backbone=BackboneConfig(name="resnet18", weights=None))
    Path("tiny.json").write_text(Experiment(model=model).to_json())
    assert main(["info", "tiny.json", "--data", str(coco(tmp_path))]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "tiny.json: classifier, 2 classes" in out
    assert "one score per image for each of 2 classes; no levels and no boxes" in out
    assert "instances.json has 3 objects to crop; 1 (dog) to 2 (cat) per class" in out


def test_a_checkpoint_and_its_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    backbone = BackboneConfig(name="resnet18", weights=None)
    config = FasterRCNNConfig(backbone=backbone, neck=FPNConfig(out_channels=16), preprocess=PreprocessConfig(short_side=64, long_side=128))
    header = make_header(config.to_json(), ["cat", None], metrics={"AP": 0.5812345}, experiment='{"name": "first"}', step=120)
    save_checkpoint(tmp_path / "best.safetensors", config.build(2).state_dict(), header)
    for subject in (tmp_path, tmp_path / "best.safetensors"):
        assert main(["info", str(subject)]) == 0
        out = capsys.readouterr().out
        assert "metrics: AP 0.5812" in out
        assert "step: 120" in out
        assert "experiment: first" in out
        assert "faster_rcnn, 1 class and 1 unnamed output: cat" in out
        assert "backbone c5" in out


def test_kind_of_paths_and_names(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"model": {}, "data": {}}')
    (tmp_path / "b.json").write_text('{"images": [], "annotations": []}')
    assert kind_of(tmp_path / "a.json") == "config"
    assert kind_of(tmp_path / "b.json") == "data"
    assert kind_of(tmp_path) == "data"
    assert kind_of(Path("fasterrcnn_resnet50_fpn")) == "checkpoint"
    assert kind_of(Path("embedded")) == "checkpoint"
    assert kind_of(Path("quickstart")) == "config"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["quickstrat"], "info quickstrat: no such file; did you mean 'quickstart'?"),
        (["fasterrcnn_resnet50"], "did you mean 'fasterrcnn_resnet50_fpn'?"),
        (["no/such/thing"], "expected data, a config, a checkpoint, or a name from `detkit models list`"),
        ([".", "model.kind=x"], "model.kind=x: only a config takes KEY=VALUE, and . is data; leave it out"),
    ],
)
def test_wrong_subjects_are_refused(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["info", *words]) == 2
    assert message in capsys.readouterr().err


def test_invalid_json_and_size_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text("{")
    assert main(["info", str(tmp_path / "a.json")]) == 2
    assert "a.json: expected JSON" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["info", "x", "--size", "480"])
    assert "expected HEIGHTxWIDTH such as 480x640, got '480'" in capsys.readouterr().err


def test_advice_on_a_missing_system_library() -> None:
    text = advice.import_advice(ImportError("libGL.so.1: cannot open shared object file: No such file or directory"))
    assert "libgl1" in text
    assert "apt-get install libgl1" in text
    assert (
        advice.import_advice(ModuleNotFoundError("No module named 'cv2'", name="cv2"))
        == "; a dependency is missing: pip install detkit-vision"
    )
    assert advice.import_advice(ImportError("cannot import name 'x'")) == ""


def test_opencv_packages_of_two_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        known = {"opencv-python": "4.10.0.84", "opencv-python-headless": "4.9.0.80"}
        if name not in known:
            raise metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(metadata, "version", version)
    problem = advice.opencv_problem()
    assert "opencv-python 4.10.0.84, opencv-python-headless 4.9.0.80 share the folder cv2 (now version " in problem
    assert "pip install --force-reinstall opencv-python==4.10.0.84 opencv-python-headless==4.10.0.84" in problem
    monkeypatch.setattr(metadata, "version", lambda name: "4.10.0.84")
    assert advice.opencv_problem() == ""


def test_another_distribution_called_detkit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    installed = {"detkit-vision": "0.2.0"}

    def distribution(name: str) -> SimpleNamespace:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return SimpleNamespace(version=installed[name])

    monkeypatch.setattr(metadata, "distribution", distribution)
    assert advice.distribution_problem() == ""
    installed["detkit"] = "1.3"
    assert advice.distribution_problem() == (
        "another distribution called detkit 1.3 is installed and shares the import name; uninstall it: pip uninstall detkit; "
        "then reinstall detkit-vision"
    )
    assert main(["info"]) == 0
    assert "\nwarning: another distribution called detkit 1.3 is installed" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "problem"), [("detkit_vision", False), ("detkit", True)])
def test_only_the_exact_name_is_another_distribution(name: str, problem: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / f"{name}-0.2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 0.2.0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert bool(advice.distribution_problem()) is problem


def test_data_states_what_boxes_become_at_the_input_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = coco(tmp_path)
    content = json.loads(path.read_text())
    content["images"] = [{**row, "width": 1600, "height": 1200} for row in content["images"]]
    from PIL import Image

    for row in content["images"]:
        Image.new("1", (1600, 1200)).save(tmp_path / str(row["file_name"]))
    content["annotations"] = [{**row, "bbox": [5, 5, 20, 20], "area": 400} for row in content["annotations"]]
    path.write_text(json.dumps(content))
    assert main(["info", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("at the input size of detkit train (config embedded): median 20 px -> ")]
    assert line.endswith("100.0 % of the boxes are under 9 px")
    (advice_line,) = [line for line in lines if line.startswith("a larger input finds more of them: ")]
    assert advice_line.endswith("model.preprocess.input_size=736,736 leaves 0.0 %, at 3.1 times the pixels")  # 416 * 9 / 5.2 = 720


def test_many_classes_are_a_short_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = coco(tmp_path)
    content = json.loads(path.read_text())
    content["categories"] += [{"id": number, "name": f"class {number}"} for number in range(100, 2100)]
    path.write_text(json.dumps(content))
    assert main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) <= 45
    assert "    0  cat     7      2       2  66.7 %" in out
    assert "and 2,000 other classes with no boxes" in out


def test_a_run_without_a_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "runs" / "x-1"
    run.mkdir(parents=True)
    (run / "config.json").write_text(Experiment().to_json())
    assert main(["info", str(run)]) == 2
    assert f"{run}: a run without a checkpoint; it ended before its first one; remove the folder" in capsys.readouterr().err
    (run / "last.state").write_bytes(b"")
    assert main(["info", str(run)]) == 2
    assert f"{run}: a run without a checkpoint; resume it with: detkit train --resume {run}" in capsys.readouterr().err


def test_receptive_fields_are_listed_next_to_box_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, written = tmp_path / "config.py", tmp_path / "info.json"
    file.write_text(CONFIG_FILE)
    words = ["--receptive-fields", "--json", str(written)]
    assert main(["info", str(file), *words, "--data", str(coco(tmp_path))]) == 0
    out = capsys.readouterr().out
    (row,) = [line.split() for line in out.splitlines() if line.startswith("backbone c4")]
    assert row[:6] == ["backbone", "c4", "256", "6", "x", "4"]
    assert row[7] == "211"
    assert "sides of the boxes at the input of the model, the square root of the area, in pixels: 5 % below" in out
    assert "measured with random weights on 2 images of" in out
    content = json.loads(written.read_text("utf-8"))
    levels = {level["name"]: level for level in content["levels"]}
    assert (levels["backbone c4"]["receptive_field"], levels["backbone c4"]["stride"]) == (211, 16)
    assert 0 < levels["backbone c2"]["effective_receptive_field"] < 43
    assert 0 <= levels["backbone c2"]["boxes_up_to_effective"] <= 1
    assert set(content["box_side_percentiles"]) == {"5", "50", "95"}


def test_json_without_receptive_fields(tmp_path: Path) -> None:
    file, written = tmp_path / "config.py", tmp_path / "info.json"
    file.write_text(CONFIG_FILE)
    assert main(["info", str(file), "--json", str(written)]) == 0
    content = json.loads(written.read_text("utf-8"))
    assert (content["kind"], content["levels"][0]["name"]) == ("faster_rcnn", "backbone c2")
    assert "receptive_field" not in content["levels"][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--receptive-fields"], "--receptive-fields: expected a config or a model, got this machine; name one, such as embedded"),
        (["--json", "x.json"], "--json: expected a config or a model, got this machine"),
        (["classify_folder", "--receptive-fields"], "expected a detector, got classify_folder, which classifies whole images"),
    ],
)
def test_flags_for_networks_only(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", *words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line
