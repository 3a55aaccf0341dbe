"""Data sets of two small images in every label format, with their labels changed."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from detkit.data import SourceConfig, read_source
from detkit.data.records import DetectionData

from .case import Case, expect
from .mutate import ODD_TEXTS, dump_json, encode, mutate_text, mutate_value, odd_text, to_json

SIZE = (24, 32)
"""Height and width of both images."""


@cache
def image_bytes(kind: str = "PNG", mode: str = "RGB") -> bytes:
    """Return a small image file with a gradient."""
    ramp = np.arange(SIZE[0] * SIZE[1] * 3, dtype=np.uint8).reshape(*SIZE, 3)
    buffer = io.BytesIO()
    Image.fromarray(ramp).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def write_images(folder: Path) -> None:
    """Write ``a.png`` and ``b.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(image_bytes())


def read(folder: Path, path: Path) -> Case:
    """Return the case of reading the labels at ``path``; messages name a path below ``folder``."""
    return Case(lambda: check(read_source(SourceConfig(path=str(path)))), (folder.name,))


def check(data: DetectionData) -> None:
    """Check what every reader promises: boxes inside their images, labels of known classes, one row per image in every column."""
    records = data.records
    expect(len(records) > 0, "no images")
    expect(len(records.paths) == len(records.image_ids) == len(records.sizes) == len(records.offsets) - 1, "columns of different lengths")
    expect(len(records.boxes) == len(records.labels) == records.offsets[-1], "boxes and labels of different lengths")
    expect(np.isfinite(records.boxes).all(), "a box that is not finite")
    expect((records.boxes[:, 2:] > records.boxes[:, :2]).all(), "a box without width or height")
    limits = records.sizes[records.image_index][:, ::-1]
    expect((records.boxes[:, :2] >= 0).all() and (records.boxes[:, 2:] <= limits).all(), "a box outside its image")
    expect(((records.labels >= 0) & (records.labels < len(data.class_names))).all(), "a label without a class")
    expect(all(isinstance(name, str) and name.strip() for name in data.class_names), f"a class without a name: {data.class_names!r}")
    expect(all(tuple(size) == SIZE for size in records.sizes.tolist()), "a size that is not the file's")
    expect(all(Path(path).is_file() for path in records.paths), "an image that does not exist")
    data.report.summary()


def coco_content() -> dict[str, Any]:
    """Return a valid COCO dict of both images."""
    images = [{"id": number, "file_name": name, "height": SIZE[0], "width": SIZE[1]} for number, name in ((1, "a.png"), (2, "b.png"))]
    polygon = [[1.0, 1.0, 20.0, 1.0, 20.0, 20.0]]
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 10, 12], "area": 120.0, "iscrowd": 0, "segmentation": polygon},
        {
            "id": 2,
            "image_id": 2,
            "category_id": 7,
            "bbox": [3.5, 2, 20, 9],
            "area": 60,
            "iscrowd": 1,
            "segmentation": {"counts": "0a1", "size": [24, 32]},
        },
        {"id": 3, "image_id": 2, "category_id": 3, "bbox": [0, 0, 5, 5], "attributes": {"rotation": 30.0, "occluded": False}},
    ]
    categories = [{"id": 3, "name": "cat", "supercategory": "animal"}, {"id": 7, "name": "dog"}]
    return {"info": {"year": 2020}, "licenses": [], "images": images, "annotations": annotations, "categories": categories}


def coco(rng: Random, folder: Path) -> Case:
    """A COCO file, alone or as a split of a folder."""
    write_images(folder)
    path = folder / "labels.json"
    content = mutate_value(rng, coco_content())
    path.write_bytes(dump_json(rng, content))
    return read(folder, rng.choice((path, folder)))


VOC = """<annotation>
 <folder>JPEGImages</folder>
 <filename>{name}.png</filename>
 <size><width>32</width><height>24</height><depth>3</depth></size>
 <segmented>0</segmented>
 <object><name>cat</name><pose>Left</pose><truncated>0</truncated><difficult>0</difficult>
  <attributes><attribute><name>rotation</name><value>30.0</value></attribute></attributes>
  <bndbox><xmin>2</xmin><ymin>3</ymin><xmax>20</xmax><ymax>22</ymax></bndbox></object>
 <object><name>dog</name><difficult>1</difficult><bndbox><ymin>1</ymin><xmin>1</xmin><xmax>9</xmax><ymax>9.5</ymax></bndbox></object>
</annotation>
"""


def voc(rng: Random, folder: Path) -> Case:
    """XML files, of which one is changed, with a list of a split."""
    write_images(folder / "JPEGImages")
    annotations, lists = folder / "Annotations", folder / "ImageSets" / "Main"
    annotations.mkdir()
    lists.mkdir(parents=True)
    for name in ("a", "b"):
        (annotations / f"{name}.xml").write_text(VOC.format(name=name))
    kind = rng.random()
    if kind < 0.6:
        (annotations / "a.xml").write_bytes(encode(rng, mutate_xml(rng, VOC.format(name="a"))))
    elif kind < 0.8:
        (annotations / "a.xml").write_bytes(encode(rng, mutate_text(rng, VOC.format(name="a"))))
    else:
        (annotations / "a.xml").write_bytes(
            encode(rng, f'<?xml version="1.0" encoding="{rng.choice(XML_ENCODINGS)}"?>' + VOC.format(name="a"))
        )
    (lists / "train.txt").write_bytes(encode(rng, mutate_text(rng, "a\nb\n")) if rng.random() < 0.3 else b"a\nb\n")
    return read(folder, folder)


