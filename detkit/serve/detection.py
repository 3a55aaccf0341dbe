"""The answer to a request for detections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import Request
from pydantic import BaseModel

from detkit.arrays import Size
from detkit.data.writers.mask_json import MaskForm, masks_json
from detkit.serve.batching import Batcher, Job, Outcome
from detkit.serve.content import Content, SentImage, parse_content
from detkit.serve.decoding import check_header
from detkit.serve.errors import ApiError, ClientGone, Problem, unavailable
from detkit.serve.parameters import Parameters, merged, model_name, parse_parameters, query_values
from detkit.serve.schemas import DetectionRow, DetectManyResponse, DetectResponse, ImageInfo, ImageResult, Timings
from detkit.serve.service import Service
from detkit.serve.uploads import read_body
from detkit.structures.detection import DetectionArrays

_POLL_SECONDS = 0.25
"""How often a waiting request sees that the server gives up."""

Checked = tuple[SentImage, int | Problem]
"""An image, and the number of its pixels, or why it cannot be decoded."""


async def answer(request: Request, service: Service) -> BaseModel:
    """Detect on the images of a request.

    Raises:
        ApiError: If the request is wrong, or the server cannot answer.
        ClientGone: If the client closed the connection.
    """
    start = time.perf_counter()
    deadline = asyncio.get_running_loop().time() + service.settings.timeout
    query = query_values(request.query_params)
    expected = service.batchers[model_name(merged(query, {}), service.names)]
    expected.check_room()
    with service.memory.hold() as hold:
        with expected.announced():
            body = await read_body(request, service.settings.max_bytes, deadline, hold)
            content, checked = await _in_pool(service, body, request.headers.get("content-type", ""))
            values = merged(query, content.parameters)
            batcher = service.batchers[model_name(values, service.names)]
            parameters = parse_parameters(values, batcher.model.class_names)
            jobs = _submit(batcher, checked)
        results = await _results(request, service, jobs, deadline)
    rows = [_result(batcher, image, result, parameters, start) for (image, _), result in zip(checked, results, strict=True)]
    for row in rows:
        service.images.add(batcher.model.name, "ok" if row.error is None else row.error.code)
    return _response(batcher.model.name, content.several, rows, results)


async def _in_pool(service: Service, body: bytes, content_type: str) -> tuple[Content, list[Checked]]:
    """Parse a body and read the headers of its images on another thread."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(service.pool, _parse, body, content_type, service.settings.max_images)


def _parse(body: bytes, content_type: str, max_images: int) -> tuple[Content, list[Checked]]:
    content = parse_content(body, content_type, max_images)
    labels = _labels(len(content.images))
    return content, [(image, check_header(image.data, label)) for image, label in zip(content.images, labels, strict=True)]


def _labels(count: int) -> list[str]:
    return ["image"] if count == 1 else [f"image {number}" for number in range(1, count + 1)]


def _submit(batcher: Batcher, checked: Sequence[Checked]) -> list[Job | Problem]:
    """Queue the images that can be decoded."""
    rows = zip(checked, _labels(len(checked)), strict=True)
    jobs = [pixels if isinstance(pixels, Problem) else Job(image.data, label, pixels) for (image, pixels), label in rows]
    batcher.submit([job for job in jobs if isinstance(job, Job)])
    return jobs


async def _results(request: Request, service: Service, jobs: Sequence[Job | Problem], deadline: float) -> list[Outcome | Problem]:
    """Wait for the results of queued images; a client that leaves takes its images out of the queue."""
    waiting = [asyncio.wrap_future(job.result) for job in jobs if isinstance(job, Job)]
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await _wait(waiting, gone, service, deadline)
    finally:
        gone.cancel()
        for future in waiting:
            future.cancel()
    results = iter(waiting)
    return [job if isinstance(job, Problem) else next(results).result() for job in jobs]


async def _wait(waiting: Sequence[asyncio.Future[Any]], gone: asyncio.Future[None], service: Service, deadline: float) -> None:
    clock = asyncio.get_running_loop().time
    pending = {future for future in waiting if not future.done()}
    while pending:
        done, _ = await asyncio.wait({*pending, gone}, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        pending -= done
        if not pending:
            return
        if gone in done:
            raise ClientGone
        if service.abandoned:
            raise unavailable("stopping", "the server stopped before the detection began")
        if clock() > deadline:
            raise unavailable("timeout", f"there was no result within {service.settings.timeout:g} seconds")


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _result(batcher: Batcher, image: SentImage, result: Outcome | Problem, parameters: Parameters, start: float) -> ImageResult:
    if isinstance(result, Problem):
        return ImageResult(name=image.name, error=result.detail())
    height, width = result.size
    return ImageResult(
        name=image.name,
        image=ImageInfo(name=image.name, width=width, height=height),
        detections=_rows(batcher.model.select(result.rows, parameters), batcher.model.predictor.class_names, result.size, parameters.masks),
        timings=Timings(
            wait_ms=_milliseconds(result.wait),
            decode_ms=_milliseconds(result.decode),
            detect_ms=_milliseconds(result.detect),
            total_ms=_milliseconds(time.perf_counter() - start),
            batch_size=result.batch_size,
        ),
    )


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _rows(rows: DetectionArrays, names: Sequence[str | None], size: Size, masks: MaskForm) -> list[DetectionRow]:
    """Return detections with scores and boxes rounded as in the files of ``detkit detect``, and with the same masks."""
    try:
        own = masks_json(rows.masks, len(rows), size, masks)
    except ImportError as error:
        raise ApiError(Problem(500, "not_installed", str(error), "masks=rle, which needs no further library")) from None
    columns = zip(rows.labels.tolist(), rows.scores.tolist(), rows.boxes.tolist(), own, strict=True)
    return [
        DetectionRow(class_name=names[label] or "", label=label, score=round(score, 7), box=_rounded(box), **mask)
        if mask
        else DetectionRow.model_construct(class_name=names[label] or "", label=label, score=round(score, 7), box=_rounded(box))
        for label, score, box, mask in columns
    ]


def _rounded(box: Sequence[float]) -> tuple[float, float, float, float]:
    return round(box[0], 4), round(box[1], 4), round(box[2], 4), round(box[3], 4)


def _response(name: str, several: bool, rows: Sequence[ImageResult], results: Sequence[Outcome | Problem]) -> BaseModel:
    if several:
        return DetectManyResponse(model=name, results=list(rows))
    if isinstance(results[0], Problem):
        raise ApiError(results[0])
    values: Mapping[str, Any] = {key: getattr(rows[0], key) for key in ("image", "detections", "timings")}
    return DetectResponse(model=name, **values)
