"""Repeating an access that failed: longer waits each time, then one clear line."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

from detkit.data.live.address import hide_credentials

T = TypeVar("T")

FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0
"""Seconds before the second attempt, and before late ones at most; each wait is twice the one before."""
_JITTER = 0.25
"""Part of a wait that is random, so that many processes do not come back at the same moment."""
_REPEATED_STATUS = (408, 425, 429)
"""Answers of a server that blame the request and are repeated all the same: the server was busy or slow."""
_LIBRARIES = ("aiohttp", "aiobotocore", "botocore", "s3fs", "gcsfs", "google", "requests", "urllib3", "fsspec")
"""Libraries whose own errors count as failures of the storage."""

_log = logging.getLogger(__name__)


class StorageError(ConnectionError):
    """Object storage cannot be read or written; the message names the address, the reason and what to do."""


class IncompleteError(OSError):
    """The bytes that arrived are not those that the storage or the index states."""


def retried(action: Callable[[], T], name: str, attempts: int) -> T:
    """Return the result of an action, which is repeated if the storage fails.

    Args:
        action: Reads or writes a file.
        name: The file in messages.
        attempts: Number of attempts.

    Raises:
        FileNotFoundError, PermissionError: If the storage answers that there is no such file, or that it is not allowed.
        StorageError: If every attempt failed.
    """
    started = time.monotonic()
    for attempt in range(1, attempts + 1):
        try:
            return action()
        except Exception as failure:
            error = _cause(failure)
            _raise_final(error, name)
            reason = reason_of(error)
            if attempt == attempts:
                raise StorageError(
                    f"{name}: {attempts} attempts in {time.monotonic() - started:.0f} s failed, the last with: {reason}; "
                    f"check the address and the network, then start again"
                ) from error
            if attempt == 1:
                _log.warning("%s: %s; trying again", name, reason)
        time.sleep(min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT) * random.uniform(1 - _JITTER, 1 + _JITTER))
    raise ValueError(f"attempts: expected at least 1, got {attempts}")


def _cause(error: Exception) -> Exception:
    """Return what a file that seems missing is due to; fsspec reports any failure of HTTP as a missing file."""
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and isinstance(cause, Exception) and _status(cause) not in (404, 410):
        return cause
    return error


def _raise_final(error: Exception, name: str) -> None:
    """Raise the errors that another attempt would not change."""
    status = _status(error)
    if isinstance(error, FileNotFoundError) or status in (404, 410):
        raise FileNotFoundError(f"{name}: no such file in the storage; check the address") from error
    if isinstance(error, PermissionError) or status in (401, 403) or "Credential" in type(error).__name__:
        raise PermissionError(f"{name}: access is denied ({reason_of(error)}); check the credentials of the storage") from error
    if status is not None and 400 <= status < 500 and status not in _REPEATED_STATUS:
        raise StorageError(f"{name}: the storage refuses the request ({reason_of(error)}); check the address") from error
    if not isinstance(error, (OSError, TimeoutError, asyncio.TimeoutError)) and type(error).__module__.partition(".")[0] not in _LIBRARIES:
        raise error


def _status(error: BaseException) -> int | None:
    """Return the status of an HTTP answer, which the libraries keep in different places."""
    response = getattr(error, "response", None)
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    for value in (getattr(error, "status", None), metadata.get("HTTPStatusCode")):
        if isinstance(value, int) and value >= 400:
            return value
    return _status(error.__cause__) if error.__cause__ is not None and error.__cause__ is not error else None


def reason_of(error: BaseException) -> str:
    """Return the reason of a failure on one line, without credentials."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        return f"the server answered {status} {getattr(error, 'message', '')}".rstrip()
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)) and not str(error):
        return "no answer in time"
    text = hide_credentials(" ".join(str(error).split()))[:300]
    return text or type(error).__name__
