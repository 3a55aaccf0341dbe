"""Files of the newer kinds: tracks, results of many images, shards, label maps, masks, and the bodies of requests to the server."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import tempfile
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from PIL import Image

from detkit.data import SourceConfig, read_source
from detkit.data.mask_pixels import mask_pixels
from detkit.evaluation.tracks.mot_files import read_results, read_truth

from .case import Case, expect
from .labels import SIZE, check, coco_content, image_bytes, read, write_images
from .mutate import ODD_BYTES, dump_json, encode, mutate_bytes, mutate_text, mutate_value, odd_value, to_json

MOT = "1,1,10.5,2,8,9,1,1,1\n1,2,1,2,3,4,0.5,1,0.3\n2,1,11,2,8,9,1,1,1\n"


def tracks(rng: Random, folder: Path) -> Case:
    """A file of tracks in MOTChallenge's format, with changed lines, numbers or bytes."""
    path = folder / "tracks.txt"
    text = mutate_text(rng, MOT.replace(",", " ")).replace(" ", rng.choice((",", ", ", ";", " ", "\t")))
    path.write_bytes(encode(rng, text))
    return Case(lambda: _check_tracks(path, rng.random() < 0.5), (path.name,))


def _check_tracks(path: Path, truth: bool) -> None:
    rows = read_truth(path) if truth else read_results(path)
    expect(len(rows.frames) == len(rows.ids) == len(rows.boxes) == len(rows.scores), "columns of different lengths")
    expect((rows.frames >= 1).all() and np.isfinite(rows.boxes).all() and np.isfinite(rows.scores).all(), "impossible numbers")


def masks(rng: Random, folder: Path) -> Case:
    """A COCO file whose outlines and run lengths are changed; the masks of all objects are drawn."""
    write_images(folder)
    content = coco_content()
    runs = {"size": list(SIZE), "counts": [100, 50, 24 * 32 - 150]}
    content["annotations"][1]["segmentation"] = rng.choice((runs, {"size": list(SIZE), "counts": "T3b0f0d4"}, [[1, 2, 9, 2, 9, 9]]))
    for row in content["annotations"][:2]:
        row["segmentation"] = mutate_value(rng, row["segmentation"])
    path = folder / "labels.json"
    path.write_bytes(dump_json(rng, content))
    return Case(lambda: _draw_masks(path), (folder.name,))


def _draw_masks(path: Path) -> None:
    data = read_source(SourceConfig(path=str(path)))
    check(data)
    for record in data.records:
        targets = record.targets
        drawn = mask_pixels(targets.segmentations, len(targets), record.size, str(record.path))
        expect(len(drawn) == len(targets), "another number of masks than of objects")
        expect(drawn.arrays(record.size).shape == (len(targets), *record.size), "masks of another size than the image")


def label_maps(rng: Random, folder: Path) -> Case:
    """Folders of images and of label maps, one of which is changed, of another size or of another kind."""
    write_images(folder / "images")
    (folder / "masks").mkdir()
    for name in ("a.png", "b.png"):
        (folder / "masks" / name).write_bytes(_map_bytes(SIZE, "L"))
    kind, changed = rng.random(), folder / "masks" / "a.png"
    if kind < 0.4:
        changed.write_bytes(mutate_bytes(rng, changed.read_bytes()))
    elif kind < 0.6:
        changed.write_bytes(_map_bytes(rng.choice((SIZE, (24, 31), (1, 1))), rng.choice(("1", "P", "RGB", "RGBA", "I;16", "F", "CMYK"))))
    elif kind < 0.7:
        changed.unlink()
    classes = "background\ncat\ndog\n"
    (folder / "classes.txt").write_bytes(encode(rng, mutate_text(rng, classes)) if rng.random() < 0.5 else classes.encode())
    return read(folder, folder)


def _map_bytes(size: tuple[int, int], mode: str) -> bytes:
    values = np.zeros(size, np.uint8)
    values[size[0] // 4 :, : size[1] // 2], values[: size[0] // 4, size[1] // 2 :] = 1, 2
    buffer = io.BytesIO()
    image = Image.fromarray(values.astype(np.uint16)) if mode == "I;16" else Image.fromarray(values).convert(mode)
    image.save(buffer, "TIFF" if mode in ("F", "CMYK") else "PNG")
    return buffer.getvalue()


def shards(rng: Random, folder: Path) -> Case:
    """A set of shards, one file of which is changed or gone."""
    files = dict(_shard_files())
    name = rng.choice(sorted(files))
    if name.endswith(".json") and rng.random() < 0.7:
        files[name] = dump_json(rng, mutate_value(rng, json.loads(files[name])))
    elif rng.random() < 0.9:
        files[name] = mutate_bytes(rng, files[name])
    else:
        del files[name]
    (folder / "set").mkdir()
    for path, data in files.items():
        (folder / "set" / path).write_bytes(data)
    return Case(lambda: _read_shards(folder / "set"), (folder.name,))


@cache
def _shard_files() -> tuple[tuple[str, bytes], ...]:
    from detkit.data.shards.writer import write_shards

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "source"), Path(folder, "set")
        write_images(source)
        (source / "labels.json").write_text(to_json(coco_content()))
        write_shards({"train": read_source(SourceConfig(path=str(source)))}, target, 1)
        return tuple((path.name, path.read_bytes()) for path in sorted(target.iterdir()))


