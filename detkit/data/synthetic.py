"""A small labeled data set made here: things cut from photographs, pasted on photographs.

It needs no network, is the same for the same seed, and a small detector learns it within a minute on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch

from detkit.data.cutouts import CLASS_NAMES, Cutout, backgrounds, cutouts
from detkit.data.records import DetectionData, ImageRecord
from detkit.data.sources import DataConfig, SourceConfig
from detkit.data.writers import image_folder, write_labels
from detkit.structures import Size, Targets

Pixels = npt.NDArray[np.uint8]
Blendable = npt.NDArray[np.float32]
"""``(H, W, 4)``: RGB of 0 to 255 times alpha, and alpha of 0 to 1."""

Box = tuple[int, int, int, int]

_ABOUT = "about.txt"
_ASPECTS = (1.0, 4 / 3, 3 / 4, 3 / 2)
_MAX_COVERED = 0.2
"""No thing covers, or is covered by, more than this part of the smaller box of a pair."""


def make_image(seed: int, index: int, short_side: int = 192) -> tuple[Pixels, Targets]:
    """One image, ``(H, W, 3)`` uint8 RGB, and its targets with labels in ``CLASS_NAMES``; the same for the same numbers.

    One image in twelve or so shows nothing. Things cut by the edge to less than two thirds are marked difficult.
    """
    random = np.random.default_rng([seed, index])
    aspect = float(random.choice(_ASPECTS))
    size = (short_side, round(short_side * aspect)) if aspect >= 1 else (round(short_side / aspect), short_side)
    canvas = _background(random, size)
    boxes: list[Box] = []
    labels: list[int] = []
    difficult: list[bool] = []
    for _ in range(int(random.choice([0, 1, 2, 3, 4, 5], p=[0.08, 0.2, 0.26, 0.22, 0.14, 0.1]))):
        thing = _random_thing(random)
        turned = _scaled_and_turned(thing, random, short_side)
        placed = _place(turned, size, boxes, random)
        if placed is None:
            continue
        box, corner = placed
        _paste(canvas, turned, corner)
        boxes.append(box)
        labels.append(CLASS_NAMES.index(thing.name))
        difficult.append((box[2] - box[0]) * (box[3] - box[1]) < 0.66 * turned.shape[0] * turned.shape[1])
    targets = Targets.of(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels, dtype=torch.int64),
        None,
        torch.tensor(difficult).bool(),
    )
    return canvas, targets


def images(count: int, seed: int = 0, short_side: int = 192, first: int = 0) -> Iterator[tuple[Pixels, Targets]]:
    """``count`` images with their targets, from number ``first`` on; see :func:`make_image`."""
    for index in range(first, first + count):
        yield make_image(seed, index, short_side)


def make_sample(
    folder: str | Path,
    images: int = 120,
    kind: Literal["coco", "voc", "yolo"] = "coco",
    *,
    seed: int = 0,
    short_side: int = 192,
    val_images: int | None = None,
) -> DataConfig:
    """Write a data set of ``images`` training images, and a third as many for validation unless told, into ``folder``.

    A folder that holds the very same already is left as it is.

    Returns:
        The config that reads it.

    Raises:
        ValueError: the folder has something else in it, or there are fewer than one image.
    """
    folder = Path(folder)
    val_images = max(1, images // 3) if val_images is None else val_images
    if images < 1 or val_images < 1:
        raise ValueError(f"make_sample: expected at least one image to train and one to validate on, got {images} and {val_images}")
    about = f"Made by detkit: images {images}, val-images {val_images}, format {kind}, short-side {short_side}, seed {seed}.\n"
    if not _holds(folder, about):
        _write(folder, "train", range(images), kind, (seed, short_side))
        _write(folder, "val", range(images, images + val_images), kind, (seed, short_side))
        (folder / _ABOUT).write_text(about, "utf-8")  # last: a sample that was cut short is not taken for a whole one
    source = SourceConfig(path=str(folder), split="train")
    return DataConfig(train=source, val=source.replace(split="val"))


def _holds(folder: Path, about: str) -> bool:
    """Whether the folder holds this sample already.

    Raises:
        ValueError: it holds something else.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    if (folder / _ABOUT).is_file() and (folder / _ABOUT).read_text("utf-8") == about:
        return True
    raise ValueError(f"{folder}: it exists and is not empty; name a new folder, or remove it first")


def _write(folder: Path, split: str, numbers: range, kind: Literal["coco", "voc", "yolo"], how: tuple[int, int]) -> None:
    records = []
    target_folder = image_folder(folder, kind, split)
    target_folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        image, targets = make_image(how[0], number, how[1])
        path = target_folder / f"sample_{number:05d}.jpg"
        _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])
        path.write_bytes(data.tobytes())
        records.append(ImageRecord(path, number + 1, (image.shape[0], image.shape[1]), targets))
    write_labels(DetectionData.of(str(folder), CLASS_NAMES, records), folder, kind, split)


