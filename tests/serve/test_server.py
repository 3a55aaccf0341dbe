"""The server on a real socket: slow, cut and hostile connections, and a stop that answers what was accepted."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from serving import BINARY, model, photo, post, received, running, until
from test_batching import Gate

from detkit.serve import server


def head(length: int, extra: str = "") -> bytes:
    lines = f"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n{extra}\r\n"
    return lines.encode()


def parsed(answer: bytes) -> tuple[int, Any]:
    top, _, body = answer.partition(b"\r\n\r\n")
    match = re.match(rb"HTTP/1.1 (\d+)", top)
    assert match, answer
    assert b"content-type: application/json" in top.lower()
    return int(match[1]), json.loads(body)


def test_a_connection_serves_many_requests() -> None:
    with running() as web:
        connection = web.http()
        statuses = [post(connection, photo())[0] for _ in range(5)]
        assert post(connection, b"no image")[0] == 422
        assert post(connection, photo())[0] == 200
    assert statuses == [200] * 5


def test_slow_uploads_are_408() -> None:
    with running(timeout=0.4) as web, web.connect() as connection:
        connection.sendall(head(1000) + b"x" * 10)
        status, content = parsed(received(connection))
        assert (status, content["error"]["code"]) == (408, "upload_timeout")
        assert "10 bytes were received" in content["error"]["message"]
        assert web.service.memory.used == 0
        assert post(web.http(), photo())[0] == 200


def test_an_upload_that_trickles_is_408_at_the_same_time() -> None:
    with running(timeout=0.5) as web, web.connect() as connection:
        start = time.monotonic()
        connection.sendall(head(1000))
        with contextlib.suppress(OSError):  # the server closed the connection
            while time.monotonic() - start < 5:
                connection.sendall(b"x")
                time.sleep(0.02)
        assert time.monotonic() - start < 3


def test_slow_headers_are_408() -> None:
    with running(timeout=0.3) as web:
        for sent in (b"", b"POST /v1/det", head(10)[:-2]):
            with web.connect() as connection:
                connection.sendall(sent)
                assert parsed(received(connection))[1]["error"]["code"] == "header_timeout"
        with web.connect() as connection:  # also for the second request of a connection
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"}"):
                answer += connection.recv(65536)
            connection.sendall(b"GET /hea")
            assert parsed(received(connection))[0] == 408


def test_a_long_detection_is_not_taken_for_slow_headers() -> None:
    predictor = Gate()
    with running(model(predictor=predictor), timeout=0.8) as web, web.connect() as connection:
        time.sleep(0.6)
        connection.sendall(head(len(photo()), "Connection: close\r\n") + photo())
        time.sleep(0.4)
        assert parsed(received(connection))[0] == 200


def test_cut_uploads_leave_nothing() -> None:
    with running() as web:
        for _ in range(20):
            with web.connect() as connection:
                connection.sendall(head(100_000) + b"x" * 50_000)
        until(lambda: web.service.memory.used == 0 and not web.server.server_state.tasks)
        assert post(web.http(), photo())[0] == 200
        counts = dict(web.service.requests._values)
    assert counts[("POST", "/v1/detect", "499")] == 20


def test_a_client_that_leaves_takes_its_image_out_of_the_queue() -> None:
    predictor = Gate()
    with running(model(predictor=predictor, max_batch=1)) as web:
        predictor.open.clear()
        predictor.batches.clear()
        with ThreadPoolExecutor(1) as threads:
            waiting = threads.submit(lambda: post(web.http(), photo()))
            until(lambda: web.server.server_state.tasks and not len(web.service.batchers["bright"]))
            with web.connect() as connection:
                connection.sendall(head(len(photo())) + photo())
                until(lambda: len(web.service.batchers["bright"]) == 1)
            until(lambda: len(web.server.server_state.tasks) == 1)
            predictor.open.set()
            assert waiting.result()[0] == 200
    assert predictor.batches == [1]


@pytest.mark.parametrize("declared", [True, False])
def test_a_client_that_sends_far_too_much_reads_the_answer(declared: bool) -> None:
    size, part = 100_000_000, bytes(1_000_000)
    with running() as web, web.connect() as connection:
        if declared:
            connection.sendall(head(size, "Connection: close\r\n"))
        else:
            connection.sendall(head(0, "Connection: close\r\nTransfer-Encoding: chunked\r\n").replace(b"Content-Length: 0\r\n", b""))
        for _ in range(size // len(part)):
            connection.sendall(part if declared else b"f4240\r\n" + part + b"\r\n")
            assert web.service.memory.used <= 20_000_000
        if not declared:
            connection.sendall(b"0\r\n\r\n")
        status, content = parsed(received(connection))
    assert (status, content["error"]["code"]) == (413, "too_large")


def test_a_client_that_asks_first_is_refused_before_it_sends() -> None:
    with running() as web:
        with web.connect() as connection:
            connection.sendall(head(100_000_000, "Expect: 100-continue\r\n"))
            answer = received(connection)
            assert parsed(answer)[0] == 413
            assert b"connection: close" in answer.lower()
        with web.connect() as connection:
            connection.sendall(head(len(photo()), "Expect: 100-continue\r\nConnection: close\r\n"))
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
            connection.sendall(photo())
            assert parsed(received(connection))[0] == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),
        b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 200_000,
    ],
)
def test_what_is_no_http_is_400_in_json(sent: bytes) -> None:
    with running() as web, web.connect() as connection:
        connection.sendall(sent)
        try:
            answer = received(connection)
        except ConnectionResetError:  # after more bytes than the server reads
            assert len(sent) > 65536
            return
        status, content = parsed(answer)
    assert (status, content["error"]["code"]) == (400, "invalid_request")


def refuses(web: Any) -> bool:
    try:
        web.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_stop_answers_what_was_accepted() -> None:
    predictor = Gate()
    with running(model(predictor=predictor, max_batch=2)) as web, ThreadPoolExecutor(12) as threads:
        predictor.open.clear()
        accepted = [threads.submit(lambda: post(web.http(), photo())) for _ in range(10)]
        uploading = web.connect()
        uploading.sendall(head(len(photo())) + photo()[:10])
        until(lambda: len(web.service.batchers["bright"]) >= 8)
        until(lambda: len(web.server.server_state.tasks) == 11)
        web.stop()
        until(lambda: web.service.stopping)
        until(lambda: refuses(web))
        uploading.sendall(photo()[10:])
        predictor.open.set()
        assert [one.result(30)[0] for one in accepted] == [200] * 10
        assert parsed(received(uploading))[0] == 200
        web.thread.join(10)
        assert not web.thread.is_alive()


def test_a_stop_takes_no_longer_than_the_grace_time() -> None:
    predictor = Gate()
    with running(model(predictor=predictor), grace=1.0) as web, ThreadPoolExecutor(2) as threads:
        predictor.open.clear()
        waiting = threads.submit(lambda: post(web.http(), photo()))
        until(lambda: len(web.server.server_state.tasks) == 1)
        start = time.monotonic()
        web.stop()
        status, content = waiting.result(30)
        assert (status, content["error"]["code"]) == (503, "stopping")
        assert 0.7 < time.monotonic() - start < 5
        predictor.open.set()


def test_idle_connections_do_not_delay_a_stop() -> None:
    with running() as web, web.connect(), web.connect() as used:
        used.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert used.recv(10)
        start = time.monotonic()
        web.stop()
        web.thread.join(10)
        assert time.monotonic() - start < 5


def test_an_address_that_cannot_be_used() -> None:
    bound = server.bind("127.0.0.1", 0)
    bound.listen()
    port = bound.getsockname()[1]
    with bound, pytest.raises(OSError, match=f"--host 127.0.0.1 --port {port}: the address cannot be used .*; give another --port, or 0"):
        server.bind("127.0.0.1", port)
    with pytest.raises(OSError, match="no-such-host.invalid"):
        server.bind("no-such-host.invalid", 0)


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("localhost", True), ("0.0.0.0", False), ("::1", True)])
def test_addresses(host: str, loopback: bool) -> None:
    try:
        bound = server.bind(host, 0)
    except OSError:
        assert host == "::1", "without IPv6"
        return
    with bound:
        assert server.is_loopback(bound) == loopback
        assert server.address_of(bound).startswith("http://[::1]:" if bound.family == socket.AF_INET6 else "http://")


def test_requests_have_answers_in_a_storm_of_all_kinds() -> None:
    """Concurrent good, bad, cut and refused requests: every complete one has the status of its kind."""
    bodies: list[tuple[bytes, dict[str, str], int]] = [
        *((photo(), BINARY, 200), (b"x", BINARY, 422), (photo(), {"Content-Type": "text/plain"}, 415)),
        *((b"{}", {"Content-Type": "application/json"}, 400), (bytes(2_000_000), BINARY, 413)),
    ]
    with running(max_bytes=1_000_000, queue=200) as web:
        wrong: list[Any] = []

        def work(number: int) -> None:
            connection = web.http()
            for step in range(10):
                body, headers, expected = bodies[(number + step) % len(bodies)]
                status, content = post(connection, body, headers=headers)
                if status != expected:
                    wrong.append((status, expected, content))
            with web.connect() as cut:
                cut.sendall(head(5000) + b"x")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        until(lambda: web.service.memory.used == 0)
    assert not wrong
