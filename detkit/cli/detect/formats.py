"""Detections of many images and videos as JSON or CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from detkit.about import __version__
from detkit.cli.detect.results import ClassNames, ImageResult
from detkit.cli.detect.tally import Stream
from detkit.cli.results.cells import csv_text, quoted_cell
from detkit.data.live.address import is_address
from detkit.data.writers.mask_json import MaskForm, masks_json


def _rows(result: ImageResult, class_names: ClassNames, masks: MaskForm) -> list[dict[str, Any]]:
    rows = zip(result.rows(), masks_json(result.detections.masks, len(result.detections), result.size, masks), strict=True)
    return [{"class": class_names[label], "label": label, "score": score, "box": box, **mask} for (label, score, box), mask in rows]


def _key(is_file: bool) -> str:
    """Return the key of the name of an input."""
    return "file" if is_file else "source"


def _source_info(result: ImageResult) -> dict[str, Any]:
    return {_key(result.path is not None): result.source, "width": result.size[1], "height": result.size[0]}


def _frame_info(result: ImageResult) -> dict[str, Any]:
    return {} if result.frame is None else {"frame": result.frame, "seconds": round(result.seconds, 3)}


def as_json(
    results: Sequence[ImageResult],
    failed: Mapping[str, str],
    class_names: ClassNames,
    streams: Mapping[str, Stream] | None = None,
    masks: MaskForm = "rle",
    **metadata: Any,
) -> str:
    """Return all detections as JSON: per image and, under ``videos``, per frame; inputs that could not be read have an error.

    A video's ``frames_lost`` is the number of its frames that could not be decoded, or that its header states and the file lacks;
    ``frames_concealed``, of damaged frames that the decoder completed from others, is null, as OpenCV does not report them.

    Args:
        results: The results.
        failed: Messages about inputs that could not be read completely, by name.
        class_names: Class names by label.
        streams: The videos, cameras and streams, by name.
        masks: How masks are written, if there are any.
        metadata: Further keys.
    """
    streams = streams or {}
    images = [{**_source_info(result), "detections": _rows(result, class_names, masks)} for result in results if result.frame is None]
    images += [{_key(not is_address(name)): name, "error": message} for name, message in failed.items() if name not in streams]
    videos = {name: _stream_info(stream) for name, stream in streams.items()}
    for result in results:
        if result.frame is not None:
            videos[result.source]["frames"].append({**_frame_info(result), "detections": _rows(result, class_names, masks)})
    for name, message in failed.items():
        if name in videos:
            videos[name]["error"] = message
    content = {"detkit": __version__, **metadata, "class_names": list(class_names), "images": images}
    content |= {"videos": list(videos.values())} if videos else {}
    return json.dumps(content, ensure_ascii=False, indent=1)


def _stream_info(stream: Stream) -> dict[str, Any]:
    """Return what is known of a video, camera or stream; only its name if it has no frames."""
    name: dict[str, Any] = {_key(stream.is_file): stream.name}
    if stream.size is None:
        return name
    size = {"width": stream.size[1], "height": stream.size[0]}
    frames = {"frames_processed": stream.tally.frames, "frames_lost": stream.lost, "frames_concealed": None}
    return {**name, **size, **frames, **({"frames_dropped": stream.dropped} if stream.live else {}), "frames": []}


def as_row(result: ImageResult, class_names: ClassNames, masks: MaskForm = "rle") -> dict[str, Any]:
    """Return the detections of one image or frame, ready for JSON."""
    return {**_source_info(result), **_frame_info(result), "detections": _rows(result, class_names, masks)}


def as_csv(results: Sequence[ImageResult], class_names: ClassNames) -> str:
    """Return one CSV row per detection, with a header; corners in pixels. With videos, two more columns hold frame and seconds.

    Names that begin like formulas are quoted, see :func:`quoted_cell`.
    """
    has_frames = any(result.frame is not None for result in results)
    columns = ("file", "width", "height", "class", "label", "score", "x1", "y1", "x2", "y2")
    rows: list[Sequence[object]] = [[*columns, *(("frame", "seconds") if has_frames else ())]]
    for result in results:
        frame = () if not has_frames else ("", "") if result.frame is None else (result.frame, round(result.seconds, 3))
        height, width = result.size
        file, names = quoted_cell(result.source), class_names
        rows += ([file, width, height, quoted_cell(names[n] or ""), n, score, *box, *frame] for n, score, box in result.rows())
    return csv_text(rows)
