"""JSON labels in formats that are not read, recognized so that a message can name the tool and the way out."""

from __future__ import annotations

from typing import Any

_EXPORT = "export them as COCO, Pascal VOC or YOLO"


def other_format(content: Any) -> str | None:
    """Return the name of a known format that is not read, with what to do; None if it is no such format."""
    if isinstance(content, dict):
        return _of_object(content)
    first = content[0] if isinstance(content, list) and content else None
    if not isinstance(first, dict):
        return None
    if first.keys() & {"External ID", "data_row", "Labeled Data"}:
        return f"labels of Labelbox; {_EXPORT} there"
    return None


def _of_object(content: dict[str, Any]) -> str | None:
    entries = content.get("_via_img_metadata", content)
    values = list(entries.values())[:20] if isinstance(entries, dict) else []
    if "_via_img_metadata" in content or (values and all(isinstance(value, dict) and "regions" in value for value in values)):
        return "labels of VGG Image Annotator (VIA); in VIA, export them as COCO: Annotation > Export Annotations (COCO format)"
    if "file" in content and "project" in content and "metadata" in content:
        return "a project of VGG Image Annotator (VIA) 3; export it as COCO"
    if isinstance(content.get("shapes"), list):
        return "labels of labelme for one image; name their folder"
    if set(content) <= {"categories", "info"} and "categories" in content:
        return "the notes.json of a YOLO export of Label Studio; name the folder that contains classes.txt"
    if isinstance(content.get("frames"), (list, dict)) and "images" not in content:
        return f"labels of videos by frame; {_EXPORT} from the tool that they come from"
    return None
