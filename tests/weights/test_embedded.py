"""The detector inside the package: its file, its name, and the commands that use it by default."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.nn.functional import cosine_similarity

from detkit.checkpoint import load_checkpoint, make_header, pack, save_checkpoint
from detkit.cli.inputs import sample_photograph
from detkit.cli.main import main
from detkit.inference import load, suggested_min_score
from detkit.inference.detectors import load_detector
from detkit.inference.sources import checkpoint_path
from detkit.models.published import load_published, publication
from detkit.weights import EMBEDDED, embedded_path, require_embedded_path

ROOT = Path(__file__).resolve().parents[2]
OFFLINE = """
import runpy, socket, sys
def refused(*words):
    raise OSError("this test has no network")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refused
sys.argv = ["tools/detect.py", *sys.argv[2:]]
runpy.run_path({script!r}, run_name="__main__")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_file_is_small_complete_and_contains_no_training_config() -> None:
    path = require_embedded_path()
    assert path.stat().st_size <= 10_000_000
    checkpoint = load_checkpoint(path)
    assert checkpoint.class_names == publication("yolox_nano").class_names
    assert len(checkpoint.class_names) == 80
    assert checkpoint.header["experiment"] == ""
    assert "runs" not in json.dumps(checkpoint.header)
    assert 0 < checkpoint.header["min_score"] < 1
    assert checkpoint.header["metrics"]["AP"] > 0
    assert {tensor.dtype for tensor in checkpoint.tensors.values() if tensor.ndim > 1} == {torch.float16}


def test_weights_differ_from_the_teacher(shared: Path) -> None:
    embedded = load_detector(EMBEDDED)
    student, config = embedded.detector, embedded.config
    assert (config.kind, config.backbone.name, config.neck.kind) == ("yolox", "efficientnet_lite0", "light_pan")
    teacher = load_published("yolox_nano", shared / "weights" / "yolox_nano_coco_convs_in_graph_order.npz").detector
    teacher_kernels, own_kernels = (
        [tensor for tensor in model.state_dict().values() if tensor.ndim == 4 and tensor.numel() > 10_000] for model in (teacher, student)
    )
    similarities = [
        float(cosine_similarity(a.flatten(), b.flatten(), dim=0)) for a in own_kernels for b in teacher_kernels if a.shape == b.shape
    ]
    assert len(similarities) > 5
    assert max(map(abs, similarities)) < 0.05


def test_detect_without_arguments_works_offline(here: Path) -> None:
    command = [sys.executable, "-c", OFFLINE.format(script=str(ROOT / "tools" / "detect.py")), "--", "--json", "found.json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DETKIT_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, "PYTHONUTF8": "1"})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"model: {embedded_path()} (the detector inside the package; 80 classes), on ")
    assert "is more accurate (167.1 MiB): detkit models download fasterrcnn_resnet50_fpn_v2" in done.stdout
    drawn = Path("runs") / "detect-1"
    assert any("chelsea.png (451 x 300): " in line and line.endswith(f"-> {drawn / 'chelsea.jpg'}") for line in lines)
    assert any(line.split()[:1] == ["cat"] for line in lines)
    assert lines[-1] == f"written: found.json, {drawn}/"
    assert Image.open(drawn / "chelsea.jpg").size >= (451, 300)
    results = json.loads(Path("found.json").read_text())
    assert results["min_score"] == suggested_min_score(EMBEDDED)
    assert "cat" in {row["class"] for row in results["images"][0]["detections"]}


def test_classes_and_min_score(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "--classes", "cat,dog", "--min-score", "0.01", "--json", "found.json", "--no-draw"]) == 0
    assert "as this model suggests" not in capsys.readouterr().out
    rows = json.loads(Path("found.json").read_text())["images"][0]["detections"]
    assert {row["class"] for row in rows} <= {"cat", "dog"}
    assert rows
    assert main(["detect", "--classes", "unicorn"]) == 2
    assert "unicorn" in capsys.readouterr().err


def test_default_despite_a_run_unless_latest(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = here / "runs" / "mine-1" / "best.safetensors"
    run.parent.mkdir(parents=True)
    checkpoint = load_checkpoint(require_embedded_path())
    header = {**checkpoint.header, "class_names": [f"thing {number}" for number in range(80)], "min_score": 0.45}
    save_checkpoint(run, checkpoint.tensors, header)
    assert main(["detect", "--latest", "--no-draw"]) == 0
    out = capsys.readouterr().out
    assert "(the newest run; 80 classes)" in out
    assert "minimum score: 0.45" in out
    assert "is more accurate" not in out
    for words in ((), ("--model", EMBEDDED)):
        assert main(["detect", *words, "--no-draw"]) == 0
        assert "(the detector inside the package; 80 classes)" in capsys.readouterr().out
    assert load(EMBEDDED, "cpu").class_names[15] == "cat"
    assert load(device="cpu").class_names[15] == "cat"
    assert load(run, "cpu").class_names[15] == "thing 15"
    Path(EMBEDDED).mkdir()  # a folder of that name is a folder
    with pytest.raises(FileNotFoundError, match=r"expected a checkpoint, or a run folder"):
        load(EMBEDDED)


def test_evaluate_uses_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "images").mkdir()
    Image.open(sample_photograph()).save(here / "images" / "cat.png")
    box = {"id": 1, "image_id": 1, "category_id": 5, "bbox": [60, 0, 370, 300], "area": 111000, "iscrowd": 0}
    image = {"id": 1, "file_name": "cat.png", "width": 451, "height": 300}
    truth = {"images": [image], "annotations": [box], "categories": [{"id": 5, "name": "cat"}]}
    (here / "truth.json").write_text(json.dumps(truth))
    assert main(["evaluate", "--data", "truth.json", "--images", "images", "--json", "numbers.json"]) == 0
    assert "(the detector inside the package; 80 classes)" in capsys.readouterr().out
    assert json.loads(Path("numbers.json").read_text())["values"]["AP50"] == pytest.approx(1)


