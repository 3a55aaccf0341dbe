"""The application: its paths, and their description in /openapi.json."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.middleware.cors import CORSMiddleware

from detkit.about import __version__
from detkit.serve.detection import answer
from detkit.serve.errors import ClientGone, Problem, add_handlers
from detkit.serve.metrics import CONTENT_TYPE, exposition
from detkit.serve.middleware import Around
from detkit.serve.openapi import DETECT_BODY, DETECT_PARAMETERS, DETECT_RESPONSES, MODEL_PARAMETER, MODEL_RESPONSES
from detkit.serve.page import HEADERS, page_html
from detkit.serve.parameters import model_name, query_values
from detkit.serve.schemas import ModelInfo, ModelsResponse, StatusResponse
from detkit.serve.security import key_check
from detkit.serve.service import Service

_CLIENT_GONE = 499
"""Status that counts requests whose client closed the connection; no client sees it."""


def create_app(service: Service) -> FastAPI:
    """Return the ASGI application of a server; its lifespan starts and stops the threads of the models.

    Args:
        service: The models and settings.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        service.stop()

    app = FastAPI(
        title="detkit",
        version=__version__,
        description="Object detection. Every error has the form of ErrorResponse.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    add_handlers(app)
    app.include_router(_api(service), prefix="/v1", dependencies=[Depends(key_check(service.settings.api_key))])
    app.include_router(_operations(service))
    app.add_middleware(Around, service=service)
    if service.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=service.settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            expose_headers=["Retry-After"],
        )
    return app


def _api(service: Service) -> APIRouter:
    """Return the paths under /v1."""
    router = APIRouter(tags=["detection"])
    body: dict[str, Any] = {"requestBody": DETECT_BODY, "parameters": DETECT_PARAMETERS}

    @router.post("/detect", summary="Detect objects in one image or several", responses=DETECT_RESPONSES, openapi_extra=body)
    async def detect(request: Request) -> Response:
        """Send a form with files, the bytes of an image, or JSON with base64. Parameters are in the query, the form or the JSON."""
        try:
            result = await answer(request, service)
        except ClientGone:
            return Response(status_code=_CLIENT_GONE)
        return Response(result.model_dump_json(exclude_none=True), media_type="application/json")

    @router.get("/model", summary="Describe a model", responses=MODEL_RESPONSES, openapi_extra={"parameters": [MODEL_PARAMETER]})
    async def model(request: Request) -> ModelInfo:
        return service.info(model_name(query_values(request.query_params), service.names))

    @router.get("/models", summary="Describe all models")
    async def models() -> ModelsResponse:
        return ModelsResponse(models=[service.info(name) for name in service.names])

    return router


def _operations(service: Service) -> APIRouter:
    """Return the paths for operation, and the page; they need no key."""
    router = APIRouter(tags=["operation"])

    @router.get("/health", summary="Whether the process lives")
    async def health() -> StatusResponse:
        return StatusResponse(status="ok")

    @router.get("/ready", summary="Whether the server should get requests", responses={503: {"model": StatusResponse}})
    async def ready() -> Response:
        reason = service.not_ready()
        return JSONResponse(StatusResponse(status=reason or "ok").model_dump(), 503 if reason else 200)

    @router.get("/metrics", summary="Metrics in Prometheus' text format")
    async def metrics() -> Response:
        return Response(exposition(service.metrics()), media_type=CONTENT_TYPE)

    @router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page() -> Response:
        return Response(page_html(), media_type="text/html", headers=HEADERS)

    return router


__all__ = ["Problem", "create_app"]
