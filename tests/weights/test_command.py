"""``detkit weights`` as a person runs it."""

from __future__ import annotations

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


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["weights", *words])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("words", [(), ("list",)])
def test_the_list(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, *words)
    assert code == 0
    row = next(line for line in out.splitlines() if line.startswith("fasterrcnn_resnet50_fpn "))
    for cell in (
        "detector",
        "AP 37.0",
        "COCO train2017",
        "not stated",
        "41.8 M",
        "159.7",
        "258fb6c6",
        "  no  ",
        "torchvision 0.29.1, FasterRCNN",
    ):
        assert cell in row
    assert all(entry.name in out for entry in catalog())
    assert "  yes  " in next(line for line in out.splitlines() if line.startswith("efficientnet_lite0"))


def test_a_damaged_file_is_told_in_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "resnet18-f37072fd.pth").write_bytes(b"half")
    _, out, _ = said(capsys, "list", "--folder", str(tmp_path))
    assert "  damaged  " in next(line for line in out.splitlines() if line.startswith("resnet18"))
    _, out, _ = said(capsys, "show", "resnet18", "--folder", str(tmp_path))
    assert "it was cut or is another file; delete it" in out


def test_show(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = said(capsys, "show", "resnet50_v2", "efficientnet_lite0")
    assert code == 0
    assert "top-1 80.9 (ImageNet-1K validation images)" in out
    assert "11ad3fa6... (the digits that the publisher states)" in out
    assert f"detkit weights download resnet50_v2 puts it into {tmp_path / 'cache'}" in out
    assert "Apache-2.0" in out


def test_download_of_what_is_here(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, "download", "efficientnet_lite0")
    assert (code, err) == (0, "")
    assert out.rstrip().endswith("efficientnet-lite0-57934424.pth")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show", "renset50"), "unknown weights 'renset50': did you mean 'resnet50'?"),
        (("download",), "detkit weights download: expected a name out of `detkit weights`, got none"),
        (("list", "resnet50"), "detkit weights list takes no names, got resnet50; did you mean detkit weights show?"),
    ],
)
def test_mistakes_are_one_line(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, *words) == (2, "", f"detkit: error: {message}\n")


def test_import_makes_a_checkpoint_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_320_fpn

    from detkit.checkpoint import load_checkpoint

    torch.manual_seed(0)
    published = fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None).state_dict()
    torch.save(published, tmp_path / "theirs.pth")
    output = tmp_path / "new" / "ours.safetensors"
    words = ("import", str(tmp_path / "theirs.pth"), "--model", "fasterrcnn_mobilenet_v3_large_320_fpn", "--output", str(output))
    code, out, _ = said(capsys, *words)
    assert code == 0
    assert "with 80 classes" in out
    checkpoint = load_checkpoint(output)
    assert checkpoint.header["imported_from"] == "theirs.pth"
    assert checkpoint.class_names[0] == "person"
    assert torch.equal(checkpoint.tensors["neck.backbone.features.0.0.weight"], published["backbone.body.0.0.weight"])


def test_import_of_convolutions_in_the_order_of_running(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from detkit.inference.loading import load_detector

    file, output = shared / "weights" / "yolox_nano_coco_convs_in_graph_order.npz", tmp_path / "yolox_nano.safetensors"
    code, out, _ = said(capsys, "import", str(file), "--model", "yolox_nano", "--output", str(output))
    assert (code, "with 80 classes" in out) == (0, True)
    detector, config, names = load_detector(output)
    assert (config.kind, config.preprocess.input_size, names[0], detector.num_classes) == ("yolox", (416, 416), "person", 80)
    code, _, err = said(capsys, "import", str(file), "--model", "yolox_s", "--output", str(output))
    assert code == 2
    assert f"weights {file}: not yolox_s: expected 83 convolutions from 000 on" in err


def test_a_packed_checkpoint_detects_the_same(shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from detkit.inference.loading import load_detector

    file = shared / "weights" / "yolox_nano_coco_convs_in_graph_order.npz"
    whole, packed = tmp_path / "whole.safetensors", tmp_path / "a" / "b.safetensors"
    assert said(capsys, "import", str(file), "--model", "yolox_nano", "--output", str(whole))[0] == 0
    code, out, _ = said(capsys, "pack", str(whole), "--output", str(packed))
    assert (code, f"{packed}: " in out) == (0, True)
    assert packed.stat().st_size < 0.6 * whole.stat().st_size
    images = [torch.rand(3, 416, 416, generator=torch.Generator().manual_seed(0))]
    before, after = (load_detector(path)[0] for path in (whole, packed))
    assert {tensor.dtype for tensor in after.state_dict().values() if tensor.is_floating_point()} == {torch.float32}
    with torch.no_grad():
        first, second = (detector.raw(detector.prepare(images))[0].sigmoid() for detector in (before, after))
    assert torch.allclose(first, second, atol=5e-3)


def test_what_a_publisher_does_not_state_reads_so(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "show", "yolox_nano")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines() if line.strip())
    assert (lines["size"], lines["license"]) == ("not stated", "Apache-2.0")
    assert lines["SHA-256"] == "not stated: what a download brings cannot be checked"
    assert "detkit weights download yolox_nano puts it into" in lines["here"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("import", "a.pth"), "detkit weights import: expected one file, --model NAME and --output FILE.safetensors"),
        (("import", "a.pth", "--model", "x", "--output", "b.pth"), "--output b.pth: expected a name that ends in .safetensors"),
        (("pack", "a", "b"), "detkit weights pack: expected a checkpoint or a run's folder, and --output FILE.safetensors"),
        (("pack", "a", "--output", "b.safetensors"), "a: no such checkpoint, and no run's folder"),
        (("average", "a", "b", "--output", "c.safetensors"), "a: no such checkpoint, and no run's folder"),
        (
            ("average", "a", "--output", "c.safetensors"),
            "detkit weights average: expected two checkpoints or runs' folders, or more, and --output FILE.safetensors",
        ),
        (
            ("average", "a", "b", "--min-score", ".2", "--output", "c.safetensors"),
            "detkit weights average takes no --min-score; it belongs to detkit weights pack",
        ),
        (
            ("pack", "a", "--model", "x", "--output", "b.safetensors"),
            "detkit weights pack takes no --model; it belongs to detkit weights import",
        ),
        (("show", "resnet50", "--model", "x"), "detkit weights show takes no --model; it belongs to detkit weights import"),
        (
            ("import", "a.pth", "--model", "fasterrcnn_resnet50", "--output", "b.safetensors"),
            "unknown published detector 'fasterrcnn_resnet50': did you mean 'fasterrcnn_resnet50_fpn'?",
        ),
        (("import", "none.pth", "--model", "fasterrcnn_resnet50_fpn", "--output", "b.safetensors"), "weights none.pth: no such file"),
    ],
)
def test_mistakes_of_an_import_are_one_line(words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, *words) == (2, "", f"detkit: error: {message}\n")


def test_the_list_imports_no_torch() -> None:
    code = "import sys; from detkit.cli.main import main; main(['weights']); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.endswith("False\n")
