"""Detections of many images and videos as JSON, CSV, or COCO results."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detkit.about import __version__
from detkit.json_text import parse_json

if TYPE_CHECKING:
    from detkit.structures import DetectionMethods

ClassNames = Sequence[str | None]


@dataclass(frozen=True, eq=False)
class ImageResult:
    """Detections of one image, or of one frame of a video.

    Attributes:
        path: The file.
        size: ``(height, width)``.
        detections: The detections, in original pixels, as tensors or arrays.
        frame: Index of the frame in the video; None for an image.
        seconds: Time of the frame in the video.
    """

    path: Path
    size: tuple[int, int]
    detections: DetectionMethods
    frame: int | None = None
    seconds: float = 0.0

    def rows(self) -> list[tuple[int, float, list[float]]]:
        """Return label, score and ``x1 y1 x2 y2`` of each detection, best first, rounded to significant digits."""
        detections = self.detections
        boxes = [[round(value, 4) for value in box] for box in detections.boxes.tolist()]
        columns = zip(detections.labels.tolist(), detections.scores.tolist(), boxes, strict=True)
        return [(label, round(score, 7), box) for label, score, box in columns]


_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""Beginning of a cell that a spreadsheet would compute, or of a cell that was quoted for that reason."""


def quoted_cell(value: object) -> str:
    """Return the cell of a name: with a single quote in front if it begins like a formula, as spreadsheets expect of text.

    To read the name back, remove one quote from cells that begin with a quote and, after all of its quotes, one of ``= + - @`` or a
    tab or line break.
    """
    text = str(value)
    return f"'{text}" if _FORMULA.match(text) else text


def _rows(result: ImageResult, class_names: ClassNames) -> list[dict[str, Any]]:
    return [{"class": class_names[label], "label": label, "score": score, "box": box} for label, score, box in result.rows()]


def _file_info(result: ImageResult) -> dict[str, Any]:
    return {"file": str(result.path), "width": result.size[1], "height": result.size[0]}


def _frame_info(result: ImageResult) -> dict[str, Any]:
    return {} if result.frame is None else {"frame": result.frame, "seconds": round(result.seconds, 3)}


def as_json(
    results: Sequence[ImageResult],
    failed: Mapping[Path, str],
    class_names: ClassNames,
    lost_frames: Mapping[Path, int] | None = None,
    **metadata: Any,
) -> str:
    """Return all detections as JSON: per image and, under ``videos``, per frame; files that could not be read have an error.

    A video's ``frames_lost`` is the number of its frames that could not be decoded, or that its header states and the file lacks;
    ``frames_concealed``, of damaged frames that the decoder completed from others, is null, as OpenCV does not report them.
    """
    from detkit.data.media.extensions import is_video

    images = [{**_file_info(result), "detections": _rows(result, class_names)} for result in results if result.frame is None]
    images += [{"file": str(path), "error": message} for path, message in failed.items() if not is_video(path)]
    videos: dict[Path, dict[str, Any]] = {}
    for result in results:
        if result.frame is not None:
            lost = {"frames_lost": (lost_frames or {}).get(result.path, 0), "frames_concealed": None}
            frames = videos.setdefault(result.path, {**_file_info(result), **lost, "frames": []})["frames"]
            frames.append({**_frame_info(result), "detections": _rows(result, class_names)})
    for path, message in failed.items():
        if is_video(path):
            videos.setdefault(path, {"file": str(path)})["error"] = message
    content = {"detkit": __version__, **metadata, "class_names": list(class_names), "images": images}
    content |= {"videos": list(videos.values())} if videos else {}
    return json.dumps(content, ensure_ascii=False, indent=1)


def as_json_line(result: ImageResult, class_names: ClassNames) -> str:
    """Return the detections of one image or frame as a line of JSON."""
    return json.dumps({**_file_info(result), **_frame_info(result), "detections": _rows(result, class_names)}) + "\n"


class _Lines:
    """Collects the rows of a CSV writer. Both kinds of line break must be quoted in cells, so the writer ends its rows with both."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def write(self, row: str) -> None:
        """Keep a row, ended by a single line break."""
        self.text.append(row.removesuffix("\r\n") + "\n")


def as_csv(results: Sequence[ImageResult], class_names: ClassNames) -> str:
    """Return one CSV row per detection, with a header; corners in pixels. With videos, two more columns hold frame and seconds.

    Names that begin like formulas are quoted, see :func:`quoted_cell`.
    """
    lines = _Lines()
    writer = csv.writer(lines)
    has_frames = any(result.frame is not None for result in results)
    columns = ("file", "width", "height", "class", "label", "score", "x1", "y1", "x2", "y2")
    writer.writerow([*columns, *(("frame", "seconds") if has_frames else ())])
    for result in results:
        frame = () if not has_frames else ("", "") if result.frame is None else (result.frame, round(result.seconds, 3))
        height, width = result.size
        file, names = quoted_cell(result.path), class_names
        rows = ([file, width, height, quoted_cell(names[n] or ""), n, score, *box, *frame] for n, score, box in result.rows())
        writer.writerows(rows)
    return "".join(lines.text)


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

    def check(self, files: Iterable[Path]) -> None:
        """Check before any work that each file has its own image id.

        Raises:
            ValueError: If two files have the same image id, or a file has none.
        """
        from detkit.data.media.extensions import is_video

        seen: dict[Any, Path] = {}
        for path in files:
            if is_video(path):
                raise ValueError(f"--coco: expected images, got the video {path}, whose frames have no COCO ids; use --json or --csv")
            image_id = self.image_id(path)
            if image_id in seen:
                raise ValueError(
                    f"--coco: {seen[image_id]} and {path} have the same image id {image_id!r}; give their ids with --annotations FILE; "
                    "without such a file, use --json, which needs no ids, or --labels DIR --labels-format coco, which numbers the images"
                )
            seen[image_id] = path

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


def as_coco(results: Sequence[ImageResult], class_names: ClassNames, ids: CocoIds) -> tuple[str, int]:
    """Return COCO results (``bbox`` is x, y, width, height) and the number of detections skipped because they have no category."""
    rows, skipped = [], 0
    for result in results:
        image_id = ids.image_id(result.path)
        for label, score, (x1, y1, x2, y2) in result.rows():
            category = label + 1 if ids.categories is None else ids.categories.get(class_names[label] or "")
            if category is None:
                skipped += 1
                continue
            box = [x1, y1, round(x2 - x1, 4), round(y2 - y1, 4)]
            rows.append({"image_id": image_id, "category_id": category, "bbox": box, "score": score})
    return json.dumps(rows), skipped
