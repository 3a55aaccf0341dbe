"""What /openapi.json says about requests and errors, beyond what the framework derives."""

from __future__ import annotations

from typing import Any

from detkit.data.writers.mask_json import MASK_FORMS
from detkit.serve.content import SEVERAL
from detkit.serve.parameters import OPERATING
from detkit.serve.schemas import DetectManyResponse, DetectResponse, ErrorResponse

_ERRORS = {
    400: "The body is damaged, or not of its Content-Type.",
    401: "The key is missing or wrong.",
    404: "There is no such model.",
    408: "The body was not complete in time.",
    413: "The body, or the image in pixels, is too large, or there are too many images.",
    415: "The Content-Type or Content-Encoding is not supported.",
    422: "A parameter is wrong, or an image cannot be decoded.",
    500: "The detection failed.",
    503: "The server has too much to do, or stops; try again after Retry-After.",
}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorResponse, "description": _ERRORS[status]} for status in statuses}


DETECT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"model": DetectResponse | DetectManyResponse, "description": "The detections; a list of results for several images."},
    **_errors(*_ERRORS),
}
MODEL_RESPONSES = _errors(401, 404, 422)

_VALUES: dict[str, dict[str, Any]] = {
    "model": {"type": "string", "description": "Name of the model; by default the first one."},
    "min_score": {
        "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"const": OPERATING}],
        "default": OPERATING,
        "description": "Lowest score that is reported. By default each class has the score at which the model works best, if it has them.",
    },
    "classes": {"type": "array", "items": {"type": "string"}, "description": "Classes that are reported; by default all."},
    "max_detections": {"type": "integer", "minimum": 1, "description": "Most detections of an image; the model has a limit of its own."},
    "masks": {
        "type": "string",
        "enum": list(MASK_FORMS),
        "default": "rle",
        "description": "How the masks of a model that has them are reported: as run lengths, as polygons, or not at all.",
    },
}
DETECT_PARAMETERS: list[dict[str, Any]] = [
    {"name": name, "in": "query", "required": False, "description": schema["description"], "schema": schema}
    for name, schema in _VALUES.items()
]
MODEL_PARAMETER = DETECT_PARAMETERS[0]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BASE64 = {"type": "string", "contentEncoding": "base64"}
DETECT_BODY: dict[str, Any] = {
    "required": True,
    "description": f"With several images, or with one under {SEVERAL!r}, the answer is a list.",
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {
                    "image": _BINARY["schema"],
                    SEVERAL: {"type": "array", "items": _BINARY["schema"]},
                    **_VALUES,
                },
            }
        },
        "image/*": _BINARY,
        "application/octet-stream": _BINARY,
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {"image": _BASE64, SEVERAL: {"type": "array", "items": _BASE64}, **_VALUES},
                "oneOf": [{"required": ["image"]}, {"required": [SEVERAL]}],
                "additionalProperties": False,
            }
        },
    },
}