def _random_thing(random: np.random.Generator) -> Cutout:
    """A class first, then one of its cut-outs, so that classes come equally often."""
    name = CLASS_NAMES[int(random.integers(len(CLASS_NAMES)))]
    things = [thing for thing in cutouts() if thing.name == name]
    return things[int(random.integers(len(things)))]


def _background(random: np.random.Generator, size: Size) -> Pixels:
    """A piece of a photograph, in colors of its own, a little blurred, as things in front of it are in focus."""
    photograph = backgrounds()[int(random.integers(len(backgrounds())))]
    height, width = size
    scale = random.uniform(0.5, 1.0) * min(photograph.shape[0] / height, photograph.shape[1] / width)
    rows, columns = round(height * scale), round(width * scale)
    top = int(random.integers(photograph.shape[0] - rows + 1))
    left = int(random.integers(photograph.shape[1] - columns + 1))
    piece = cv2.resize(photograph[top : top + rows, left : left + columns], (width, height), interpolation=cv2.INTER_AREA)
    piece = cv2.GaussianBlur(piece, (0, 0), random.uniform(0.6, 1.6))
    tint = random.uniform(0.7, 1.0, 3) * random.uniform(0.7, 1.05)
    if random.random() < 0.5:
        piece = piece[:, ::-1]
    return np.clip(piece * tint + random.uniform(0, 25), 0, 255).astype(np.uint8)


def _scaled_and_turned(thing: Cutout, random: np.random.Generator, short_side: int) -> Blendable:
    """The thing's RGBA pixels at a random size (log-uniform), angle and brightness, cut close around it."""
    side = short_side * float(np.exp(random.uniform(np.log(0.16), np.log(0.6))))
    side *= 1.4 if thing.name == "rocket" else 1.0
    scale = side / max(thing.pixels.shape[:2])
    pixels = _premultiplied(thing.pixels)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=method), np.float32)
    if random.random() < 0.5:
        pixels = pixels[:, ::-1]
    pixels = _turned(pixels, random.uniform(-thing.max_angle, thing.max_angle))
    pixels[:, :, :3] *= random.uniform(0.75, 1.15)
    solid = pixels[:, :, 3] > 0.5
    rows, columns = np.flatnonzero(solid.any(1)), np.flatnonzero(solid.any(0))
    return pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _premultiplied(pixels: Pixels) -> Blendable:
    """RGB times alpha, and alpha in 0 to 1: so that blending with what lies outside the mask leaves no dark rim."""
    values = pixels.astype(np.float32)
    values[:, :, 3] /= 255
    values[:, :, :3] *= values[:, :, 3:]
    return values


def _turned(pixels: Blendable, angle: float) -> Blendable:
    height, width = pixels.shape[:2]
    side = int(np.ceil(np.hypot(height, width))) + 2
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    matrix[:, 2] += (side - width) / 2, (side - height) / 2
    return np.asarray(cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR), np.float32)


def _place(thing: Blendable, size: Size, taken: list[Box], random: np.random.Generator) -> tuple[Box, tuple[int, int]] | None:
    """Somewhere with room: the box (``x1 y1 x2 y2``) of what is seen, and the corner of the whole thing; None if there is none."""
    height, width = thing.shape[:2]
    for _ in range(20):
        out = 0.4 if random.random() < 0.15 else 0.0
        y = int(random.integers(round(-out * height), max(round(size[0] - height * (1 - out)), 0) + 1))
        x = int(random.integers(round(-out * width), max(round(size[1] - width * (1 - out)), 0) + 1))
        box = (max(x, 0), max(y, 0), min(x + width, size[1]), min(y + height, size[0]))
        if min(box[2] - box[0], box[3] - box[1]) >= 6 and all(_covered(box, other) <= _MAX_COVERED for other in taken):
            return box, (x, y)
    return None


def _covered(one: Box, other: Box) -> float:
    """The intersection over the smaller of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    smaller = min((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return max(width, 0) * max(height, 0) / smaller


def _paste(canvas: Pixels, thing: Blendable, corner: tuple[int, int]) -> None:
    """Lay the thing, with premultiplied colors, over the canvas, in place; what sticks out is cut."""
    x, y = corner
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + thing.shape[0], canvas.shape[0]), min(x + thing.shape[1], canvas.shape[1])
    part = thing[top - y : bottom - y, left - x : right - x]
    under = canvas[top:bottom, left:right]
    canvas[top:bottom, left:right] = np.clip(part[:, :, :3] + under * (1 - part[:, :, 3:]), 0, 255).astype(np.uint8)
