"""``detkit serve``: flags, messages, and a process that is stopped under load."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

pytest.importorskip("fastapi")

from detkit.cli.main import command_parser, main
from detkit.cli.serve import command
from detkit.cli.serve.command import ServeOptions
from detkit.serve import server
from detkit.weights import embedded_path

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The servers that would run."""
    built: list[Any] = []

    def run(made: Any, bound: Any) -> None:
        built.append(made)
        made._on_start()

    monkeypatch.setattr(server, "run", run)
    monkeypatch.delenv("DETKIT_API_KEY", raising=False)
    return built


def settings(built: list[Any]) -> Any:
    return built[0]._service.settings


def test_the_address_is_printed(served: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "0", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert re.fullmatch(r"model embedded: embedded \(80 classes\), on cpu in \w+", first)
    assert re.fullmatch(r"serving embedded at http://127\.0\.0\.1:\d+ \(Ctrl-C stops\)", second)
    assert err == ""
    assert settings(served).api_key is None


def test_flags_become_settings(served: list[Any], tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("s3cret\n")
    words = ["--max-wait-ms", "2.5", "--queue", "9", "--max-bytes", "1000", "--max-images", "99", "--timeout", "7", "--grace", "8"]
    words += ["--api-key-file", str(key), "--cors-origin", "https://a.example", "--max-batch", "3", "--min-score", "0.4"]
    assert main(["serve", "a=embedded", "b=embedded", "--port", "0", "--device", "cpu", *words]) == 0
    made = settings(served)
    assert (made.max_wait, made.queue, made.max_bytes, made.timeout, made.grace) == (0.0025, 9, 1000, 7.0, 8.0)
    assert made.max_images == 9, "a request never has more images than may wait"
    assert (made.api_key, made.cors_origins) == ("s3cret", ("https://a.example",))
    service = served[0]._service
    assert service.names == ("a", "b")
    assert {(row.model.max_batch, row.model.predictor.batch_size, row.model.scores.lowest) for row in service.batchers.values()} == {
        (3, 3, 0.4)
    }


def test_the_newest_run_is_served_after_the_named_models(served: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "light-7"
    folder.mkdir(parents=True)
    shutil.copy(embedded_path(), folder / "best.safetensors")
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "embedded", "--latest", "--port", "0", "--device", "cpu"]) == 0
    assert served[0]._service.names == ("embedded", "light-7")


def test_a_server_that_others_reach_without_a_key_is_a_warning(
    served: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["serve", "--port", "0", "--host", "0.0.0.0", "--device", "cpu"]) == 0
    assert "detkit: warning: other machines reach this server, and it has no key: anyone can use it" in capsys.readouterr().err
    (tmp_path / "key").write_text("x")
    assert main(["serve", "--port", "0", "--host", "0.0.0.0", "--device", "cpu", "--api-key-file", str(tmp_path / "key")]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["no-such-model"], "no-such-model"),
        (["x=embedded", "x=embedded"], "would both be called 'x'"),
        (["--cors-origin", "example.org"], "--cors-origin: expected an origin such as https://example.org"),
        (["--cors-origin", "https://example.org/path"], "--cors-origin: expected an origin"),
        (["--api-key-file", "no/such/file"], "--api-key-file no/such/file: no such file"),
        (["--host", "no-such-host.invalid"], "--host no-such-host.invalid --port 0: the address cannot be used"),
        (["--classes", "person", "unicorn", "--device", "cpu"], "class 'unicorn' is not among"),
    ],
)
def test_wrong_values_are_one_line(words: list[str], message: str, served: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *words, *([] if "--port" in words else ["--port", "0"])]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.splitlines()) == 1
    assert not served


@pytest.mark.parametrize(
    "words", [["--port", "65536"], ["--port", "-1"], ["--port", "x"], ["--timeout", "0"], ["--max-wait-ms", "-1"], ["--queue", "0"]]
)
def test_wrong_numbers_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(["serve", *words])


def test_options_and_settings_have_the_same_defaults() -> None:
    from detkit.serve.settings import Settings

    assert command._settings(ServeOptions()) == Settings()
    args = command_parser("serve").parse_args([])
    assert isinstance(args, argparse.Namespace)
    assert (args.host, args.port, args.queue) == ("127.0.0.1", 8000, 64)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.startswith("detkit.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("detkit.serve.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "--port", "0"]) == 2
    assert capsys.readouterr().err == (
        "detkit: error: detkit serve needs uvicorn, which is not installed: pip install 'detkit-vision[serve]'\n"
    )


class Load:
    """Clients that send photographs until they are stopped, or the server is gone."""

    def __init__(self, port: int, body: bytes, count: int) -> None:
        self.port, self.body = port, body
        self.statuses: list[int] = []
        self.unanswered: list[str] = []
        self.end = threading.Event()
        self.threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _work(self) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        while not self.end.is_set():
            new = connection.sock is None
            try:
                connection.request("POST", "/v1/detect", self.body, {"Content-Type": "image/jpeg"})
                response = connection.getresponse()
                content = json.loads(response.read())
            except ConnectionRefusedError:
                return
            except (OSError, HTTPException) as error:
                # A server that stops closes idle connections, perhaps just when the next request comes: that one it has not accepted.
                if new:
                    self.unanswered.append(repr(error))
                return
            assert "detections" in content or "error" in content
            self.statuses.append(response.status)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_answers_what_was_accepted(number: signal.Signals, tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    Image.fromarray(np.asarray(skimage.data.astronaut())).save(photo)
    words = [sys.executable, "-m", "detkit", "serve", "--port", "0", "--device", "cpu", "--threads", "1", "--grace", "60"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "model embedded" in process.stdout.readline()
        match = re.search(r":(\d+) \(Ctrl-C stops\)", process.stdout.readline())
        assert match
        load = Load(int(match[1]), photo.read_bytes(), 16)
        end = time.monotonic() + 120
        while len(load.statuses) < 20 and time.monotonic() < end:
            time.sleep(0.05)
        before = len(load.statuses)
        process.send_signal(number)
        assert process.wait(60) == 0
        for thread in load.threads:
            thread.join(60)
        errors = process.stderr.read()
    assert set(load.statuses) == {200}
    assert len(load.statuses) >= before + 8, "the requests that waited were answered"
    assert load.unanswered == []
    assert errors == ""
