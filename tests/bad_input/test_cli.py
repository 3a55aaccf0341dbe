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
        (("propose", "a.json", "--report"), "--json"),
        (("propose", "a.json", "--report"), "--plot"),
        (("export",), "--output"),
        (("weights", "pack", "a.safetensors"), "--output"),
        (("weights", "import", "a.pth", "--model", "ssd300_vgg16"), "--output"),
    ],
)
def test_where_nothing_can_be_written_is_told_before_the_work(
    words: tuple[str, ...], flag: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    ending = {"--plot": "png", "--output": "json" if words[0] == "propose" else "safetensors"}.get(flag, "json")
    folder = f"e.{ending}"
    Path(folder).mkdir()
    Path("file").touch()
    wrong = {
        folder: "expected the name of a file, got a folder; name a file in it",
        f"file/x.{ending}": "file is a file, and a folder is expected there; give another path",
    }
    if sys.platform == "linux":
        wrong[f"/proc/x.{ending}"] = "no file can be made in /proc ("
    for path, message in wrong.items():
        assert main([*words, flag, path]) == 2
        error = capsys.readouterr().err
        assert error.startswith(f"detkit: error: {flag} {path}: {message}")
        assert error.count("\n") == 1
    assert sorted(str(path) for path in Path().iterdir()) == [folder, "file"]


def test_misspelt_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detct"]) == 2
    assert capsys.readouterr().err == "detkit: error: unknown command 'detct': did you mean 'detect'?\n"


def test_misspelt_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--versoin"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "detkit: error: unrecognized arguments: --versoin; see detkit --help\n"
