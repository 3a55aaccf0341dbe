"""The key of the API."""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from detkit.serve.errors import ApiError, Problem

VARIABLE = "DETKIT_API_KEY"
"""Environment variable with the key."""

_bearer = HTTPBearer(auto_error=False, description="The key of the server.")
_header = APIKeyHeader(name="X-API-Key", auto_error=False, description="The key of the server.")


def read_key(file: str | None) -> str | None:
    """Return the key from a file, or else from the environment; None if neither has one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the key is empty, or has characters that a header cannot have.
    """
    key, name = os.environ.get(VARIABLE), VARIABLE
    if file is not None:
        if not Path(file).is_file():
            raise FileNotFoundError(f"--api-key-file {file}: no such file; write the key to it, or set {VARIABLE}")
        key, name = Path(file).read_text("utf-8", "replace").strip(), f"--api-key-file {file}"
    if key is None:
        return None
    if not key or not all("!" <= character <= "~" for character in key):
        raise ValueError(f"{name}: expected a key of printable ASCII characters without spaces")
    return key


def key_check(key: str | None) -> Callable[..., None]:
    """Return a dependency that refuses requests without the key."""

    def check(
        bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)], header: Annotated[str | None, Depends(_header)]
    ) -> None:
        given = bearer.credentials if bearer is not None else header
        if key is not None and not hmac.compare_digest((given or "").encode("utf-8", "replace"), key.encode()):
            got = "the key is wrong" if given else "the request has no key"
            raise ApiError(Problem(401, "unauthorized", got, "Authorization: Bearer KEY, or X-API-Key: KEY"))

    return check
