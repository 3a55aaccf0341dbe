"""The class of Ray's actors, without Ray."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brightness import Brightness, write_images
from PIL import Image

from detkit.bulk import ray_detect, ray_worker
from detkit.bulk.detect import image_rows
from detkit.bulk.detector import DEFAULT_MIN_SCORE, DetectorSpec, describe, load_spec
from detkit.bulk.model_files import files_sha256, model_files
from detkit.bulk.ray_worker import BatchDetector, Columns
from detkit.bulk.rows import SCHEMA, to_table
from detkit.cli import flags
from detkit.data.media.images import read_image
from detkit.weights import embedded_onnx_path, embedded_path

SPEC = DetectorSpec(name="embedded")


@pytest.fixture(autouse=True)
def brightness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_worker, "load_sent", lambda spec, contents: Brightness())


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = write_images(tmp_path_factory.mktemp("worker") / "in", 7)
    return [*sorted(str(path) for path in folder.iterdir()), str(folder / "missing.png")]


def cells(values: list[Any]) -> Any:
    """Return values as Ray gives them: an array of objects."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def rows_of(batch: dict[str, Any], **columns: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = BatchDetector(SPEC, {}, Columns(**columns))(batch).to_pylist()
    return rows


def test_paths_are_the_rows_of_a_shard(paths: list[str]) -> None:
    expected = to_table(list(image_rows(Brightness(), paths)), Brightness.class_names)
    for column in ("path", "item"):
        table = BatchDetector(SPEC, {}, Columns())({column: np.array(paths)})
        assert table.equals(expected)
    assert expected["error"].null_count == 7
    assert expected["boxes"][0].as_py() == []  # the black image
    assert [len(row or ()) for row in expected["boxes"].to_pylist()] == [0, 2, 1, 0, 2, 1, 0, 0, 0]


def test_bytes_are_the_same_images(paths: list[str]) -> None:
    names = paths[:8]
    contents = [Path(path).read_bytes() for path in names]
    expected = rows_of({"path": np.array(names)})
    assert rows_of({"bytes": cells(contents), "path": np.array(names)}) == expected
    unnamed = rows_of({"bytes": cells(contents)})
    assert [row["boxes"] for row in unnamed] == [row["boxes"] for row in expected]
    assert {row["image"] for row in unnamed} == {None}
    assert unnamed[7]["error"].startswith("image: not a readable image")


def test_arrays_are_the_same_images(paths: list[str]) -> None:
    arrays = [read_image(path) for path in paths[:7]]
    expected = rows_of({"path": np.array(paths[:7])})
    assert rows_of({"image": cells(arrays), "path": np.array(paths[:7])}) == expected
    (stacked,) = (rows_of({"image": np.stack([arrays[0], arrays[3]]), "path": np.array(paths[:2])}),)
    assert [row["boxes"] for row in stacked] == [expected[0]["boxes"], expected[3]["boxes"]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "expected a path, the bytes of a file or an array, got NoneType"),
        (3.5, "got float"),
        (b"", r"the file is empty \(0 bytes\)"),
        (np.zeros((4, 5, 3)), "expected an array of uint8, got float64"),
        (np.zeros((4, 5, 7), np.uint8), "expected an array"),
        (np.zeros((0, 5, 3), np.uint8), "expected an image with pixels"),
    ],
)
def test_what_is_no_image_is_a_row_with_an_error(value: Any, message: str) -> None:
    good = np.full((6, 8, 3), 4, np.uint8)
    first, second = rows_of({"image": cells([value, good]), "path": np.array(["a.png", "b.png"])})
    assert first["image"] == "a.png"
    assert first["boxes"] is None
    with pytest.raises(ValueError, match=message):
        raise ValueError(first["error"])
    assert (second["error"], len(second["boxes"])) == (None, 1)


def test_columns(paths: list[str]) -> None:
    batch = {"photo": np.array(paths[:2]), "id": np.array([7, 8]), "title": cells(["x", None])}
    rows = rows_of(batch, content="photo", names="title", keep=("id",))
    assert [(row["image"], row["id"], list(row)) for row in rows] == [("x", 7, [*SCHEMA.names, "id"]), (None, 8, [*SCHEMA.names, "id"])]
    with pytest.raises(ValueError, match="expected a column 'bytes' or 'image' or 'path' or 'item', got photo, id, title; name it with"):
        rows_of(batch)
    with pytest.raises(ValueError, match="keep='ids': expected one of the columns photo, id, title"):
        rows_of(batch, content="photo", keep=("ids",))


def test_relative_paths_are_relative_to_the_folder_of_the_caller(paths: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    folder = Path(paths[0]).parent
    (row,) = rows_of({"path": np.array(["001.png"])}, folder=str(folder))
    assert (row["error"], row["image"]) == (None, "001.png")
    assert Path.cwd() == folder.resolve()
    rows_of({"path": np.array(["001.png"])}, folder="/no/such/folder")


def test_the_detector_is_that_of_detect(monkeypatch: pytest.MonkeyPatch) -> None:
    assert flags.DEFAULT_MIN_SCORE == DEFAULT_MIN_SCORE
    spec, files = describe(None, min_score=0.25, classes=("cat",))
    assert (spec.name, files, spec.is_published) == ("embedded", (), False)
    predictor: Any = load_spec(spec, Path())
    assert (type(predictor).__name__, predictor.min_score, predictor.reported) == ("ArrayPredictor", 0.25, ("cat",))
    suggested: Any = load_spec(SPEC, Path())
    assert suggested.min_score == flags.min_score(None, str(embedded_path()))[0]


def test_files_of_models(tmp_path: Path) -> None:
    onnx, xml = tmp_path / "a.onnx", tmp_path / "a.xml"
    for path in (onnx, xml, xml.with_suffix(".bin")):
        path.write_bytes(b"abc")
    spec, files = describe(onnx)
    assert (spec.name, spec.files, files) == ("a.onnx", ("a.onnx",), (onnx,))
    assert describe(xml)[1] == (xml, xml.with_suffix(".bin"))
    assert model_files("embedded") == (embedded_path(),)
    assert files_sha256([onnx]) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of FIPS 180-2
    with pytest.raises(FileNotFoundError, match=r"no\.onnx: no such model file"):
        describe(tmp_path / "no.onnx")


def test_a_sent_file_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of the detector inside the package names its checkpoint, which has to be next to it."""
    monkeypatch.undo()
    sent = [embedded_onnx_path(), embedded_path()]
    spec = DetectorSpec(name="embedded.onnx", files=("embedded.onnx",), min_score=0.25)
    detector = BatchDetector(spec, {path.name: path.read_bytes() for path in sent if path is not None}, Columns())
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48)).save(buffer, "PNG")
    (row,) = detector({"bytes": cells([buffer.getvalue()])}).to_pylist()
    assert (row["boxes"], row["error"], row["width"]) == ([], None, 64)


def test_wrong_calls_are_refused_before_ray_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detkit.bulk.ray_dataset._ray", lambda: None)
    nothing: Any = None
    with pytest.raises(ValueError, match="keep='labels' is the name of a result; rename the column"):
        ray_detect(nothing, keep=["labels"])
    with pytest.raises(ValueError, match="expected cpus above 0, gpus from 0 and batch_size from 1 on, got 0, 0.0 and 16"):
        ray_detect(nothing, cpus=0)


def test_statistics_are_switched_off() -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