def _read_shards(folder: Path) -> None:
    from detkit.data.shards.index import ShardIndex

    data = read_source(SourceConfig(path=str(folder), split="train"))
    expect(len(data.records) == 2 and len(data.records.boxes) == 3, "other images or boxes than were packed")
    index = ShardIndex.open(folder, "train")
    expect([index.read(number) for number in range(2)] == [image_bytes()] * 2, "other bytes than were packed")


def bulk_results(rng: Random, folder: Path) -> Case:
    """Parquet files of a bulk detection, one of which is changed, given twice, or gone."""
    one, two = _bulk_files()
    files = {"shard-0-of-2.parquet": one, "shard-1-of-2.parquet": two}
    kind = rng.random()
    if kind < 0.7:
        files["shard-0-of-2.parquet"] = mutate_bytes(rng, one)
    elif kind < 0.8:
        files["shard-1-of-2.parquet"] = rng.choice((one, b"", rng.choice(ODD_BYTES), one[: len(one) // 2]))
    elif kind < 0.9:
        del files["shard-0-of-2.parquet"]
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return Case(lambda: _merge(folder), (folder.name,))


@cache
def _bulk_files() -> tuple[bytes, bytes]:
    from detkit.bulk.listing import Shard
    from detkit.bulk.rows import ImageRow, to_table
    from detkit.bulk.shard_info import ShardInfo
    from detkit.bulk.shard_writer import write_rows
    from detkit.structures.detection import DetectionArrays

    names = ("cat", None)
    given: dict[str, Any] = {"images": 2, "listed": 4, "listing": "0" * 32, "model": "m", "model_sha256": "0" * 64, "class_names": names}
    found = DetectionArrays(np.array([[1, 2, 3, 4]], np.float32), np.array([0.5], np.float32), np.array([0]), names)
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "0.parquet"), Path(folder, "1.parquet")
        for number, path in enumerate(paths):
            rows = [ImageRow(f"{number}a.png", (24, 32), found), ImageRow(f"{number}b.png", error="broken")]
            write_rows(path, iter([to_table(rows, names)]), ShardInfo(shard=Shard(number, 2), **given))
        return paths[0].read_bytes(), paths[1].read_bytes()


def _merge(folder: Path) -> None:
    from detkit.bulk.merge import check_shards

    merged = check_shards(folder)
    expect(
        all(str(folder) in problem or "shard" in problem for problem in merged.problems), f"a problem that names no file: {merged.problems}"
    )
    if not merged.problems:
        expect(sum(table.num_rows for table in merged.tables()) == 4, "another number of images")


BOUNDARY = "xyz"


def requests(rng: Random, folder: Path) -> Case:
    """The body of a request to the server: a form, JSON with base64, or the bytes of an image."""
    del folder
    image, kind = image_bytes(rng.choice(("PNG", "JPEG"))), rng.randrange(3)
    if kind == 0:
        body, content_type = _form(rng, image), f"multipart/form-data; boundary={BOUNDARY}"
        body = mutate_bytes(rng, body) if rng.random() < 0.6 else body
    elif kind == 1:
        text = base64.b64encode(mutate_bytes(rng, image)).decode()
        content = {"image": text, "min_score": 0.3} if rng.random() < 0.5 else {"images": [text, f"data:image/png;base64,{text}"]}
        body, content_type = dump_json(rng, mutate_value(rng, content)), "application/json"
    else:
        body, content_type = mutate_bytes(rng, image), "image/png"
    if rng.random() < 0.2:
        content_type = rng.choice(
            ("", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 500, "text/plain", content_type + '; a="b')
        )
    return Case(lambda: _answer(body, content_type), ())


def _form(rng: Random, image: bytes) -> bytes:
    value = str(odd_value(rng, 5)).encode("utf-8", "replace")[:200]
    parts = (b'name="image"; filename="a.png"', image), (b'name="min_score"', value), (b'name="' + value.replace(b'"', b"") + b'"', b"1")
    text = b"".join(b"--xyz\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
    return text + b"--xyz--\r\n"


def _answer(body: bytes, content_type: str) -> None:
    """Read a request as the server does; an error of the API, which has a status and a sentence, is right."""
    from detkit.serve.content import parse_content
    from detkit.serve.decoding import check_header, decode
    from detkit.serve.errors import ApiError, Problem

    with contextlib.suppress(ApiError):
        for image in parse_content(body, content_type, 16).images:
            if isinstance(check_header(image.data, "an image"), Problem):
                continue
            pixels = decode(image.data, "an image")
            expect(isinstance(pixels, Problem) or pixels.shape[2] == 3, "pixels of another shape")