def test_fine_tuning_starts_from_it(here: Path) -> None:
    from detkit.data.synthetic import make_sample

    make_sample(here / "sample", 2, "coco", short_side=96, val_images=1)
    config = [
        "configs/embedded.py",
        "data=sample",
        "training.steps=1",
        "training.evaluations=1",
        "loader.batch_size=2",
    ]
    assert main(["train", str(ROOT / config[0]), *config[1:], "output=run", "evaluation.drawn_images=0", "loader.workers=0"]) == 0
    log = (here / "run" / "log.txt").read_text("utf-8")
    assert f"weights from {EMBEDDED}" in log
    assert "cat, cup" in log[log.index("weights from") :]


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert f"\n{EMBEDDED}  " in capsys.readouterr().out
    assert main(["models", "show", EMBEDDED, "resnet50"]) == 0
    out = capsys.readouterr().out
    assert out.count("name        ") == 3  # resnet50 is a backbone, and weights for it
    assert f"file        {embedded_path()}" in out
    assert main(["info", EMBEDDED]) == 0
    assert "yolox, 80 classes: person, bicycle" in capsys.readouterr().out


def test_package_without_it_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("detkit.weights.embedded._FILE", tmp_path / "none.safetensors")
    for take in (load, load_detector, checkpoint_path):
        with pytest.raises(
            FileNotFoundError, match=r"weights embedded: this installation of detkit has no embedded detector .* reinstall detkit"
        ):
            take(EMBEDDED)
    assert main(["detect", "--model", EMBEDDED]) == 2


def test_packed_checkpoint_keeps_the_suggested_min_score(tmp_path: Path) -> None:
    tensors = {"conv.weight": torch.zeros(2, 3, 1, 1)}
    whole, packed, again = (tmp_path / f"{name}.safetensors" for name in ("whole", "packed", "again"))
    save_checkpoint(whole, tensors, make_header('{"kind": "toy"}', ["cat"]))
    assert suggested_min_score(whole) is None
    pack(whole, packed, min_score=0.35)
    assert suggested_min_score(packed) == 0.35
    pack(packed, again)
    assert suggested_min_score(again) == 0.35
    assert suggested_min_score("fasterrcnn_resnet50_fpn") is None


def test_packed_checkpoint_contains_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers, output = tmp_path / "numbers.json", tmp_path / "a.safetensors"
    numbers.write_text(json.dumps({"values": {"AP": 0.4, "APs": None}, "classes": []}))
    words = ["models", "pack", EMBEDDED, "--output", str(output), "--metrics"]
    assert main([*words, str(numbers)]) == 0
    assert load_checkpoint(output).header["metrics"] == {"AP": 0.4}
    numbers.write_text("[]")
    assert main([*words, str(numbers)]) == 2
    assert main([*words, str(tmp_path / "none.json")]) == 2
    err = capsys.readouterr().err
    assert f"--metrics {numbers}: expected a file from `detkit evaluate --json`" in err
    assert "none.json: no such file; `detkit evaluate MODEL" in err


def test_packed_checkpoint_with_other_postprocessing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "other.safetensors"
    words = ["models", "pack", EMBEDDED]
    assert main([*words, "model.head.postprocess.nms_iou=0.35", "--output", str(output), "--min-score", "0.4"]) == 0
    other, own = load_detector(output), load_detector(EMBEDDED)
    head: Any = own.config.head
    assert other.config == own.config.replace(head=head.replace(postprocess=head.postprocess.replace(nms_iou=0.35)))
    assert suggested_min_score(output) == 0.4
    assert all(torch.equal(tensor, own.detector.state_dict()[name]) for name, tensor in other.detector.state_dict().items())
    capsys.readouterr()
    for word, message in (
        ("model.head.channels=64", "its tensors do not match its config"),
        ("model.head.chanels=64", "did you mean 'channels'"),
        ("optimizer.lr=1", "expected model.KEY=VALUE, got optimizer.lr=1; a packed checkpoint keeps only the model's config"),
    ):
        assert main([*words, word, "--output", str(tmp_path / "none.safetensors")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "none.safetensors").exists()
