"""Requests over HTTP with limits on time and redirects, whose answers are read as they arrive."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urljoin
from urllib.request import (
    BaseHandler,
    HTTPBasicAuthHandler,
    HTTPDefaultErrorHandler,
    HTTPDigestAuthHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPPasswordMgrWithPriorAuth,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from detkit.data.live.address import HTTP, Address, hide_credentials, scheme

TIMEOUT = 10.0
"""Seconds to wait for a connection, and for each piece of an answer."""
HEADER_SECONDS = 20.0
"""Seconds until the headers of an answer are complete, redirects included."""
MAX_REDIRECTS = 5


class Line:
    """The connection of a request, which another thread can cut."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self.cut = False

    def attach(self, connected: socket.socket) -> None:
        """Take note of the socket, and cut it if that was asked for before."""
        with self._lock:
            self._socket = connected
            cut = self.cut
        if cut:
            self.interrupt()

    def interrupt(self) -> None:
        """Cut the connection: a thread that waits for data gets an error or the end."""
        with self._lock:
            self.cut = True
            connected = self._socket
        if connected is not None:
            with suppress(OSError, ValueError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    @contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """Cut the connection after a time, whatever happens on it."""
        timer = threading.Timer(seconds, self.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


class Answer:
    """The answer to a request.

    Attributes:
        headers: Its headers.
        content_type: Type of the content in lower case, such as ``image/jpeg``; empty if none is stated.
        length: Stated number of bytes of the body; None if none is stated.
        status: 200, or 206 for a part.
    """

    def __init__(self, response: Any, line: Line, name: str) -> None:
        self._response, self._line, self._name = response, line, name
        self.headers = response.headers
        stated = response.headers.get("Content-Type")
        self.content_type: str = response.headers.get_content_type().lower() if stated else ""
        length = response.headers.get("Content-Length", "")
        self.length = int(length) if length.isascii() and length.isdigit() else None
        self.status = int(response.status)
        self.ended = False
        self._start = b""

    @property
    def complete(self) -> bool:
        """Whether the body has ended where the server stated its end, by a length or by a last chunk."""
        return self.ended and (self.length is not None or bool(getattr(self._response, "chunked", False)))

    def read(self, size: int) -> bytes:
        """Return the next bytes, up to ``size``, as soon as there are some; none at the end.

        Raises:
            ConnectionError: If the connection is cut before the stated end.
            TimeoutError: If nothing arrives in time.
        """
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        try:
            data = bytes(self._response.read1(size))
        except TimeoutError:
            raise TimeoutError(f"{self._name}: nothing arrived for {TIMEOUT:g} s") from None
        except (http.client.HTTPException, OSError, ValueError, AttributeError) as error:  # the last two: closed by another thread
            raise ConnectionError(f"{self._name}: the connection was cut ({_reason(error)})") from None
        if not data:
            self.ended = True
            if self._line.cut or getattr(self._response, "length", None):
                raise ConnectionError(f"{self._name}: the connection was cut before the end of the content")
        return data

    def peek(self, size: int) -> bytes:
        """Return the first bytes of what follows, which are read again afterwards; fewer at the end.

        Raises:
            ConnectionError: If the connection is cut.
            TimeoutError: If nothing arrives in time.
        """
        parts = []
        missing = size
        while missing > 0 and (data := self.read(missing)):
            parts.append(data)
            missing -= len(data)
        self._start = b"".join(parts)
        return self._start

    def interrupt(self) -> None:
        """Cut the connection from another thread."""
        self._line.interrupt()

    def close(self) -> None:
        """Close the connection, without waiting for the rest of the body."""
        self._line.interrupt()
        with suppress(OSError, ValueError, AttributeError):
            self._response.close()


def request(address: Address, headers: Mapping[str, str] | None = None, line: Line | None = None) -> Answer:
    """Ask for an address and return the answer when its headers have arrived.

    Redirects are followed to other ``http`` and ``https`` addresses, a few times; credentials go to the host of the address alone.

    Raises:
        FileNotFoundError, PermissionError: If the server answers that there is no such page, or that it is not allowed.
        ConnectionError: If the server cannot be reached, answers with another error, or not in HTTP.
        TimeoutError: If it does not answer in time.
    """
    line = Line() if line is None else line
    asked = Request(address.url, headers={"User-Agent": "detkit", "Accept": "*/*", **(headers or {})})
    try:
        with line.limited(HEADER_SECONDS):
            return Answer(_opener(address, line).open(asked, timeout=TIMEOUT), line, address.name)
    except HTTPError as error:
        error.close()
        raise _refusal(error, address) from None
    except _RedirectError as error:
        raise ConnectionError(f"{address.name}: {hide_credentials(str(error))}; check the address") from None
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise _failure(error, address) from None


def _opener(address: Address, line: Line) -> OpenerDirector:
    """Return what opens http and https addresses, and nothing else."""
    passwords = HTTPPasswordMgrWithPriorAuth()
    if address.user is not None:
        passwords.add_password(None, urljoin(address.url, "/"), address.user, address.password)
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        UnknownHandler(),
        _Plain(line),
        _Secure(line),
        HTTPDefaultErrorHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
        HTTPBasicAuthHandler(passwords),
        HTTPDigestAuthHandler(passwords),
    ):
        opener.add_handler(handler)
    return opener


class _RedirectError(ConnectionError):
    """A redirect that is not followed."""


class _Redirects(BaseHandler):
    """Follows a few redirects to http and https addresses; the content of the answer that redirects is not read."""

    def http_error_302(self, req: Request, fp: Any, code: int, msg: str, headers: Any) -> Any:
        fp.close()
        target = urljoin(req.full_url, str(headers.get("Location", "")))
        count = getattr(req, "redirects", 0) + 1
        if scheme(target) not in HTTP:
            raise _RedirectError(f"the server redirects to {target[:200]!r}, which is no http or https address")
        if count > MAX_REDIRECTS:
            raise _RedirectError(f"the server redirects more than {MAX_REDIRECTS} times")
        follow = Request(Address.parse(target).url, headers=dict(req.headers))  # credentials are among its other headers
        follow.redirects = count  # type: ignore[attr-defined]
        return self.parent.open(follow, timeout=req.timeout)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _PlainConnection(http.client.HTTPConnection):
    line: Line

    def connect(self) -> None:
        super().connect()
        self.line.attach(self.sock)


class _SecureConnection(http.client.HTTPSConnection):
    line: Line

    def connect(self) -> None:
        super().connect()
        self.line.attach(self.sock)


class _Plain(HTTPHandler):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def http_open(self, req: Request) -> Any:
        return self.do_open(self._connect, req)  # type: ignore[arg-type]

    def _connect(self, host: str, **options: Any) -> http.client.HTTPConnection:
        connection = _PlainConnection(host, **options)
        connection.line = self._line
        return connection


class _Secure(HTTPSHandler):
    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line

    def https_open(self, req: Request) -> Any:
        return self.do_open(self._connect, req)  # type: ignore[arg-type]

    def _connect(self, host: str, **options: Any) -> http.client.HTTPConnection:
        connection = _SecureConnection(host, **options)
        connection.line = self._line
        return connection


def _refusal(error: HTTPError, address: Address) -> OSError:
    answer = f"{address.name}: the server answered {error.code} {str(error.reason)[:200]}".rstrip()
    if error.code in (401, 403):
        advice = "check the user and password" if address.user is not None else "log in with http://USER:PASSWORD@HOST/..."
        return PermissionError(f"{answer}; {advice}")
    if error.code in (404, 410):
        return FileNotFoundError(f"{answer}; check the address")
    return ConnectionError(f"{answer}; try again later, or check the address")


def _failure(error: Exception, address: Address) -> OSError:
    reason = error.reason if isinstance(error, URLError) and isinstance(error.reason, Exception) else error
    if isinstance(reason, TimeoutError):
        return TimeoutError(f"{address.name}: no answer within {TIMEOUT:g} s; check the address and the network")
    if isinstance(reason, http.client.HTTPException):
        return ConnectionError(f"{address.name}: the answer is not valid HTTP ({_reason(reason)}); check the address and its port")
    return ConnectionError(f"{address.name}: cannot connect ({_reason(reason)}); check the address and the network")


def _reason(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:300] or type(error).__name__
