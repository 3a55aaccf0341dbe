"""``detkit models`` as a user runs it, for published weights."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from detkit.cli.main import main
from detkit.weights import catalog


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    expected = ["fasterrcnn_resnet50_fpn", "weights", "37.0", "COCO val2017", "not stated", "41.8 M", "159.7", "no"]
    assert re.split(r"\s{2,}", row) == expected
    assert all(entry.name in out for entry in catalog() if entry.kind == "detector")


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


def test_download_of_a_present_file(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_command(capsys, "download", "efficientnet_lite0")
    assert (code, err) == (0, "")
    assert out.rstrip().endswith("efficientnet-lite0-57934424.pth")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "renset50"), "models show renset50: no such model: did you mean 'resnet50' or 'resnet50'?"),
        (("download",), "the following arguments are required: NAME; see detkit models download --help"),
        (("download", "renset50"), "unknown weights 'renset50': did you mean 'resnet50'?"),
    ],
)
def test_mistakes_are_one_line(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(capsys, *words) == (2, "", f"detkit: error: {message}\n")


def test_import_writes_a_checkpoint_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    from detkit.inference.loading import load_detector

    file, output = shared / "weights" / "yolox_nano_coco_convs_in_graph_order.npz", tmp_path / "yolox_nano.safetensors"
    code, out, _ = run_command(capsys, "import", str(file), "--model", "yolox_nano", "--output", str(output))
    assert (code, "with 80 classes" in out) == (0, True)
    detector, config, names = load_detector(output)
    assert (config.kind, config.preprocess.input_size, names[0], detector.num_classes) == ("yolox", (416, 416), "person", 80)
    code, _, err = run_command(capsys, "import", str(file), "--model", "yolox_s", "--output", str(output))
    assert code == 2
    assert f"weights {file}: not yolox_s: expected 83 convolutions, numbered from 000" in err


def test_packed_checkpoint_gives_the_same_detections(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from detkit.inference.loading import load_detector

    file = shared / "weights" / "yolox_nano_coco_convs_in_graph_order.npz"
    whole, packed = tmp_path / "whole.safetensors", tmp_path / "a" / "b.safetensors"
    assert run_command(capsys, "import", str(file), "--model", "yolox_nano", "--output", str(whole))[0] == 0
    code, out, _ = run_command(capsys, "pack", str(whole), "--output", str(packed))
    assert (code, f"{packed}: " in out) == (0, True)
    assert packed.stat().st_size < 0.6 * whole.stat().st_size
    images = [torch.rand(3, 416, 416, generator=torch.Generator().manual_seed(0))]
    before, after = (load_detector(path)[0] for path in (whole, packed))
    assert {tensor.dtype for tensor in after.state_dict().values() if tensor.is_floating_point()} == {torch.float32}
    with torch.no_grad():
        first, second = (detector.raw(detector.prepare(images))[0].sigmoid() for detector in (before, after))
    assert torch.allclose(first, second, atol=5e-3)


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
            "detkit models import: which detector does the file hold? give --model NAME, see `detkit models list --kind weights`",
        ),
        (("import", "a.pth", "--model", "x", "--output", "b.pth"), "--output b.pth: expected a name that ends in .safetensors"),
        (("pack", "a", "b"), "detkit models pack: expected one checkpoint or run's folder, got a, b"),
        (("pack", "a", "--output", "b.safetensors"), "a: no such checkpoint or run's folder"),
        (("average", "a", "b", "--output", "c.safetensors"), "a: no such checkpoint or run's folder"),
        (
            ("average", "a", "--output", "c.safetensors"),
            "detkit models average: expected two or more checkpoints or runs' folders, got a alone",
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
        (("import", "none.pth", "--model", "fasterrcnn_resnet50_fpn", "--output", "b.safetensors"), "weights none.pth: no such file"),
    ],
)
def test_mistakes_of_writing_commands_are_one_line(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(capsys, *words) == (2, "", f"detkit: error: {message}\n")


def test_list_imports_no_torch() -> None:
    code = "import sys; from detkit.cli.main import main; main(['models']); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.endswith("False\n")
