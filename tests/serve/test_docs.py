"""docs/serving.md: its client in Python runs, and its tables name what the code has."""

from __future__ import annotations

import re
from pathlib import Path

import bright
import pytest
from serving import photo, running

from detkit.cli.main import command_parser

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "serving.md").read_text("utf-8")


def test_the_client_in_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code = re.search(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert code
    (tmp_path / "photo.jpg").write_bytes(photo())
    monkeypatch.chdir(tmp_path)
    with running() as web:
        exec(code[1].replace("http://127.0.0.1:8000", web.url), {})
    expected = [f"{row.class_name} {row.score:.7f} {list(row.box)}" for row in bright.predictor(short_side=60)(bright.image())]
    assert [
        re.sub(r"(0\.\d+)", lambda match: f"{float(match[1]):.7f}", line, count=1) for line in capsys.readouterr().out.splitlines()
    ] == expected


def test_every_code_of_an_error_is_listed() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "detkit" / "serve").glob("*.py"))
    codes = set(re.findall(r'Problem\(\s*\d{3}, "(\w+)"', source)) | set(re.findall(r'(?:unavailable|_refuse)\((?:\d+, )?"(\w+)"', source))
    listed = set(re.findall(r"`(\w+)`", GUIDE.partition("| status |")[2].partition("\n\n")[0])) - {"code", "Retry"}
    assert codes | {"invalid_parameter", "invalid_request"} == listed


def test_defaults_in_the_table_of_limits() -> None:
    parser = command_parser("serve")
    rows = re.findall(r"^\| `--([\w-]+)` \(([\d,]+)", GUIDE, re.MULTILINE)
    assert len(rows) >= 5
    for name, number in rows:
        default = parser.get_default(name.replace("-", "_"))
        assert float(number.replace(",", "")) == float(178_956_970 if name == "max-pixels" else default)
