"""Detections of many images and videos as JSON, CSV, or COCO results."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit import __version__

if TYPE_CHECKING:
    from detkit.structures import Detections

ClassNames = Sequence[str | None]


@dataclass(frozen=True, eq=False)
class ImageResult:
    """What was found on one image, or on one frame of a video.

    Attributes:
        path: The file.
        size: ``(height, width)``.
        detections: In its own pixels.
        frame: Which frame of a video it is; ``None`` for a image.
        seconds: When the frame is shown.
    """

    path: Path
    size: tuple[int, int]
    detections: Detections
    frame: int | None = None
    seconds: float = 0.0

    def rows(self) -> list[tuple[int, float, list[float]]]:
        """Label, score and ``x1 y1 x2 y2`` of each detection, best first, rounded to what means something."""
        rows = self.detections
        boxes = [[round(value, 4) for value in box] for box in rows.boxes.tolist()]
        return [(label, round(score, 7), box) for label, score, box in zip(rows.labels.tolist(), rows.scores.tolist(), boxes, strict=True)]


def as_json(found: Sequence[ImageResult], failed: Mapping[Path, str], class_names: ClassNames, **about: Any) -> str:
    """Everything, image by image and, under ``videos``, frame by frame; what could not be read is there with its error."""
    from detkit.data.video import is_video

    def rows(one: ImageResult) -> list[dict[str, Any]]:
        return [{"class": class_names[n], "label": n, "score": score, "box": box} for n, score, box in one.rows()]

    def sizes(one: ImageResult) -> dict[str, Any]:
        return {"file": str(one.path), "width": one.size[1], "height": one.size[0]}

    images: list[dict[str, Any]] = [{**sizes(one), "detections": rows(one)} for one in found if one.frame is None]
    images += [{"file": str(path), "error": message} for path, message in failed.items() if not is_video(path)]
    videos: dict[Path, dict[str, Any]] = {}
    for one in found:
        if one.frame is not None:
            frames = videos.setdefault(one.path, {**sizes(one), "frames": []})["frames"]
            frames.append({"frame": one.frame, "seconds": round(one.seconds, 3), "detections": rows(one)})
    for path, message in failed.items():
        if is_video(path):
            videos.setdefault(path, {"file": str(path)})["error"] = message
    content = {"detkit": __version__, **about, "class_names": list(class_names), "images": images}
    content |= {"videos": list(videos.values())} if videos else {}
    return json.dumps(content, ensure_ascii=False, indent=1)


def as_csv(found: Sequence[ImageResult], class_names: ClassNames) -> str:
    """One row a detection, under a heading; corners in pixels. Where there are videos, two columns more tell frame and seconds."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    timed = any(one.frame is not None for one in found)
    writer.writerow(
        ["file", "width", "height", "class", "label", "score", "x1", "y1", "x2", "y2", *(("frame", "seconds") if timed else ())]
    )
    for one in found:
        moment = () if not timed else ("", "") if one.frame is None else (one.frame, round(one.seconds, 3))
        writer.writerows([one.path, one.size[1], one.size[0], class_names[n], n, score, *box, *moment] for n, score, box in one.rows())
    return text.getvalue()


@dataclass(frozen=True)
class CocoIds:
    """How files and classes are called in a COCO results file.

    Attributes:
        images: File name to image id; ``None`` takes the number at the end of the stem, or else the stem.
        categories: Class name to category id; ``None`` takes the label + 1.
    """

    images: Mapping[str, Any] | None = None
    categories: Mapping[str, int] | None = None

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        """The annotations' file names by their last part."""
        names: dict[str, list[str]] = {}
        for name in self.images or ():
            names.setdefault(Path(name).name, []).append(name)
        return names

    @classmethod
    def from_annotations(cls, path: str) -> CocoIds:
        """The ids of a COCO annotation file.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not JSON with images and categories.
        """
        if not Path(path).is_file():
            raise FileNotFoundError(f"--annotations {path}: no such file; give the COCO instances file of these images")
        try:
            content = json.loads(Path(path).read_bytes())
            images = {str(image["file_name"]): image["id"] for image in content["images"]}
            return cls(images, {category["name"]: category["id"] for category in content["categories"]})
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"--annotations {path}: expected COCO JSON with images and categories ({type(error).__name__}: {error})"
            ) from None

    def check(self, files: Iterable[Path]) -> None:
        """See before any work that each file has an id of its own.

        Raises:
            ValueError: two files have one image id, or a file has none.
        """
        from detkit.data.video import is_video

        seen: dict[Any, Path] = {}
        for path in files:
            if is_video(path):
                raise ValueError(f"--coco: {path} is a video, and COCO has no ids for its frames; take --json or --csv")
            image_id = self.image_id(path)
            if image_id in seen:
                raise ValueError(f"--coco: {seen[image_id]} and {path} have one image id, {image_id!r}; give --annotations with theirs")
            seen[image_id] = path

    def image_id(self, path: Path) -> Any:
        """The id of a image.

        Raises:
            ValueError: the annotations do not have it.
        """
        if self.images is None:
            number = re.search(r"\d+$", path.stem)
            return int(number.group()) if number else path.stem
        alike = self._by_name.get(path.name, [])
        matches = [name for name in alike if path.as_posix().endswith("/" + name) or path.as_posix() == name] or alike
        if not matches:
            raise ValueError(f"{path}: not among the {len(self.images)} images of the annotations (by file name)")
        return self.images[max(matches, key=len)]


def as_coco(found: Sequence[ImageResult], class_names: ClassNames, ids: CocoIds) -> tuple[str, int]:
    """COCO results (``bbox`` is x, y, width, height) and how many detections have no category there."""
    results, left_out = [], 0
    for one in found:
        image_id = ids.image_id(one.path)
        for label, score, (x1, y1, x2, y2) in one.rows():
            category = label + 1 if ids.categories is None else ids.categories.get(class_names[label] or "")
            if category is None:
                left_out += 1
                continue
            box = [x1, y1, round(x2 - x1, 4), round(y2 - y1, 4)]
            results.append({"image_id": image_id, "category_id": category, "bbox": box, "score": score})
    return json.dumps(results), left_out