XML_ENCODINGS = (
    "utf-8",
    "gb2312",
    "gbk",
    "big5",
    "shift_jis",
    "euc-kr",
    "latin-1",
    "nonsense",
    "utf-16",
    "",
    "x" * 200,
    "rot13",
    "hex",
    "zip",
)


def mutate_xml(rng: Random, text: str) -> str:
    """Change a few nodes of the tree: their tags, texts and places."""
    root = ElementTree.fromstring(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        nodes = list(root.iter())
        node, other = rng.choice(nodes), rng.choice(nodes)
        kind = rng.randrange(5)
        if kind == 0:
            node.tag = rng.choice(("object", "name", "bndbox", "annotations", "part", "xmin", "x"))
        elif kind == 1 and len(node):
            node.remove(rng.choice(list(node)))
        elif kind == 2:
            node.append(ElementTree.fromstring(ElementTree.tostring(other)))
        else:
            node.text = "".join(character for character in odd_text(rng) if character.isprintable() or character in "\n\t")
    return ElementTree.tostring(root, "unicode")


def labelme(rng: Random, folder: Path) -> Case:
    """One JSON file per image, as labelme writes them, one of which is changed."""
    write_images(folder)
    shapes = [
        {"label": "cat", "points": [[2.0, 3.0], [20.5, 22.0]], "shape_type": "rectangle", "flags": {}, "group_id": None},
        {"label": "dog", "points": [[1, 1], [9, 1], [9, 9]], "shape_type": "polygon"},
        {"label": "dog", "points": [[10, 10], [14, 10]], "shape_type": "circle", "difficult": True},
    ]
    for name in ("a", "b"):
        size = {"imageHeight": SIZE[0], "imageWidth": SIZE[1]}
        content = {"version": "5.0.1", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None, **size}
        changed = mutate_value(rng, content) if name == "a" else content
        (folder / f"{name}.json").write_bytes(dump_json(rng, changed) if name == "a" else to_json(content).encode())
    return read(folder, rng.choice((folder, folder, folder / "a.json")))


YAML = """path: .
train: images
val: images
nc: 2
names: [cat, dog]
"""
YAML_VARIANTS = (
    "train: images\nnames:\n  0: cat\n  1: dog\n",
    "train: ./images\nval: [images, images]\nnames: ['cat', \"dog\"]\nkpt_shape: [17, 3]\n",
    "train: list.txt\nnames: [yes, no]\n",
    "train: images\nnames: &n [cat, dog]\nothers: [*n, *n, *n]\n",
    "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n"
    "d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\ntrain: images\nnames: *e\n",
    "<<: &m {train: images}\nnames: [cat, dog]\n",
    "train: images\nnames: {0: cat, 1: dog, 1: bird}\n",
)


def yolo(rng: Random, folder: Path) -> Case:
    """A ``data.yaml`` or a Darknet file, text files with boxes and polygons, and a list of images; one of them is changed."""
    write_images(folder / "images")
    labels = folder / "labels"
    labels.mkdir()
    boxes = "0 0.5 0.5 0.25 0.5\n1 0.3 0.3 0.2 0.2\n1 0.1 0.1 0.5 0.1 0.5 0.5\n"
    part = rng.randrange(4)
    (labels / "a.txt").write_bytes(encode(rng, mutate_text(rng, boxes)) if part == 0 else boxes.encode())
    (labels / "b.txt").write_bytes(b"")
    (folder / "list.txt").write_bytes(encode(rng, mutate_text(rng, "images/a.png\n./images/b.png\n")) if part == 1 else b"images/a.png\n")
    description = YAML if part == 2 else rng.choice((YAML, *YAML_VARIANTS))
    if part == 3 and rng.random() < 0.5:
        (folder / "obj.names").write_text("cat\ndog\n")
        darknet = "classes = 2\ntrain = list.txt\nvalid = list.txt\nnames = obj.names\nbackup = backup/\n"
        (folder / "obj.data").write_bytes(encode(rng, mutate_text(rng, darknet)))
        return _yolo_case(folder, folder / "obj.data")
    (folder / "data.yaml").write_bytes(encode(rng, mutate_text(rng, description)) if part >= 2 else description.encode())
    return _yolo_case(folder, rng.choice((folder, folder / "data.yaml")))


def _yolo_case(folder: Path, path: Path) -> Case:
    return Case(lambda: check(read_source(SourceConfig(path=str(path), split="train"))), (folder.name,))


def class_folders(rng: Random, folder: Path) -> Case:
    """One folder of images per class, with odd names and files between them."""
    for _ in range(rng.choice((1, 2, 3))):
        inner = folder / (_name(rng) if rng.random() < 0.5 else "cat")
        write_images(inner)
        odd = inner / f"{_name(rng)}.png"
        odd.write_bytes(image_bytes() if rng.random() < 0.7 else odd.name.encode())
    return read(folder, folder)


def _name(rng: Random) -> str:
    """Return an odd name that a file can have."""
    text = rng.choice(ODD_TEXTS).encode("utf-8", "replace").decode().replace("/", "-").replace("\0", "")[:100]
    return text if text not in ("", ".", "..") else "x"
