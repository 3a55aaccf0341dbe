"""Detections of many images as COCO results."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.data.live.address import hide_credentials, is_address, is_live_word
from detkit.data.media.extensions import is_video
from detkit.json_text import parse_json


@dataclass(frozen=True)
class CocoIds:
    """Image and category ids of a COCO results file.

    Attributes:
        images: File name to image id; None: the number at the end of the stem, or else the stem.
        categories: Class name to category id; None: the label + 1.
    """

    images: Mapping[str, Any] | None = None
    categories: Mapping[str, int] | None = None

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """File names of the annotations, grouped by their last path component."""
        names: dict[str, list[str]] = {}
        for name in self.images or ():
            names.setdefault(Path(name).name, []).append(name)
        return names

    @classmethod
    def from_annotations(cls, path: str) -> CocoIds:
        """Read the ids of a COCO annotation file.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not JSON with images and categories.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"--annotations {path}: no such file; give the COCO instances file of these images")
        try:
            content = parse_json(Path(path).read_bytes(), "the file")
            images = {str(image["file_name"]): image["id"] for image in content["images"]}
            return cls(images, {category["name"]: category["id"] for category in content["categories"]})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"--annotations {path}: expected COCO JSON with images and categories ({type(error).__name__}: {error})"
            ) from None

    def check(self, inputs: Iterable[Path | str]) -> None:
        """Check before any work that each image has its own image id.

        Args:
            inputs: Files, and addresses and cameras as they were given.

        Raises:
            ValueError: If two images have the same image id, or an image has none.
        """
        seen: dict[Any, str] = {}
        for item in inputs:
            path, name = image_path(item), hide_credentials(str(item))
            if is_video(path) or (isinstance(item, str) and is_live_word(item)):
                kind = "live source" if isinstance(item, str) and is_live_word(item) else "video"
                raise ValueError(f"--coco: expected images, got the {kind} {name}, whose frames have no COCO ids; use --json or --csv")
            image_id = self.image_id(path)
            if image_id in seen:
                raise ValueError(
                    f"--coco: {seen[image_id]} and {name} have the same image id {image_id!r}; give their ids with --annotations FILE; "
                    "without such a file, use --json, which needs no ids, or --labels DIR --labels-format coco, which numbers the images"
                )
            seen[image_id] = name

    def image_id(self, path: Path) -> Any:
        """Return the image id of a file.

        Raises:
            ValueError: If the annotations do not have the image.
        """
        if self.images is None:
            number = re.search(r"\d+$", path.stem)
            return int(number.group()) if number else path.stem
        same_name = self._by_name.get(path.name, [])
        matches = [name for name in same_name if path.as_posix().endswith("/" + name) or path.as_posix() == name] or same_name
        if not matches:
            raise ValueError(f"{path}: not among the {len(self.images)} images of the annotations (by file name)")
        return self.images[max(matches, key=len)]


def image_path(item: Path | str) -> Path:
    """Return the path of a file, or that in an address, by which its image is named."""
    return Path(unquote(urlsplit(item).path)) if isinstance(item, str) and is_address(item) else Path(item)


def as_coco(results: Sequence[ImageResult], class_names: ClassNames, ids: CocoIds) -> tuple[str, int]:
    """Return COCO results and the number of detections skipped because they have no category.

    ``bbox`` is x, y, width, height, and ``segmentation`` has the run lengths of a mask.
    """
    rows, skipped = [], 0
    for result in results:
        image_id = ids.image_id(image_path(result.source))
        masks = result.detections.masks
        for index, (label, score, (x1, y1, x2, y2)) in enumerate(result.rows()):
            category = label + 1 if ids.categories is None else ids.categories.get(class_names[label] or "")
            if category is None:
                skipped += 1
                continue
            box = [x1, y1, round(x2 - x1, 4), round(y2 - y1, 4)]
            mask = {} if masks is None else {"segmentation": masks.runs(index, result.size)}
            rows.append({"image_id": image_id, "category_id": category, "bbox": box, "score": score, **mask})
    return json.dumps(rows), skipped
