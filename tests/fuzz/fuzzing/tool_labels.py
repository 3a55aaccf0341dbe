"""Data sets of two small images as annotation tools export them, with their labels changed."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any
from xml.etree import ElementTree

from .case import Case
from .labels import SIZE, mutate_xml, read, write_images
from .mutate import dump_json, encode, mutate_text, mutate_value

CVAT = """<annotations><version>1.1</version>
 <meta><task><labels><label><name>cat</name></label><label><name>dog</name></label></labels></task></meta>
 <image id="0" name="a.png" width="32" height="24" subset="train">
  <box label="cat" occluded="0" xtl="1.5" ytl="2" xbr="20" ybr="22" rotation="30.0"><attribute name="difficult">true</attribute></box>
  <polygon label="dog" points="1,2;20,2.5;20,20"/><ellipse label="dog" cx="9" cy="9" rx="4" ry="5"/>
  <mask label="cat" rle="1, 2, 3" left="4" top="5" width="3" height="2"/><points label="cat" points="1,2"/>
 </image>
 <image id="1" name="b.png" width="32" height="24" subset="train"/>
</annotations>
"""
CVAT_VALUES = ("nan", "inf", "-1", "1e400", "9" * 5000, "", "x", "1,2", "0, 99999999999", "train", "../a.png", "9" * 19)


def cvat(rng: Random, folder: Path) -> Case:
    """An ``annotations.xml`` with values, nodes or bytes changed."""
    write_images(folder / "images")
    text = CVAT
    if rng.random() < 0.4:
        root = ElementTree.fromstring(CVAT)
        for node in rng.choices([node for node in root.iter() if node.attrib], k=2):
            node.set(rng.choice(list(node.attrib)), rng.choice(CVAT_VALUES))
        text = ElementTree.tostring(root, "unicode")
    text = mutate_xml(rng, text) if rng.random() < 0.4 else text
    (folder / "annotations.xml").write_bytes(encode(rng, mutate_text(rng, text) if rng.random() < 0.3 else text))
    return read(folder, rng.choice((folder, folder / "annotations.xml")))


def createml(rng: Random, folder: Path) -> Case:
    """A list of images with boxes by their centers."""
    write_images(folder)
    box = {"label": "cat", "coordinates": {"x": 10.5, "y": 9, "width": 12, "height": 14.0}}
    content = [{"image": "a.png", "annotations": [box, {**box, "label": "dog"}]}, {"image": "b.png", "annotations": []}]
    (folder / "classes.txt").write_bytes(encode(rng, mutate_text(rng, "dog\ncat\n")) if rng.random() < 0.2 else b"dog\ncat\n")
    return _list_case(rng, folder, content)


def label_studio(rng: Random, folder: Path) -> Case:
    """A list of tasks, or the export with less content."""
    write_images(folder)
    size = {"original_width": SIZE[1], "original_height": SIZE[0]}
    box = {"x": 10, "y": 20.5, "width": 40, "height": 50, "rotation": 30, "rectanglelabels": ["cat"]}
    polygon = {"points": [[10, 10], [50, 10], [50, 90.5]], "polygonlabels": ["dog"]}
    ellipse = {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["dog"]}
    values = (("rectanglelabels", box), ("polygonlabels", polygon), ("ellipselabels", ellipse))
    result = [{"id": "x", "type": kind, "value": value, **size} for kind, value in values]
    annotations = [
        {"id": 1, "result": result, "was_cancelled": False, "updated_at": "2024"},
        {"id": 2, "result": [], "ground_truth": False},
    ]
    content: list[Any] = [
        {"id": 1, "data": {"image": "/data/upload/1/0123abcd-a.png"}, "annotations": annotations, "predictions": []},
        {"id": 2, "data": {"image": "b.png"}, "annotations": []},
    ]
    if rng.random() < 0.3:
        content = [{"id": 1, "image": "a.png", "label": [{**box, **size}, {**polygon, **size}], "annotation_id": 3}]
    return _list_case(rng, folder, content)


def _list_case(rng: Random, folder: Path, content: list[Any]) -> Case:
    """Return the case of a JSON file that is a list; one that is no longer a list is read as COCO labels."""
    path = folder / "labels.json"
    path.write_bytes(dump_json(rng, mutate_value(rng, content)))
    return read(folder, rng.choice((folder, path)))


TABLES = (
    "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,32,24,cat,1.5,2,20,22\na.png,32,24,dog,1,1,9,9\nb.png,32,24,,,,,\n",
    "ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf,IsDepiction\na,/m/1,0.1,0.5,0.2,0.9,0,1\nb.png,/m/2,0,1,0,1,1,0\n",
    "a.png,1,2,20,22,cat\nb.png,,,,,\n",
)


def tables(rng: Random, folder: Path) -> Case:
    """A CSV table in one of its forms, with fields, lines or bytes changed."""
    write_images(folder)
    text = rng.choice(TABLES)
    if rng.random() < 0.5:
        text = mutate_text(rng, text.replace(",", " ")).replace(" ", ",")
    text = text.replace(",", rng.choice((",", ",", ";", "\t")))
    path = folder / "labels.csv"
    path.write_bytes(encode(rng, mutate_text(rng, text) if rng.random() < 0.4 else text))
    if rng.random() < 0.2:
        (folder / rng.choice(("classes.txt", "classes.csv", "class-descriptions-boxable.csv"))).write_bytes(
            encode(rng, mutate_text(rng, "/m/1,cat\n/m/2,dog\n"))
        )
    return read(folder, rng.choice((folder, path)))
