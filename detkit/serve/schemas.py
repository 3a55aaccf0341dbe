"""The JSON of the API; its fields are described in /openapi.json."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class ErrorDetail(BaseModel):
    """An error."""

    code: str = Field(description="Name of the kind of error, for programs.")
    message: str = Field(description="What was wrong, in a sentence.")
    expected: str | None = Field(None, description="What would have been right, where there is more to say.")


class ErrorResponse(BaseModel):
    """The answer to a request that failed."""

    error: ErrorDetail


class MaskRuns(BaseModel):
    """The pixels of an object as COCO's compressed run lengths, which pycocotools.mask.decode reads."""

    size: tuple[int, int] = Field(description="Height and width of the image.")
    counts: str = Field(description="The lengths as text.")


class DetectionRow(BaseModel):
    """A detection."""

    class_name: str = Field(description="Name of the class.")
    label: int = Field(description="Number of the class, from 0.")
    score: float = Field(description="From 0 to 1.")
    box: tuple[float, float, float, float] = Field(description="x1, y1, x2, y2 in pixels of the upright image.")
    mask: MaskRuns | None = Field(None, description="Its pixels, with masks=rle, of a model that has masks.")
    polygons: list[list[float]] | None = Field(
        None, description="With masks=polygons: x, y, x, y, ... in pixels for each connected part; a hole is part of the outline around it."
    )


class ImageInfo(BaseModel):
    """An image of a request."""

    name: str | None = Field(None, description="File name that the client sent, if any.")
    width: int = Field(description="Width in pixels, after the EXIF orientation was applied.")
    height: int = Field(description="Height in pixels, after the EXIF orientation was applied.")


class Timings(BaseModel):
    """Times of an image in milliseconds."""

    wait_ms: float = Field(description="From the queue to the start of its batch.")
    decode_ms: float = Field(description="Decoding of the file, which can overlap the waiting.")
    detect_ms: float = Field(description="Detection on the whole batch.")
    total_ms: float = Field(description="From the first byte of the request to its answer.")
    batch_size: int = Field(description="Number of images in the batch.")


class DetectResponse(BaseModel):
    """The detections of one image."""

    model: str = Field(description="Name of the model.")
    image: ImageInfo
    detections: list[DetectionRow] = Field(description="Best first.")
    timings: Timings


class ImageResult(BaseModel):
    """One of several images: its detections, or why it has none."""

    name: str | None = Field(None, description="File name that the client sent, if any.")
    image: ImageInfo | None = Field(None, description="Missing if the image failed.")
    detections: list[DetectionRow] | None = Field(None, description="Best first; missing if the image failed.")
    timings: Timings | None = Field(None, description="Missing if the image failed.")
    error: ErrorDetail | None = Field(None, description="Why the image failed.")


class DetectManyResponse(BaseModel):
    """The detections of several images, in the order of the request."""

    model: str = Field(description="Name of the model.")
    results: list[ImageResult]


class ClassInfo(BaseModel):
    """A class of a model."""

    label: int = Field(description="Number of the class, from 0.")
    name: str
    color: str = Field(description="Color in which detkit draws the class, as #rrggbb.")
    min_score: float = Field(description="Lowest score that is reported with min_score=operating.")


class Limits(BaseModel):
    """Limits of the server."""

    max_bytes: int = Field(description="Largest body of a request.")
    max_pixels: int = Field(description="Largest image, width times height.")
    max_images: int = Field(description="Most images of a request.")
    max_detections: int | None = Field(description="Most detections of an image; null: no limit.")
    max_batch: int = Field(description="Most images that run together.")
    max_wait_ms: float = Field(description="Longest time that an image waits for others that are being received.")
    queue: int = Field(description="Most images that wait; with more, requests are answered with 503.")
    timeout_s: float = Field(description="Longest time of a request.")


class ModelInfo(BaseModel):
    """A model of the server."""

    name: str = Field(description="Value of the parameter model.")
    detector: str = Field(description="Kind of detector.")
    class_names: list[str] = Field(description="Names of the classes that can be reported.")
    classes: list[ClassInfo] = Field(description="The same classes with their labels, colors and scores.")
    preprocess: dict[str, Any] = Field(description="How images are resized for the detector.")
    operating_points: dict[str, Any] | None = Field(description="Scores at which the detector works best, if they were measured.")
    min_score: float = Field(description="Lowest score of any class that is reported with min_score=operating.")
    device: str
    precision: str
    limits: Limits


class ModelsResponse(BaseModel):
    """All models of the server; the first is the default."""

    models: list[ModelInfo]


class StatusResponse(BaseModel):
    """State of the server."""

    status: str = Field(description="ok, or why the server is not ready.")
