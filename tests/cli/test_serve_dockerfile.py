"""The Dockerfile: its steps, run without Docker in a new virtual environment, and the server that it starts."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from detkit.cli.inputs import sample_photograph

ROOT = Path(__file__).resolve().parents[2]


def instructions() -> Iterator[tuple[str, str]]:
    """Yield the instructions of the Dockerfile and their arguments, without comments."""
    lines = [line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if not line.startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.partition(" ")
            yield name, " ".join(rest.split())


def of(name: str) -> list[str]:
    return [rest for found, rest in instructions() if found == name]


def test_the_server_is_no_administrator_and_stops_on_a_signal() -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", of("USER")[-1])
    assert [name for name, _ in instructions()].index("USER") < [name for name, _ in instructions()].index("ENTRYPOINT")
    assert json.loads(of("ENTRYPOINT")[0])[:2] == ["detkit", "serve"], "no shell that would keep the signal to itself"


def test_the_context_has_what_is_copied() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copied = {word.removeprefix("./") for rest in of("COPY") for word in rest.split()[:-1]}
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_libraries_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    known = {*project["dependencies"], *project["optional-dependencies"]["serve"]}
    words = [word for rest in of("RUN") for word in shlex.split(rest) if ">=" in word]
    assert len(words) > 5
    assert [word for word in words if word not in known] == []


@pytest.mark.slow
def test_the_steps_lead_to_a_server(tmp_path: Path) -> None:
    work, environment = tmp_path / "app", tmp_path / "venv"
    work.mkdir()
    for rest in of("COPY"):
        *names, target = rest.split()
        for name in names:
            source = ROOT / name
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, work / target, ignore=ignored) if source.is_dir() else shutil.copy(source, work / target)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    values = dict(pair.split("=", 1) for rest in of("ENV") for pair in shlex.split(rest))
    variables = {**os.environ, **values, "PATH": f"{environment / 'bin'}:{os.environ['PATH']}"}
    variables.pop("PYTHONPATH", None)
    for step in of("RUN"):
        done = subprocess.run(["sh", "-c", step], cwd=work, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-2000:]
    command = [*json.loads(of("ENTRYPOINT")[0]), *json.loads(of("CMD")[-1]), "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=variables, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            match = next(filter(None, (re.search(r"at http://0\.0\.0\.0:(\d+)", line) for line in process.stdout)))
            url = f"http://127.0.0.1:{match[1]}/v1/detect"
            with urlopen(Request(url, sample_photograph().read_bytes(), {"Content-Type": "image/jpeg"})) as answer:
                assert json.load(answer)["detections"]
        finally:
            process.terminate()
        assert process.wait(60) == 0
