"""``detkit models``: list, show, copy, download, import, pack and average."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from detkit import zoo
from detkit.checkpoint import read_header
from detkit.cli.main import main
from detkit.cli.resolve import settings_digest
from detkit.config import load_config
from detkit.experiment import Experiment
from detkit.weights import catalog, embedded_path


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETKIT_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def run_command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(["models", *words])
    except SystemExit as exit_status:  # of argparse
        code = int(exit_status.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("words", [(), ("list",)])
def test_list(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_command(capsys, *words)
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("fasterrcnn_resnet50_fpn "))
    expected = ["fasterrcnn_resnet50_fpn", "weights", "parity proved", "37.0", "COCO val2017", "not stated", "41.8 M", "159.7", "no"]
    assert re.split(r"\s{2,}", row) == expected
    assert all(entry.name in out for entry in catalog() if entry.kind == "detector")
    assert all(f"\n{name} " in out for name in zoo.names())
    assert "detkit models list --kind backbone" in out


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of the rows of a printed table."""
    return [re.split(r"\s{2,}", line) for line in text.split("\n\n")[0].splitlines()[1:]]


def test_list_filters_by_word_and_kind(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_command(capsys, "list", "YOLOX", "_s")
    assert [row[:2] for row in rows_of(out)] == [["yolox_s", "weights"], ["yolox_s", "config"]]
    _, out, _ = run_command(capsys, "list", "--kind", "config", "yolox_s")
    assert [row[:2] for row in rows_of(out)] == [["yolox_s", "config"]]
    _, out, _ = run_command(capsys, "list", "--kind", "weights")
    rows = rows_of(out)
    assert {row[1] for row in rows} == {"weights"}
    assert rows[0][0] == "embedded"
    _, out, _ = run_command(capsys, "list", "--kind", "backbone", "resnet50")
    assert {"resnet50", "legacy_seresnet50"} <= {row[0] for row in rows_of(out)}
    assert all("resnet50" in row[0] for row in rows_of(out))
    assert "c5 2048/32" in out
    assert "model.backbone.name=NAME" in out


def test_list_states_measured_results(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_command(capsys, "list")
    rows = {(row[0], row[1]): row[2:5] for row in rows_of(out)}
    assert rows["light_lite0_bccd_taught", "config"] == ["measured here", "54.2", "bccd test"]
    assert rows["faster_rcnn_lite0_coco_sample", "config"][2] == "coco_sample val"
    assert rows["mask_rcnn_sample", "config"] == ["measured here", "71.9", "example"]
    assert rows["unet_sample", "config"] == ["measured here", "-", "example, mIoU 62.5"]
    assert rows["clip_rcnn", "weights"] == ["not yet run", "-", "-"]
    assert rows["fpn_r50", "config"] == ["parity proved", "-", "-"]
    assert rows["yolov1", "config"] == ["published figure only", "-", "-"]


def test_list_marks_licenses_with_other_terms(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_command(capsys, "list", "dfine_s_obj", "--kind", "weights")
    assert {row[5] for row in rows_of(out)} == {"Apache-2.0 *"}
    assert "\n*: other terms may apply, such as those of the training data; `detkit models show NAME` states them.\n" in out
    _, out, _ = run_command(capsys, "show", "dfine_s_obj365")
    assert "Apache-2.0 by its model card; Objects365 is for academic use" in out
    _, out, _ = run_command(capsys, "list", "yolox")
    assert "*:" not in out


def test_list_counts_parameters_without_buffers(capsys: pytest.CaptureFixture[str]) -> None:
    from detkit.inference.detectors import load_detector

    if embedded_path() is None:
        pytest.skip("the package has no embedded detector")
    _, out, _ = run_command(capsys, "list", "embedded", "--kind", "weights")
    total = sum(parameter.numel() for parameter in load_detector("embedded").detector.parameters())
    assert rows_of(out)[0][6] == f"{total / 1e6:.1f} M"


def test_list_reports_damaged_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ssd300_vgg16_coco-b556d3b4.pth").write_bytes(b"half")
    _, out, _ = run_command(capsys, "list", "--folder", str(tmp_path))
    assert next(line for line in out.splitlines() if line.startswith("ssd300_vgg16")).endswith("  damaged")
    _, out, _ = run_command(capsys, "show", "ssd300_vgg16", "--folder", str(tmp_path))
    assert "it is truncated or another file; delete it" in out


def test_show(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run_command(capsys, "show", "resnet50_v2", "efficientnet_lite0")
    assert code == 0
    assert "top-1 80.9 (ImageNet-1K validation images)" in out
    assert "11ad3fa6... (the digits that the publisher states)" in out
    assert f"`detkit models download resnet50_v2` writes it to {tmp_path / 'cache'}" in out
    assert "Apache-2.0" in out


def test_show_of_configs_and_backbones(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_command(capsys, "show", "quickstart", "vgg16")
    assert code == 0
    assert "config quickstart\n" in out
    assert re.search(r"^Result: AP 0\.\d{3}, AP50 0\.\d{3} on the 40 validation images", out, re.MULTILINE)
    assert "\nbadge: measured here\ncopy it with: detkit models copy quickstart" in out
    assert "kind        backbone" in out
    assert "family      VGG" in out


def test_show_prints_all_models_of_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_command(capsys, "show", "yolox_s")
    assert "kind        weights of a detector" in out
    assert "\nbadge       " in out
    assert "config yolox_s\n" in out


def test_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(capsys, "copy", "quickstart")[1] == (
        "quickstart.py: written; edit it, then train with: detkit train quickstart.py --data FOLDER\n"
    )
    assert Path("quickstart.py").read_text("utf-8") == zoo.path("quickstart").read_text("utf-8")
    assert run_command(capsys, "copy", "quickstart") == (
        2,
        "",
        "detkit: error: models copy: quickstart.py already exists; give another file name\n",
    )
    assert run_command(capsys, "copy", "quickstart", "own.py")[0] == 0
    assert load_config("own.py", Experiment) == zoo.load("quickstart")


def test_download_of_a_present_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_command(capsys, "download", "efficientnet_lite0")
    assert (code, err) == (0, "")
    assert out.rstrip().endswith("efficientnet-lite0-57934424.pth")


def test_download_of_the_embedded_detector(capsys: pytest.CaptureFixture[str]) -> None:
    if embedded_path() is None:
        pytest.skip("the package has no embedded detector")
    assert run_command(capsys, "download", "embedded") == (0, f"embedded: {embedded_path()}\n", "")


def test_download_fetches_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    requests: list[tuple[str, str | None, bool]] = []

    def resolve(name: str, folder: str | None = None, *, fetch: bool = False, progress: object = None) -> Path:
        requests.append((name, folder, fetch))
        return tmp_path / name

    monkeypatch.setattr("detkit.weights.resolve", resolve)
    code, out, _ = run_command(capsys, "download", "yolox_nano", "ssd300_vgg16", "--folder", "weights")
    assert (code, out) == (0, f"yolox_nano: {tmp_path / 'yolox_nano'}\nssd300_vgg16: {tmp_path / 'ssd300_vgg16'}\n")
    assert requests == [("yolox_nano", "weights", True), ("ssd300_vgg16", "weights", True)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "renset50"), "models show renset50: no such model: did you mean 'resnet50'?"),
        (("copy", "quickstrt"), "models copy quickstrt: no such config: did you mean 'quickstart'?"),
        (("list", "nosuch"), "models list: no model has nosuch in its name; `detkit models list` lists all models"),
        (
            ("list", "nosuch", "--kind", "backbone"),
            "models list: no backbone has nosuch in its name; `detkit models list --kind backbone` lists them all",
        ),
        (("download",), "the following arguments are required: NAME; see detkit models download --help"),
        (("download", "renset50"), "unknown weights 'renset50': did you mean 'resnet50'?"),
    ],
)
def test_errors_are_printed_on_one_line(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(capsys, *words) == (2, "", f"detkit: error: {message}\n")


def test_import_writes_a_loadable_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    from detkit.checkpoint import load_checkpoint

    torch.manual_seed(0)
    published = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None).state_dict()
    torch.save(published, tmp_path / "published.pth")
    output = tmp_path / "new" / "converted.safetensors"
    words = ("import", str(tmp_path / "published.pth"), "--model", "fasterrcnn_mobilenet_v3_large_320_fpn", "--output", str(output))
    code, out, _ = run_command(capsys, *words)
    assert code == 0
    assert "with 80 classes" in out
    checkpoint = load_checkpoint(output)
    assert checkpoint.header["imported_from"] == "published.pth"
    assert checkpoint.class_names[0] == "person"
    assert torch.equal(checkpoint.tensors["neck.backbone.features.0.0.weight"], published["backbone.body.0.0.weight"])


def test_import_of_convolutions_in_execution_order(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from detkit.inference.detectors import load_detector

    file, output = shared / "weights" / "yolox_nano_coco_convs_in_graph_order.npz", tmp_path / "yolox_nano.safetensors"
    code, out, _ = run_command(capsys, "import", str(file), "--model", "yolox_nano", "--output", str(output))
    assert (code, "with 80 classes" in out) == (0, True)
    loaded = load_detector(output)
    config, classes = loaded.config, loaded.detector.num_classes
    assert (config.kind, config.preprocess.input_size, loaded.class_names[0], classes) == ("yolox", (416, 416), "person", 80)
    code, _, err = run_command(capsys, "import", str(file), "--model", "yolox_s", "--output", str(output))
    assert code == 2
    assert f"weights {file}: not yolox_s: expected 83 convolutions, numbered from 000" in err


def test_packed_checkpoint_gives_the_same_detections(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from detkit.inference.detectors import load_detector

    file = shared / "weights" / "yolox_nano_coco_convs_in_graph_order.npz"
    whole, packed = tmp_path / "whole.safetensors", tmp_path / "a" / "b.safetensors"
    assert run_command(capsys, "import", str(file), "--model", "yolox_nano", "--output", str(whole))[0] == 0
    code, out, _ = run_command(capsys, "pack", str(whole), "--output", str(packed))
    assert (code, f"{packed}: " in out) == (0, True)
    assert packed.stat().st_size < 0.6 * whole.stat().st_size
    images = [torch.rand(3, 416, 416, generator=torch.Generator().manual_seed(0))]
    before, after = (load_detector(path).detector for path in (whole, packed))
    assert {tensor.dtype for tensor in after.state_dict().values() if tensor.is_floating_point()} == {torch.float32}
    with torch.no_grad():
        first, second = (detector.raw(detector.prepare(images))[0].sigmoid() for detector in (before, after))
    assert torch.allclose(first, second, atol=5e-3)


def small_checkpoint(path: Path, value: float) -> Path:
    """Write a checkpoint of a small detector whose weights all have one value."""
    import torch

    from detkit.backbones import BackboneConfig
    from detkit.checkpoint import make_header, save_checkpoint
    from detkit.models.faster_rcnn import FasterRCNNConfig
    from detkit.necks import FPNConfig

    config = FasterRCNNConfig(backbone=BackboneConfig(name="shufflenet_v2_x0_5", weights=None), neck=FPNConfig(out_channels=8))
    tensors = {name: torch.full_like(tensor, value) for name, tensor in config.build(2).state_dict().items()}
    save_checkpoint(path, tensors, make_header(config.to_json(), ["cat", "dog"]))
    return path


def test_average(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from detkit.checkpoint import load_checkpoint

    sources = [str(small_checkpoint(tmp_path / f"{value}.safetensors", value)) for value in (1.0, 3.0)]
    output = tmp_path / "mean.safetensors"
    code, out, _ = run_command(capsys, "average", *sources, "--output", str(output))
    assert (code, out) == (0, f"{output}: the mean of 2 models; evaluate it with: detkit evaluate {output} --data PATH\n")
    assert {float(tensor.float().mean()) for tensor in load_checkpoint(output).tensors.values() if tensor.is_floating_point()} == {2.0}


def test_pack_changes_config_keys_and_stores_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from detkit.inference import suggested_min_score
    from detkit.inference.detectors import load_detector

    source, output, metrics = small_checkpoint(tmp_path / "a.safetensors", 0.0), tmp_path / "b.safetensors", tmp_path / "n.json"
    changed = json.loads(read_header(source)["model"])
    changed["rpn"]["max_proposals"] = 7
    metrics.write_text(json.dumps({"values": {"AP": 0.5, "APs": None}, "model_settings": settings_digest(json.dumps(changed))}))
    words = ("pack", str(source), "model.rpn.max_proposals=7", "--min-score", "0.3", "--metrics", str(metrics), "--output", str(output))
    assert run_command(capsys, *words)[0] == 0
    assert suggested_min_score(output) == 0.3
    assert json.loads(load_detector(output).config.to_json())["rpn"]["max_proposals"] == 7
    assert read_header(output)["metrics"] == {"AP": 0.5}
    code, _, err = run_command(capsys, "pack", str(source), "training.epochs=2", "--output", str(output))
    assert (code, err) == (
        2,
        "detkit: error: models pack: expected model.KEY=VALUE, got training.epochs=2; a packed checkpoint keeps only the model's config\n",
    )
    metrics.write_text("[]")
    assert "expected a file from `detkit evaluate --json`" in run_command(capsys, *words)[2]
    code, _, err = run_command(capsys, "pack", str(source), "--metrics", "none.json", "--output", str(output))
    assert "--metrics none.json: no such file; `detkit evaluate MODEL --data PATH --json none.json` writes it" in err


def test_pack_refuses_metrics_of_other_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output, metrics = small_checkpoint(tmp_path / "a.safetensors", 0.0), tmp_path / "b.safetensors", tmp_path / "n.json"
    settings = settings_digest(read_header(source)["model"])
    change = "model.rpn.max_proposals=7"
    for content, words, accepted in [
        ({"values": {"AP": 0.5}, "model_settings": settings}, (), True),
        ({"values": {"AP": 0.5}}, (), True),
        ({"values": {"AP": 0.5}, "model_settings": settings}, (change,), False),
        ({"values": {"AP": 0.5}}, (change,), False),
        ({"values": {"AP": 0.5}, "model_settings": "0" * 16}, (), False),
    ]:
        metrics.write_text(json.dumps(content))
        code, _, err = run_command(capsys, "pack", str(source), *words, "--metrics", str(metrics), "--output", str(output))
        assert code == (0 if accepted else 2)
        assert ("measured with other settings than those of the packed checkpoint; pack it without --metrics" in err) is not accepted


def test_pack_drops_metrics_that_were_measured_before_a_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = small_checkpoint(tmp_path / "a.safetensors", 0.0), tmp_path / "b.safetensors"
    metrics = tmp_path / "n.json"
    metrics.write_text('{"values": {"AP": 0.5}}')
    measured = tmp_path / "measured.safetensors"
    assert run_command(capsys, "pack", str(source), "--metrics", str(metrics), "--output", str(measured))[0] == 0
    code, out, _ = run_command(capsys, "pack", str(measured), "model.rpn.max_proposals=7", "--output", str(output))
    assert code == 0
    assert f"the metrics of {measured} are not kept, as they were measured before the change" in out
    assert read_header(output)["metrics"] == {}
    assert run_command(capsys, "pack", str(measured), "--output", str(output))[0] == 0
    assert read_header(output)["metrics"] == {"AP": 0.5}


def test_unstated_information_is_shown_as_not_stated(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run_command(capsys, "show", "yolox_nano")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if line.strip())
    assert (lines["size"], lines["license"]) == ("not stated", "Apache-2.0")
    assert lines["SHA-256"] == "not stated: a download cannot be verified"
    assert "`detkit models download yolox_nano` writes it to" in lines["file"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("import", "a.pth"),
            "models import: expected the name of the detector in the file; give --model NAME, see `detkit models list --kind weights`",
        ),
        (("import", "a.pth", "--model", "x", "--output", "b.pth"), "--output b.pth: expected a name that ends in .safetensors"),
        (("pack", "a", "b"), "models pack: expected one checkpoint or run's folder, got a, b"),
        (("pack", "a", "--output", "b.safetensors"), "a: no such file or folder; expected a checkpoint or a run's folder"),
        (("average", "a", "b", "--output", "c.safetensors"), "a: no such file or folder; expected a checkpoint or a run's folder"),
        (
            ("average", "a", "--output", "c.safetensors"),
            "models average: expected two or more checkpoints or runs' folders, got only a",
        ),
        (
            ("average", "a", "b", "--min-score", ".2", "--output", "c.safetensors"),
            "unrecognized arguments: --min-score .2; see detkit models --help",
        ),
        (
            ("pack", "a", "--model", "x", "--output", "b.safetensors"),
            "unrecognized arguments: --model x; see detkit models --help",
        ),
        (("show", "resnet50", "--model", "x"), "unrecognized arguments: --model x; see detkit models --help"),
        (
            ("import", "a.pth", "--model", "fasterrcnn_resnet50", "--output", "b.safetensors"),
            "unknown published detector 'fasterrcnn_resnet50': did you mean 'fasterrcnn_resnet50_fpn'?",
        ),
        (("pack", "a"), "--output: expected the file to write; give --output FILE.safetensors"),
        (("import", "none.pth", "--model", "fasterrcnn_resnet50_fpn", "--output", "b.safetensors"), "weights none.pth: no such file"),
    ],
)
def test_errors_of_writing_commands_are_printed_on_one_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(capsys, *words) == (2, "", f"detkit: error: {message}\n")


def test_list_imports_no_torch() -> None:
    code = "import sys; from detkit.cli.main import main; main(['models']); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.endswith("False\n")
