"""The paths for operation: state, metrics, descriptions, key, and pages of other origins."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from serving import BINARY, client, model, photo

from detkit.serve import schemas
from detkit.serve.metrics import Gauge, Histogram, Metric, exposition
from detkit.serve.security import VARIABLE, read_key

SAMPLE = re.compile(r'^([a-z_]+)(?:\{((?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$')


def samples(text: str) -> dict[str, float]:
    """Values by name and labels; every line must be in the text format."""
    values, types = {}, {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            types[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.match(line)
            assert match, line
            base = re.sub(r"_(bucket|sum|count)$", "", match[1])
            assert types.get(match[1]) in {"counter", "gauge"} or types.get(base) == "histogram", line
            values[line.rpartition(" ")[0]] = float(match[3])
    return values


def test_the_server_lives_and_is_ready() -> None:
    with client() as web:
        assert (web.get("/health").status_code, web.get("/health").json()) == (200, {"status": "ok"})
        assert (web.get("/ready").status_code, web.get("/ready").json()) == (200, {"status": "ok"})
        web.service.batchers["bright"].ready.clear()
        assert (web.get("/ready").status_code, web.get("/ready").json()["status"]) == (503, "the model bright has not run yet")
        assert web.get("/health").status_code == 200
        web.service.stopping = True
        assert web.get("/ready").json()["status"] == "the server is stopping"


def test_the_description_of_a_model() -> None:
    with client(model(min_score=0.4), max_bytes=1000, queue=7) as web:
        info = web.get("/v1/model").json()
    schemas.ModelInfo.model_validate(info)
    assert info["class_names"] == ["red", "green"], "a class without a name is never reported"
    assert info["classes"] == [
        {"label": 0, "name": "red", "color": "#e63946", "min_score": 0.4},
        {"label": 1, "name": "green", "color": "#2684ff", "min_score": 0.4},
    ]
    assert (info["device"], info["precision"], info["operating_points"]) == ("cpu", "fp32", None)
    assert info["preprocess"]["short_side"] == 60
    limits = info["limits"]
    assert (limits["max_bytes"], limits["queue"], limits["max_batch"], limits["max_pixels"]) == (1000, 7, 4, 178956970)


def test_metrics_count_requests_images_and_batches() -> None:
    with client() as web:
        for _ in range(3):
            web.post("/v1/detect", content=photo(), headers=BINARY)
        web.post("/v1/detect", files=[("images", ("a", photo())), ("images", ("b", b"x"))])
        web.get("/no/such/path")
        web.request("BREW", "/v1/detect")
        answer = web.get("/metrics")
    values = samples(answer.text)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert values['detkit_requests_total{method="POST",path="/v1/detect",status="200"}'] == 4
    assert values['detkit_requests_total{method="GET",path="other",status="404"}'] == 1
    assert values['detkit_requests_total{method="other",path="/v1/detect",status="405"}'] == 1
    assert values['detkit_images_total{model="bright",result="ok"}'] == 4
    assert values['detkit_images_total{model="bright",result="invalid_image"}'] == 1
    assert values['detkit_request_seconds_count{path="/v1/detect"}'] == 5
    assert values['detkit_request_seconds_bucket{path="/v1/detect",le="+Inf"}'] == 5
    assert values['detkit_batch_size_sum{model="bright"}'] == 4
    assert values['detkit_queue_length{model="bright"}'] == 0
    assert (values["detkit_queue_limit"], values["detkit_ready"], values["detkit_upload_bytes"]) == (64, 1, 0)


def test_metrics_escape_labels_and_buckets_accumulate() -> None:
    metric, histogram = Metric("a_total", "Help.", ("name",)), Histogram("b", "Help.", (), (1.0, 2.5))
    metric.add('x"\\\n')
    for value in (0.5, 1.0, 2.0, 99.0):
        histogram.observe(value)
    gauge = Gauge("c", "Help.", (), lambda: {(): 0.25})
    assert exposition([metric, histogram, gauge]).splitlines() == [
        *("# HELP a_total Help.", "# TYPE a_total counter", 'a_total{name="x\\"\\\\\\n"} 1'),
        *("# HELP b Help.", "# TYPE b histogram", 'b_bucket{le="1"} 2', 'b_bucket{le="2.5"} 3', 'b_bucket{le="+Inf"} 4'),
        *("b_sum 102.5", "b_count 4", "# HELP c Help.", "# TYPE c gauge", "c 0.25"),
    ]


def references(node: Any) -> list[str]:
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        return own + [name for value in node.values() for name in references(value)]
    return [name for value in node for name in references(value)] if isinstance(node, list) else []


def test_the_description_of_the_api() -> None:
    with client() as web:
        api = web.get("/openapi.json").json()
        answers = [
            web.post("/v1/detect", content=photo(), headers=BINARY).json(),
            web.post("/v1/detect", files={"images": ("a", photo())}).json(),
            web.post("/v1/detect", content=b"x", headers=BINARY).json(),
        ]
    assert api["paths"].keys() == {"/v1/detect", "/v1/model", "/v1/models", "/health", "/ready", "/metrics"}
    known = {f"#/components/schemas/{name}" for name in api["components"]["schemas"]}
    assert set(references(api)) <= known
    detect = api["paths"]["/v1/detect"]["post"]
    assert set(detect["requestBody"]["content"]) == {"multipart/form-data", "image/*", "application/octet-stream", "application/json"}
    queries = {row["name"] for row in detect["parameters"] if row["in"] == "query"}
    assert queries == {"model", "min_score", "classes", "max_detections", "masks"}
    assert detect["responses"].keys() == {"200", "400", "401", "404", "408", "413", "415", "422", "500", "503"}
    error = {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}
    assert all(row["content"]["application/json"] == error for status, row in detect["responses"].items() if status != "200")
    for kind, answer in zip((schemas.DetectResponse, schemas.DetectManyResponse, schemas.ErrorResponse), answers, strict=True):
        TypeAdapter(kind).validate_python(answer)
        assert answer.keys() <= set(kind.model_fields), "no field without a description"


def test_the_api_needs_the_key_and_operation_does_not() -> None:
    def detect(web: Any, **headers: str) -> Any:
        return web.post("/v1/detect", content=photo(), headers={**BINARY, **headers})

    with client(api_key="s3cret") as web:
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"X-API-Key": "s3cre"},
            {"Authorization": "Basic s3cret"},
            {"X-API-Key": "é"},
        ):
            answer = detect(web, **{name: value.encode() if value == "é" else value for name, value in headers.items()})
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "s3cret" not in answer.text
        assert detect(web, Authorization="Bearer s3cret").status_code == 200
        assert detect(web, **{"X-API-Key": "s3cret"}).status_code == 200
        assert web.get("/v1/models").status_code == web.get("/v1/model").status_code == 401
        for path in ("/", "/health", "/ready", "/metrics", "/openapi.json"):
            answer = web.get(path)
            assert answer.status_code == 200
            assert "s3cret" not in answer.text


def test_a_refused_request_is_not_read() -> None:
    with client(api_key="s3cret") as web:
        assert web.post("/v1/detect", content=photo(), headers=BINARY).status_code == 401
        assert web.service.memory.used == 0
        assert not web.service.images._values


def test_where_the_key_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert read_key(None) is None
    monkeypatch.setenv(VARIABLE, "from-env")
    assert read_key(None) == "from-env"
    file = tmp_path / "key"
    file.write_text("from-file\n")
    assert read_key(str(file)) == "from-file"
    for text in ("", " \n", "two words", "schlüssel"):
        file.write_text(text)
        with pytest.raises(ValueError, match="expected a key of printable ASCII characters without spaces"):
            read_key(str(file))
    with pytest.raises(FileNotFoundError, match="no such file; write the key to it, or set DETKIT_API_KEY"):
        read_key(str(tmp_path / "missing"))


def test_other_origins_are_allowed_only_by_name() -> None:
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "Authorization"}
    with client() as web:
        assert "access-control-allow-origin" not in web.get("/v1/models", headers=ask).headers
    with client(cors_origins=("https://a.example",), api_key="x") as web:
        before = web.options("/v1/detect", headers=ask)
        assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, "https://a.example")
        refused = web.get("/v1/models", headers=ask)
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://a.example")
        assert "access-control-allow-origin" not in web.get("/v1/models", headers={"Origin": "https://b.example"}).headers


def test_the_page_loads_nothing_from_elsewhere() -> None:
    with client() as web:
        answer = web.get("/")
        assert web.head("/").status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", answer.text)
    assert "@@" not in answer.text
    assert len(answer.text.encode()) < 60_000
