"""Elements of CVAT's XML: images and tracks, with boxes, polygons, masks and ellipses."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element

from detkit.data.readers.objects import RawObject
from detkit.data.readers.run_lengths import decoded_rows
from detkit.data.readers.text import xml_elements
from detkit.data.readers.turned import Box, box_around, ellipse_box, turned_box
from detkit.data.report import ReadIssue
from detkit.label_values import parse_flag, parse_integer, parse_size
from detkit.structures import Size
from detkit.structures.run_lengths import coco_runs


@dataclass
class CvatImage:
    """One ``<image>``, or one frame of a video, whose objects are collected from all tracks.

    Attributes:
        name: Its file name; empty for a frame.
        number: Its id, or the number of the frame; None if it has none.
        size: Its stated size.
        subset: The subset of the project that it belongs to.
        objects: Its objects.
        skipped: Number of its lines, points, skeletons and tags.
    """

    name: str
    number: int | None
    size: Size | None = None
    subset: str = ""
    objects: list[RawObject] = field(default_factory=list)
    skipped: int = 0


@dataclass
class CvatFile:
    """The content of one file.

    Attributes:
        labels: The names of its labels.
        images: Its images.
        frames: The frames of its video, by number.
    """

    labels: list[str] = field(default_factory=list)
    images: list[CvatImage] = field(default_factory=list)
    frames: dict[int, CvatImage] = field(default_factory=dict)

    @property
    def objects(self) -> Iterator[RawObject]:
        """The objects of all images and frames."""
        return (item for image in (*self.images, *self.frames.values()) for item in image.objects)


def parse_file(file: Path) -> CvatFile:
    """Return the content of a file.

    Raises:
        ValueError: If it is not readable XML, or if a value is missing or no number; the message names file, image and shape.
    """
    content, frame_size = CvatFile(), None
    for element in xml_elements(file):
        if element.tag == "meta":
            content.labels += _labels(element)
            original = element.find(".//original_size")
            frame_size = None if original is None else parse_size({side: original.findtext(side) for side in ("height", "width")})
        elif element.tag == "image":
            content.images.append(_image(element, file))
        elif element.tag == "track":
            _add_track(element, content.frames, frame_size, file)
    return content


def _labels(meta: Element) -> Iterator[str]:
    """Yield the names of the labels, except those of the parts of skeletons."""
    for label in meta.iter("label"):
        name = (label.findtext("name") or "").strip()
        if name and not (label.findtext("parent") or "").strip():
            yield name


def _image(element: Element, file: Path) -> CvatImage:
    name = element.get("name", "")
    if not name.strip():
        raise ValueError(f"{file}: image {element.get('id', '')!r} has no name; expected the name of its file")
    image = CvatImage(name, _whole_number(element.get("id")), parse_size(element.attrib), element.get("subset", "").strip())
    for number, shape in enumerate(element, 1):
        _add(shape, shape.get("label", ""), image, f"{file}: image {name!r}, shape {number}")
    return image


def _whole_number(text: str | None) -> int | None:
    try:
        return parse_integer(text)
    except ValueError:
        return None


def _add_track(track: Element, frames: dict[int, CvatImage], size: Size | None, file: Path) -> None:
    """Add the shapes of a track to their frames; those outside of the image are left out, as CVAT hides them."""
    where = f"{file}: track {track.get('id', '')!r}"
    for shape in track:
        try:
            frame, is_outside = parse_integer(shape.get("frame")), parse_flag(shape.get("outside"))
        except ValueError as error:
            raise ValueError(f"{where}: frame or outside: {error}") from None
        image = frames.setdefault(frame, CvatImage("", frame, size))
        if not is_outside:
            _add(shape, track.get("label", ""), image, f"{where}, frame {frame}")


def _add(shape: Element, label: str, image: CvatImage, where: str) -> None:
    """Add the object of a shape to its image; lines, points, skeletons, cuboids and tags are counted."""
    parse = _SHAPES.get(shape.tag)
    if parse is None:
        image.skipped += 1
        return
    name = label.strip()
    if not name:
        raise ValueError(f"{where} has no label; expected its class")
    where = f"{where} ({name})"
    flags = _flags(shape, where)
    box, polygons, mask, issue = parse(shape, image, where)
    image.objects.append(RawObject(name, box, polygons, mask, flags["difficult"], flags["is_crowd"], issue))


_Shape = tuple[Box, tuple[tuple[float, ...], ...], dict[str, object] | None, ReadIssue | None]
"""Box, polygons, mask, and what is reported."""


def _box(shape: Element, image: CvatImage, where: str) -> _Shape:
    del image
    x1, y1, x2, y2 = _numbers(shape, ("xtl", "ytl", "xbr", "ybr"), where)
    angle = _angle(shape, where)
    if not angle % 180:
        return (x1, y1, x2, y2), (), None, None
    return (turned_box((x1, y1, x2, y2), angle) if x2 > x1 and y2 > y1 else (x1, y1, x2, y2)), (), None, ReadIssue.TURNED


def _ellipse(shape: Element, image: CvatImage, where: str) -> _Shape:
    del image
    x, y, rx, ry = _numbers(shape, ("cx", "cy", "rx", "ry"), where)
    return ellipse_box((x, y), (rx, ry), _angle(shape, where)), (), None, ReadIssue.ELLIPSE


def _polygon(shape: Element, image: CvatImage, where: str) -> _Shape:
    del image
    text = shape.get("points", "")
    try:
        points = [tuple(map(float, point.split(","))) for point in text.split(";") if point.strip()]
    except ValueError:
        points = []
    if len(points) < 3 or any(len(point) != 2 for point in points):
        raise ValueError(f"{where}: expected points x,y;x,y;... of a polygon, got {text[:80]!r}")
    polygon = tuple(value for point in points for value in point)
    return box_around(polygon), (polygon,), None, ReadIssue.POLYGON


_MOST_PIXELS = 2**62


def _mask(shape: Element, image: CvatImage, where: str) -> _Shape:
    """Return a mask: runs row by row in a rectangle, of which the first one is outside of the object."""
    try:
        left, top, width, height = (parse_integer(shape.get(key)) for key in ("left", "top", "width", "height"))
        runs = [int(run) for run in shape.get("rle", "").split(",")]
        crop = decoded_rows(runs, width, height)
    except ValueError as error:
        raise ValueError(f"{where}: mask: {error}") from None
    box = (float(left), float(top), float(left + width), float(top + height))
    if image.size is None or left < 0 or top < 0 or left + width > image.size[1] or top + height > image.size[0]:
        return box, (), None, ReadIssue.MASK
    if image.size[0] * image.size[1] >= _MOST_PIXELS:
        raise ValueError(f"{where}: mask: expected an image of a possible size, got {image.size[1]} x {image.size[0]} pixels")
    return box, (), coco_runs(crop, left, top, image.size), ReadIssue.MASK


_SHAPES = {"box": _box, "polygon": _polygon, "mask": _mask, "ellipse": _ellipse}


def _flags(shape: Element, where: str) -> dict[str, bool]:
    """Return the flags that CVAT keeps as attributes of an object when it imports Pascal VOC or COCO."""
    flags = {"difficult": False, "is_crowd": False}
    for attribute in shape.iter("attribute"):
        name = attribute.get("name", "")
        if name in flags:
            try:
                flags[name] = parse_flag((attribute.text or "").strip())
            except ValueError as error:
                raise ValueError(f"{where}: {name}: {error}") from None
    return flags


def _angle(shape: Element, where: str) -> float:
    angle = _number(shape.get("rotation") or "0", "rotation", where)
    if not math.isfinite(angle):
        raise ValueError(f"{where}: rotation: expected degrees, got {angle}")
    return angle


def _numbers(shape: Element, keys: tuple[str, ...], where: str) -> Box:
    x1, y1, x2, y2 = (_number(shape.get(key), key, where) for key in keys)
    return x1, y1, x2, y2


def _number(text: str | None, key: str, where: str) -> float:
    try:
        return float("missing" if text is None else text)
    except ValueError:
        raise ValueError(f"{where}: {key}: expected a number, got {'nothing' if text is None else repr(text[:80])}") from None
