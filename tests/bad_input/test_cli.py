from __future__ import annotations

import pytest

from detkit.cli.main import main


def test_misspelt_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detct"]) == 2
    assert capsys.readouterr().err == "detkit: error: unknown command 'detct': did you mean 'detect'?\n"


def test_misspelt_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--versoin"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "detkit: error: unrecognized arguments: --versoin; see detkit --help\n"
