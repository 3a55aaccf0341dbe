"""Requests for detections: every form of a request has the detections of the predictor."""

from __future__ import annotations

import base64
import json
from typing import Any

import bright
import numpy as np
import pytest
from PIL import Image
from serving import BINARY, JPEG, client, encoded, masked_model, model, photo

from detkit.checkpoint.operating_points import OperatingPoint, OperatingPoints
from detkit.structures.run_lengths import mask_array

RED, GREEN = [10.0, 20.0, 30.0, 40.0], [40.0, 5.0, 60.0, 15.0]


def expected(pixels: np.ndarray, min_score: float = 0.5) -> list[dict[str, Any]]:
    rows = bright.predictor(short_side=60, min_score=min_score)(pixels)
    return [
        {"class_name": row.class_name, "label": row.label, "score": round(row.score, 7), "box": [round(side, 4) for side in row.box]}
        for row in rows
    ]


def forms() -> dict[str, dict[str, Any]]:
    data, text = photo(), base64.b64encode(photo()).decode()
    lines = base64.encodebytes(photo()).decode()
    return {
        "binary": {"content": data, "headers": BINARY},
        "image": {"content": data, "headers": {"Content-Type": "image/png"}},
        "wrong subtype": {"content": data, "headers": JPEG},
        "form": {"files": {"image": ("photo.png", data, "image/png")}},
        "form without type": {"files": {"file": ("photo.png", data)}},
        "json": {"json": {"image": text}},
        "json with line breaks": {"json": {"image": lines}},
        "data url": {"json": {"image": f"data:image/png;base64,{text}"}},
    }


@pytest.mark.parametrize("form", forms())
def test_every_form_has_the_detections_of_the_predictor(form: str) -> None:
    with client() as web:
        answer = web.post("/v1/detect", **forms()[form])
    content = answer.json()
    assert answer.status_code == 200, content
    assert content["model"] == "bright"
    assert (content["image"]["width"], content["image"]["height"]) == (80, 60)
    assert content["detections"] == expected(bright.image())
    assert [row["box"] for row in content["detections"]] == [RED, GREEN]
    assert content["timings"]["batch_size"] == 1
    assert content["timings"]["total_ms"] >= content["timings"]["detect_ms"] > 0
    assert content["image"].get("name") == ("photo.png" if "form" in form else None)


@pytest.mark.parametrize(
    ("parameters", "classes"),
    [
        ({}, ["red", "green"]),
        ({"min_score": "operating"}, ["red", "green"]),
        ({"min_score": "0.7"}, ["red"]),
        ({"min_score": "1"}, []),
        ({"classes": "green"}, ["green"]),
        ({"classes": "green,red"}, ["red", "green"]),
        ({"max_detections": "1"}, ["red"]),
        ({"classes": "green", "max_detections": "1"}, ["green"]),
        ({"model": "bright"}, ["red", "green"]),
    ],
)
def test_parameters_are_in_the_query_a_form_or_json(parameters: dict[str, str], classes: list[str]) -> None:
    typed = {name: json.loads(value) if value[0].isdigit() else value for name, value in parameters.items()}
    with client() as web:
        answers = [
            web.post("/v1/detect", params=parameters, content=photo(), headers=BINARY),
            web.post("/v1/detect", data=parameters, files={"image": ("x", photo())}),
            web.post("/v1/detect", json={"image": base64.b64encode(photo()).decode(), **typed}),
        ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert [row["class_name"] for row in answer.json()["detections"]] == classes


def test_values_in_the_body_have_precedence_and_lists_can_be_repeated() -> None:
    body = {"image": base64.b64encode(photo()).decode(), "min_score": 0.95, "classes": ["red", "green"]}
    with client() as web:
        assert web.post("/v1/detect?min_score=0.1&classes=green", json=body).json()["detections"] == []
        answer = web.post("/v1/detect?classes=red&classes=green", content=photo(), headers=BINARY)
    assert len(answer.json()["detections"]) == 2


def points(**scores: float) -> OperatingPoints:
    classes = {name: OperatingPoint(name, score, 1.0, 1.0, 1.0) for name, score in scores.items()}
    return OperatingPoints("best F1 at IoU .5", "toy", 3, OperatingPoint("all", 0.95, 1.0, 1.0, 1.0), classes)


def test_each_class_has_its_operating_point() -> None:
    with client(model(min_score=points(green=0.55))) as web:
        answer = web.post("/v1/detect", content=photo(), headers=BINARY).json()
        everything = web.post("/v1/detect?min_score=0", content=photo(), headers=BINARY).json()
        info = web.get("/v1/model").json()
    assert [row["class_name"] for row in answer["detections"]] == ["green"], "red has .9 and is reported from .95, the score of all classes"
    assert len(everything["detections"]) == 2
    assert {row["name"]: row["min_score"] for row in info["classes"]} == {"red": 0.95, "green": 0.55}


def test_several_images_have_a_list_in_their_order() -> None:
    moved = bright.image(red=(1, 2, 9, 8))
    files = [("image", ("a.png", photo())), ("image", ("b.png", encoded(moved)))]
    with client() as web:
        content = web.post("/v1/detect", files=files).json()
        text = [base64.b64encode(file[1]).decode() for _, file in files]
        assert [row["detections"] for row in web.post("/v1/detect", json={"images": text}).json()["results"]] == [
            row["detections"] for row in content["results"]
        ]
    assert [row["name"] for row in content["results"]] == ["a.png", "b.png"]
    assert [row["detections"] for row in content["results"]] == [expected(bright.image()), expected(moved)]


def test_one_image_under_images_has_a_list() -> None:
    with client() as web:
        assert len(web.post("/v1/detect", files={"images": ("a.png", photo())}).json()["results"]) == 1
        assert len(web.post("/v1/detect", json={"images": [base64.b64encode(photo()).decode()]}).json()["results"]) == 1


def test_one_of_several_images_can_fail() -> None:
    files = [("images", ("good.png", photo())), ("images", ("bad.png", b"no image")), ("images", ("cut.png", photo()[:-40]))]
    with client() as web:
        answer = web.post("/v1/detect", files=files)
    good, bad, cut = answer.json()["results"]
    assert answer.status_code == 200
    assert good["detections"] == expected(bright.image())
    assert bad["error"]["code"] == cut["error"]["code"] == "invalid_image"
    assert bad["error"]["message"].startswith("image 2: not a readable image: it begins with b'no image'")
    assert "detections" not in bad
    assert cut["error"]["message"].startswith("image 3: ")


def test_the_orientation_of_the_camera_is_applied() -> None:
    exif = Image.Exif()
    exif[274] = 6
    with client() as web:
        content = web.post("/v1/detect", content=encoded(bright.image(), "JPEG", quality=95, exif=exif), headers=JPEG).json()
    assert (content["image"]["width"], content["image"]["height"]) == (60, 80)
    red = np.array(content["detections"][0]["box"])
    np.testing.assert_allclose(red, [60 - 40, 10, 60 - 20, 30], atol=2)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "JPEG2000"])
