"""Errors of the API: every one, also those of the framework, has one JSON form."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from detkit.printable import printable
from detkit.serve.schemas import ErrorDetail, ErrorResponse

RETRY_SECONDS = 1
"""Seconds after which a client may try again, for answers with status 503."""
_LONGEST = 300
"""Characters of a value from a request that a message repeats."""


@dataclass(frozen=True)
class Problem:
    """A failed request, or a failed image of a request.

    Attributes:
        status: HTTP status.
        code: Name of the kind of error, for programs.
        message: What was wrong, in a sentence.
        expected: What would have been right, where there is more to say.
    """

    status: int
    code: str
    message: str
    expected: str | None = None

    def detail(self) -> ErrorDetail:
        """Return the content of the answer."""
        return ErrorDetail(code=self.code, message=self.message, expected=self.expected)


class ApiError(Exception):
    """Ends a request with a :class:`Problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class ClientGone(Exception):  # noqa: N818 - not an error of the server or of the client
    """The client closed its connection before it had an answer."""


def invalid(message: str, expected: str | None = None) -> ApiError:
    """Return the error of a parameter with a wrong name or value."""
    return ApiError(Problem(422, "invalid_parameter", message, expected))


def unavailable(code: str, message: str) -> ApiError:
    """Return the error of a server that cannot answer now."""
    return ApiError(Problem(503, code, message, "a request after the time in Retry-After"))


def repeated(value: object) -> str:
    """Return a value from a request in quotes, without control characters and not too long, to repeat it in a message."""
    return repr(printable(value, _LONGEST))


def problem_response(problem: Problem) -> JSONResponse:
    """Return the answer for a problem."""
    headers = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": str(RETRY_SECONDS)}}.get(problem.status)
    content = ErrorResponse(error=problem.detail()).model_dump(exclude_none=True)
    return JSONResponse(content, problem.status, headers)


def add_handlers(app: FastAPI) -> None:
    """Answer errors of an application, and of the framework, in the JSON form."""

    async def api_error(request: Request, error: Any) -> JSONResponse:
        return problem_response(error.problem)

    async def http_error(request: Request, error: Any) -> JSONResponse:
        return problem_response(_framework_problem(request, error))

    app.add_exception_handler(ApiError, api_error)
    app.add_exception_handler(HTTPException, http_error)


def _framework_problem(request: Request, error: HTTPException) -> Problem:
    path, allowed = repeated(request.url.path), (error.headers or {}).get("Allow")
    if error.status_code == HTTPStatus.NOT_FOUND:
        return Problem(404, "not_found", f"there is nothing at {path}", "one of the paths in /openapi.json")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return Problem(405, "method_not_allowed", f"{path} does not accept {repeated(request.method)}", allowed)
    status = HTTPStatus(error.status_code)
    return Problem(error.status_code, status.name.lower(), printable(error.detail) or status.phrase)
