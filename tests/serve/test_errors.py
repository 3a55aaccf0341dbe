"""Wrong requests: each has a status, and an error in the one JSON form."""

from __future__ import annotations

import base64
import io
import struct
import sys
import zlib
from typing import Any

import bright
import pytest
from PIL import Image
from serving import BINARY, JPEG, client, encoded, model, photo

from detkit.data.media.limits import VARIABLE
from detkit.serve import batching, detection

IMAGE = base64.b64encode(photo()).decode()


def check(answer: Any, status: int, code: str, text: str = "") -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert content.keys() == {"error"}
    error: dict[str, Any] = content["error"]
    assert {"code", "message"} <= error.keys() <= {"code", "message", "expected"}
    assert error["code"] == code
    assert text in error["message"]
    return error


def bomb(width: int, height: int) -> bytes:
    """A small PNG that decodes to a large black image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + -(-width // 8))) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("query", "code", "text", "expected"),
    [
        ("min_score=2", "invalid_parameter", "min_score: got '2'", "a number from 0 to 1, or operating"),
        ("min_score=nan", "invalid_parameter", "min_score", "a number from 0 to 1, or operating"),
        ("min_score=-0.1", "invalid_parameter", "min_score", "a number from 0 to 1, or operating"),
        ("min_score=low", "invalid_parameter", "min_score", "a number from 0 to 1, or operating"),
        ("min_score=", "invalid_parameter", "min_score", "a number from 0 to 1, or operating"),
        ("min_score=0.1&min_score=0.2", "invalid_parameter", "min_score: expected one value, got 2", ""),
        ("max_detections=0", "invalid_parameter", "max_detections", "a whole number of 1 or more"),
        ("max_detections=1.5", "invalid_parameter", "max_detections", "a whole number of 1 or more"),
        ("max_detections=99999999999999999999", "invalid_parameter", "max_detections", "a whole number of 1 or more"),
        ("max_detections=%C2%B2", "invalid_parameter", "max_detections", "a whole number of 1 or more"),
        ("classes=gren", "unknown_class", "the model has no class 'gren'", "green"),
        ("classes=,", "invalid_parameter", "classes: got no name", "names of classes"),
        ("minscore=0.1", "invalid_parameter", "unknown parameter 'minscore': did you mean 'min_score'", ""),
    ],
)
def test_wrong_parameters(query: str, code: str, text: str, expected: str) -> None:
    with client() as web:
        error = check(web.post(f"/v1/detect?{query}", content=photo(), headers=BINARY), 422, code, text)
    assert expected in error.get("expected", "")


@pytest.mark.parametrize("value", [True, None, [], {}, "high", -1, 1e400])
def test_wrong_values_in_json(value: Any) -> None:
    import json

    body = json.dumps({"image": IMAGE, "min_score": value}).encode()
    with client() as web:
        answer = web.post("/v1/detect", content=body, headers={"Content-Type": "application/json"})
    if value is None:
        assert answer.status_code == 200, "null is as if the key were missing"
    else:
        check(answer, 422, "invalid_parameter", "min_score")


def test_unknown_model() -> None:
    with client() as web:
        for answer in (
            web.post("/v1/detect?model=other", content=photo(), headers=BINARY),
            web.post("/v1/detect", json={"image": IMAGE, "model": "other"}),
            web.get("/v1/model?model=other"),
        ):
            assert check(answer, 404, "unknown_model", "there is no model 'other'")["expected"] == "one of: bright"
        check(web.post("/v1/detect", json={"image": IMAGE, "model": 7}), 404, "unknown_model")
        check(web.post("/v1/detect", json={"image": IMAGE, "model": ["a", "b"]}), 422, "invalid_parameter")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", 'neither "image" nor "images"'),
        (b'{"image": "", "images": []}', 'both "image" and "images"'),
        (b'{"image": 7}', "an image is 7 instead of a text"),
        (b'{"images": "x"}', '"images" is not a list'),
        (b'{"images": []}', "the request has no image"),
    ],
)
def test_wrong_json(body: bytes, text: str) -> None:
    with client() as web:
        check(web.post("/v1/detect", content=body, headers={"Content-Type": "application/json"}), 400, "invalid_body", text)


@pytest.mark.parametrize(
    "text", ["###", IMAGE[:-1], IMAGE + "é", "https://example.org/cat.jpg", "file:///etc/passwd", "/etc/passwd", "AAA"]
)
def test_wrong_base64_and_addresses(text: str) -> None:
    with client() as web:
        answer = web.post("/v1/detect", json={"image": text})
    if text == "/etc/passwd":  # happens to be base64, and is only that
        check(answer, 422, "invalid_base64")
    else:
        assert "addresses are never fetched" in check(answer, 422, "invalid_base64", "not base64")["expected"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "the file is empty (0 bytes)"),
        (b"hello world", "not a readable image: it begins with b'hello wo'"),
        (bytes(1000), "its 1000 bytes are all zero"),
        (b"%PDF-1.4 " + bytes(100), "it is a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n", "not a readable image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (photo()[:100], "image"),
        (encoded(bright.image(), "JPEG")[:-200], "image"),
    ],
)
def test_bytes_that_are_no_image_have_the_message_of_the_reader(data: bytes, text: str) -> None:
    with client() as web:
        assert "JPEG" in check(web.post("/v1/detect", content=data, headers=JPEG), 422, "invalid_image", text)["expected"]


def test_no_program_decodes_postscript(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    def no_program(*args: Any, **options: Any) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", no_program)
    file = io.BytesIO()
    Image.fromarray(bright.image()).save(file, "EPS")
    with client() as web:
        check(web.post("/v1/detect", content=file.getvalue(), headers=BINARY), 422, "invalid_image", "not a readable image")


def test_damaged_pixels() -> None:
    data = bytearray(encoded(bright.image(), "PNG"))
    data[60:80] = b"\xff" * 20
    with client() as web:
        check(web.post("/v1/detect", content=bytes(data), headers=BINARY), 422, "invalid_image", "image")


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "video/mp4", "multipart/mixed; boundary=x", "", "image"]
)
def test_unsupported_media_types(kind: str) -> None:
    with client() as web:
        error = check(
            web.post("/v1/detect", content=photo(), headers={"Content-Type": kind} if kind else {}), 415, "unsupported_media_type"
        )
    assert "multipart/form-data" in error["expected"]


def test_compressed_bodies_are_refused() -> None:
    with client() as web:
        headers = {**BINARY, "Content-Encoding": "gzip"}
        check(web.post("/v1/detect", content=photo(), headers=headers), 415, "unsupported_encoding", "'gzip'")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "its end is missing"),
        (b"garbage", ""),
        (b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\nabc', "its end is missing"),
        (b"--x\r\nContent-Type: image/png\r\n\r\nabc\r\n--x--\r\n", "a part has no name"),
        (b'--x\r\nContent-Disposition: form-data; name="' + b"n" * 20_000 + b'"\r\n\r\nabc\r\n--x--\r\n', ""),
        (b"--x--\r\n", ""),
    ],
)
def test_damaged_forms(body: bytes, text: str) -> None:
    with client() as web:
        check(web.post("/v1/detect", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}), 400, "invalid_body", text)
        check(web.post("/v1/detect", content=body, headers={"Content-Type": "multipart/form-data"}), 400, "invalid_body", "no boundary")


def test_forms_with_too_many_parts_and_fields_that_are_no_text() -> None:
    with client(max_images=2) as web:
        files = [("image", (f"{number}.png", photo())) for number in range(3)]
        check(web.post("/v1/detect", files=files), 413, "too_many_parts")
        fields = {f"field{number}": "x" for number in range(101)}
        check(web.post("/v1/detect", data=fields, files={"image": ("x", photo())}), 413, "too_many_parts")
        check(web.post("/v1/detect", json={"images": [IMAGE] * 3}), 413, "too_many_images", "the request has 3 images")
        body = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n' + photo() + b"\r\n--x--\r\n"
        error = check(
            web.post("/v1/detect", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"}), 422, "invalid_parameter"
        )
        assert "an image needs a filename" in error["message"]
        check(web.post("/v1/detect", data={"min_score": "0.5"}, files={"image": ("x", b"")}), 422, "invalid_image", "empty")


def test_large_bodies_are_refused_by_their_length_and_while_they_arrive() -> None:
    read = []

    def body() -> Any:
        for _ in range(1000):
            read.append(1)
            yield bytes(1000)

    with client(max_bytes=10_000) as web:
        assert check(web.post("/v1/detect", content=bytes(10_001), headers=BINARY), 413, "too_large")["expected"] == "at most 10,000 bytes"
        check(web.post("/v1/detect", content=body(), headers=BINARY), 413, "too_large")
        assert web.service.memory.used == 0
        assert web.post("/v1/detect", content=photo(), headers=BINARY).status_code == 200


def test_bodies_that_are_too_large_together_are_refused() -> None:
    with client() as web:
        web.service.memory.limit = 100
        check(web.post("/v1/detect", content=photo(), headers=BINARY), 503, "overloaded", "too many large bodies")
        assert web.service.memory.used == 0


def test_images_with_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[Any] = []
    monkeypatch.setenv(VARIABLE, "5000")
    monkeypatch.setattr(batching, "decode", lambda *args: decoded.append(args))
    with client() as web:
        for data in (encoded(bright.image(80, 80)), encoded(bright.image(80, 80), "JPEG"), bomb(101, 50)):
            assert "at most 5,000" in check(web.post("/v1/detect", content=data, headers=BINARY), 413, "too_many_pixels")["expected"]
    assert not decoded


def test_a_decompression_bomb_is_refused() -> None:
    data = bomb(20_000, 20_000)
    assert len(data) < 100_000
    with client() as web:
        check(web.post("/v1/detect", content=data, headers=BINARY), 413, "too_many_pixels")


def test_unknown_paths_and_methods() -> None:
    with client() as web:
        for path in ("/v2/detect", "/v1/detect/", "/docs", "/redoc", "/static/../../etc/passwd", "/v1", "/%2e%2e/etc/passwd", "/a\u202eb"):
            check(web.get(path), 404, "not_found", "there is nothing at")
        assert check(web.get("/v1/detect"), 405, "method_not_allowed", "does not accept 'GET'")["expected"] == "POST"
        check(web.delete("/v1/model"), 405, "method_not_allowed")


def test_an_unforeseen_error_is_logged_and_not_shown(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(detection, "check_header", fail)
    with client() as web:
        answer = web.post("/v1/detect", content=photo(), headers=BINARY)
    check(answer, 500, "internal")
    assert "secret" not in answer.text
    assert "secret" in caplog.text


class Broken:
    """A predictor that fails on every image after the warm-up."""

    def __init__(self) -> None:
        self._predictor = bright.predictor(short_side=60)
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def detect(self, prepared: Any) -> Any:
        self.calls += 1
        if self.calls > 2:
            raise RuntimeError("secret")
        return self._predictor.detect(prepared)


def test_a_failing_model_is_logged_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    with client(model(predictor=Broken())) as web:
        answer = web.post("/v1/detect", content=photo(), headers=BINARY)
        check(answer, 500, "internal", "image: the detection failed")
        assert web.get("/ready").status_code == 200
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_no_request_opens_a_file() -> None:
    opened: list[str] = []
    active = True
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" and active else None)
    with client() as web:
        web.post("/v1/detect", files=[("images", ("/etc/passwd", photo())), ("images", ("x", b"/etc/passwd" * 300_000))])
        web.post("/v1/detect", json={"image": "/etc/passwd"})
        web.post("/v1/detect", json={"image": "file:///etc/passwd"})
        web.get("/v1/model?model=/etc/passwd")
    active = False
    with open(__file__):
        pass
    assert [path for path in opened if not path.endswith((".py", ".pyc", ".html", ".css", ".js"))] == [], "nor a temporary one"
