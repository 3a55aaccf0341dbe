from __future__ import annotations

import sys
from pathlib import Path

import pytest

from detkit.cli.main import main


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (("detect", "a.png"), "--json"),
        (("detect", "a.png"), "--csv"),
        (("detect", "a.png"), "--coco"),
        (("evaluate", "--data", "a.json"), "--json"),
        (("evaluate", "--data", "a.json"), "--results"),
        (("propose", "a.png"), "--output"),
        (("propose", "--data", "a.json", "--recall"), "--json"),
        (("propose", "--data", "a.json", "--recall"), "--plot"),
        (("export",), "--output"),
        (("models", "pack", "a.safetensors"), "--output"),
        (("models", "import", "a.pth", "--model", "ssd300_vgg16"), "--output"),
        (("models", "average", "a.safetensors", "b.safetensors"), "--output"),
    ],
)
def test_unwritable_outputs_are_refused_before_the_work(
    words: tuple[str, ...], flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ending = {"--plot": "png", "--output": "json" if words[0] == "propose" else "safetensors"}.get(flag, "json")
    folder = f"e.{ending}"
    Path(folder).mkdir()
    Path("file").touch()
    messages = {
        folder: "expected a file name, got a folder; name a file in it",
        f"file/x.{ending}": "expected file to be a folder, but it is a file; give another path",
    }
    if sys.platform == "linux":
        messages[f"/proc/x.{ending}"] = "no file can be created in /proc ("
    for path, message in messages.items():
        assert main([*words, flag, path]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"detkit: error: {flag} {path}: {message}")
        assert error.count("\n") == 1
    assert sorted(str(path) for path in Path().iterdir()) == [folder, "file"]


def test_misspelled_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detct"]) == 2
    assert capsys.readouterr().err == "detkit: error: unknown command 'detct': did you mean 'detect'?\n"


def test_misspelled_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--versoin"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "detkit: error: unrecognized arguments: --versoin; see detkit --help\n"