def test_formats(kind: str) -> None:
    with client() as web:
        content = web.post("/v1/detect", content=encoded(bright.image(), kind), headers=BINARY).json()
    assert [row["class_name"] for row in content["detections"]] == ["red", "green"], content


@pytest.mark.parametrize("name", ["/etc/passwd", "../../secret.png", "C:\\x.png", "猫 🐈.png", "a\u202eb.png", "x" * 1000 + ".png", ""])
def test_file_names_are_only_repeated(name: str) -> None:
    with client() as web:
        answer = web.post("/v1/detect", files={"image": (name or "x", photo())})
        several = web.post("/v1/detect", files={"images": (name or "x", b"no image")})
    assert answer.json()["image"]["name"] == (name or "x").rpartition("\\")[2], "the parser removes folders of Windows"
    assert name not in several.json()["results"][0]["error"]["message"] or not name


def test_two_models() -> None:
    with client(model("a"), model("b", min_score=0.95)) as web:
        first = web.post("/v1/detect", content=photo(), headers=BINARY).json()
        second = web.post("/v1/detect?model=b", content=photo(), headers=BINARY).json()
        form = web.post("/v1/detect", data={"model": "b"}, files={"image": ("x", photo())}).json()
        names = [row["name"] for row in web.get("/v1/models").json()["models"]]
        assert web.get("/v1/model?model=b").json()["min_score"] == 0.95
    assert (first["model"], len(first["detections"])) == ("a", 2)
    assert (second["model"], second["detections"]) == (form["model"], form["detections"]) == ("b", [])
    assert names == ["a", "b"]


def test_no_objects() -> None:
    with client() as web:
        assert web.post("/v1/detect", content=encoded(np.zeros((30, 40, 3), np.uint8)), headers=BINARY).json()["detections"] == []


def test_masks_are_run_lengths_polygons_or_left_out() -> None:
    with client(masked_model()) as web:

        def rows(**parameters: str) -> list[dict[str, Any]]:
            answer = web.post("/v1/detect", content=photo(), headers=BINARY, params=parameters)
            assert answer.status_code == 200, answer.json()
            return list(answer.json()["detections"])

        for row, (x1, y1, x2, y2) in zip(rows(), (RED, GREEN), strict=True):
            mask = mask_array(row["mask"])
            assert mask.shape == (60, 80)
            assert mask.sum() == pytest.approx(np.pi / 4 * (x2 - x1) * (y2 - y1), rel=0.2)
            assert mask[int((y1 + y2) / 2), int((x1 + x2) / 2)]
            assert "polygons" not in row
        for row in rows(masks="polygons"):
            (outline,) = row["polygons"]
            assert len(outline) >= 16
            assert "mask" not in row
        assert rows(masks="none") == expected(bright.image())
        wrong = web.post("/v1/detect", content=photo(), headers=BINARY, params={"masks": "png"})
        assert wrong.status_code == 422
        assert wrong.json()["error"]["expected"] == "one of: rle, polygons, none"
        answer = web.post("/v1/detect", content=encoded(np.zeros((60, 80, 3), np.uint8)), headers=BINARY)
        assert answer.json()["detections"] == []
        described = web.get("/openapi.json").json()
        assert "masks" in {row["name"] for row in described["paths"]["/v1/detect"]["post"]["parameters"]}
        assert {"mask", "polygons"} <= described["components"]["schemas"]["DetectionRow"]["properties"].keys()


def test_a_model_without_masks_answers_as_before() -> None:
    with client() as web:
        for form in ("rle", "polygons"):
            answer = web.post("/v1/detect", content=photo(), headers=BINARY, params={"masks": form})
            assert answer.json()["detections"] == expected(bright.image())
