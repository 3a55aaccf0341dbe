"""The detector inside the package: the file itself, its name, and the commands that take it where nothing else is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn.functional import cosine_similarity

from detkit.checkpoint import load_checkpoint, make_header, pack, save_checkpoint
from detkit.cli.inputs import sample_photograph
from detkit.cli.main import main
from detkit.inference import load, suggested_min_score
from detkit.inference.loading import checkpoint_path, load_detector
from detkit.models.published import load_published, publication
from detkit.weights import EMBEDDED, embedded, needed_embedded

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


def test_the_file_is_small_whole_and_says_nothing_of_its_maker() -> None:
    path = needed_embedded()
    assert path.stat().st_size <= 10_000_000
    found = load_checkpoint(path)
    assert found.class_names == publication("yolox_nano").class_names
    assert len(found.class_names) == 80
    assert found.header["experiment"] == ""
    assert "runs" not in json.dumps(found.header)
    assert 0 < found.header["min_score"] < 1
    assert found.header["metrics"]["AP"] > 0
    assert {tensor.dtype for tensor in found.tensors.values() if tensor.ndim > 1} == {torch.float16}


def test_it_is_not_its_teacher(shared: Path) -> None:
    student, config, _ = load_detector(EMBEDDED)
    assert (config.kind, config.backbone.name, config.neck.kind) == ("yolox", "efficientnet_lite0", "light_pan")
    teacher = load_published("yolox_nano", shared / "weights" / "yolox_nano_coco_convs_in_graph_order.npz").detector
    theirs, own = (
        [tensor for tensor in model.state_dict().values() if tensor.ndim == 4 and tensor.numel() > 10_000] for model in (teacher, student)
    )
    likeness = [float(cosine_similarity(a.flatten(), b.flatten(), dim=0)) for a in own for b in theirs if a.shape == b.shape]
    assert len(likeness) > 5
    assert max(map(abs, likeness)) < 0.05


def test_without_a_word_a_photograph_is_looked_at_offline(here: Path) -> None:
    command = [sys.executable, "-c", OFFLINE.format(script=str(ROOT / "tools" / "detect.py")), "--", "--json", "found.json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DETKIT_")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**environment, "PYTHONUTF8": "1"})
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"weights: {embedded()} (the one that detkit carries; 80 classes), on ")
    assert "finds more (167.1 MiB): detkit weights download fasterrcnn_resnet50_fpn_v2" in done.stdout
    drawn = Path("runs") / "detect-1"
    assert any("chelsea.png (451 x 300): " in line and line.endswith(f"-> {drawn / 'chelsea.jpg'}") for line in lines)
    assert any(line.split()[:1] == ["cat"] for line in lines)
    assert lines[-1] == f"written: found.json, {drawn}/"
    assert Image.open(drawn / "chelsea.jpg").size >= (451, 300)
    said = json.loads(Path("found.json").read_text())
    assert said["min_score"] == suggested_min_score(EMBEDDED)
    assert "cat" in {row["class"] for row in said["images"][0]["detections"]}


def test_classes_and_scores_are_chosen(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detect", "--classes", "cat,dog", "--min-score", "0.01", "--json", "found.json", "--no-images"]) == 0
    assert "shown from score" not in capsys.readouterr().out
    rows = json.loads(Path("found.json").read_text())["images"][0]["detections"]
    assert {row["class"] for row in rows} <= {"cat", "dog"}
    assert rows
    assert main(["detect", "--classes", "unicorn"]) == 2
    assert "unicorn" in capsys.readouterr().err


def test_by_its_name_it_is_taken_beside_a_newer_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = here / "runs" / "mine-1" / "best.safetensors"
    run.parent.mkdir(parents=True)
    found = load_checkpoint(needed_embedded())
    header = {**found.header, "class_names": [f"thing {number}" for number in range(80)], "min_score": 0.45}
    save_checkpoint(run, found.tensors, header)
    assert main(["detect", "--no-images"]) == 0
    out = capsys.readouterr().out
    assert "(the newest run's; 80 classes)" in out
    assert "shown from score 0.45 on" in out
    assert "finds more" not in out
    assert main(["detect", "--weights", EMBEDDED, "--no-images"]) == 0
    assert "(the one that detkit carries; 80 classes)" in capsys.readouterr().out
    assert load(EMBEDDED, "cpu").class_names[15] == "cat"
    assert load(device="cpu").class_names[15] == "thing 15"
    Path(EMBEDDED).mkdir()  # a folder of that name is a folder
    with pytest.raises(FileNotFoundError, match=r"expected a run's folder"):
        load(EMBEDDED)


def test_evaluate_takes_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "images").mkdir()
    Image.open(sample_photograph()).save(here / "images" / "cat.png")
    box = {"id": 1, "image_id": 1, "category_id": 5, "bbox": [60, 0, 370, 300], "area": 111000, "iscrowd": 0}
    image = {"id": 1, "file_name": "cat.png", "width": 451, "height": 300}
    truth = {"images": [image], "annotations": [box], "categories": [{"id": 5, "name": "cat"}]}
    (here / "truth.json").write_text(json.dumps(truth))
    assert main(["evaluate", "--data", "truth.json", "--images", "images", "--json", "numbers.json"]) == 0
    assert "(the one that detkit carries; 80 classes)" in capsys.readouterr().out
    assert json.loads(Path("numbers.json").read_text())["values"]["AP50"] == pytest.approx(1)


def test_other_images_can_be_learnt_from_it(here: Path) -> None:
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


def test_the_list_and_the_page_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights"]) == 0
    assert f"\n{EMBEDDED}: the detector that comes with detkit, " in capsys.readouterr().out
    assert main(["weights", "show", EMBEDDED, "resnet50"]) == 0
    out = capsys.readouterr().out
    assert out.count("name        ") == 2
    assert f"here        {embedded()}" in out
    assert main(["info", EMBEDDED]) == 0
    assert "yolox, 80 classes: person, bicycle" in capsys.readouterr().out


def test_a_package_without_one_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("detkit.weights.carried._FILE", tmp_path / "none.safetensors")
    for take in (load, load_detector, checkpoint_path):
        with pytest.raises(
            FileNotFoundError, match=r"weights embedded: this installation of detkit carries no detector .* install detkit again"
        ):
            take(EMBEDDED)
    assert main(["detect", "--weights", EMBEDDED]) == 2


def test_a_packed_checkpoint_suggests_a_score(tmp_path: Path) -> None:
    tensors = {"conv.weight": torch.zeros(2, 3, 1, 1)}
    whole, packed, again = (tmp_path / f"{name}.safetensors" for name in ("whole", "packed", "again"))
    save_checkpoint(whole, tensors, make_header('{"kind": "toy"}', ["cat"]))
    assert suggested_min_score(whole) is None
    pack(whole, packed, min_score=0.35)
    assert suggested_min_score(packed) == 0.35
    pack(packed, again)
    assert suggested_min_score(again) == 0.35
    assert suggested_min_score("fasterrcnn_resnet50_fpn") is None


def test_a_packed_checkpoint_tells_what_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    numbers, output = tmp_path / "numbers.json", tmp_path / "a.safetensors"
    numbers.write_text(json.dumps({"values": {"AP": 0.4, "APs": None}, "classes": []}))
    words = ["weights", "pack", EMBEDDED, "--output", str(output), "--metrics"]
    assert main([*words, str(numbers)]) == 0
    assert load_checkpoint(output).header["metrics"] == {"AP": 0.4}
    numbers.write_text("[]")
    assert main([*words, str(numbers)]) == 2
    assert main([*words, str(tmp_path / "none.json")]) == 2
    err = capsys.readouterr().err
    assert f"--metrics {numbers}: expected what detkit evaluate --json writes" in err
    assert "none.json: no such file; detkit evaluate CHECKPOINT" in err


def test_a_packed_checkpoint_may_choose_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "other.safetensors"
    words = ["weights", "pack", EMBEDDED, "--output", str(output)]
    assert main([*words, "model.head.postprocess.nms_iou=0.35", "--min-score", "0.4"]) == 0
    detector, config, _ = load_detector(output)
    own, own_config, _ = load_detector(EMBEDDED)
    assert config == own_config.replace(head=own_config.head.replace(postprocess=own_config.head.postprocess.replace(nms_iou=0.35)))
    assert suggested_min_score(output) == 0.4
    assert all(torch.equal(tensor, own.state_dict()[name]) for name, tensor in detector.state_dict().items())
    capsys.readouterr()
    for word, message in (
        ("model.head.channels=64", "its tensors do not fit its config"),
        ("model.head.chanels=64", "did you mean 'channels'"),
        ("optimizer.lr=1", "optimizer.lr=1: a packed checkpoint keeps the model's config alone; expected model.KEY=VALUE"),
    ):
        assert main([*words[:-1], str(tmp_path / "none.safetensors"), word]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "none.safetensors").exists()
