"""Load for a server, in a process of its own: clients with open connections that send JPEGs one after another.

python tools/benchmarks/serve_load.py PORT CLIENTS SECONDS IMAGE...    prints JSON
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

PATIENCE = 120.0
"""Seconds that a client waits for an answer."""
RETRY = 0.2
"""Seconds that a client waits after an answer other than 200; less than a server asks for, to keep its queue full."""


def request(body: bytes) -> bytes:
    """Return the bytes of a request."""
    head = f"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes) -> int:
    """Send a request, read its answer, and return the status."""
    writer.write(message)
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    await reader.readexactly(length)
    return int(head[9:12])


async def client(number: int, port: int, messages: list[bytes], end: float, answers: list[tuple[float, float, int]]) -> None:
    """Send requests until the end; an answer is its time, its latency and its status, which is 0 for a broken connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (start := time.perf_counter()) < end:
        number += 1
        try:
            status = await asyncio.wait_for(exchange(reader, writer, messages[number % len(messages)]), PATIENCE)
        except (OSError, EOFError, ValueError, TimeoutError):
            answers.append((start, 0.0, 0))
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        now = time.perf_counter()
        answers.append((now, now - start, status))
        if status != 200:
            await asyncio.sleep(RETRY)
    writer.close()


async def load(port: int, clients: int, seconds: float, messages: list[bytes]) -> dict[str, object]:
    """Run all clients, and return the answers and the processor time that this process took."""
    answers: list[tuple[float, float, int]] = []
    begin, before = time.perf_counter(), os.times()
    await asyncio.gather(*(client(number, port, messages, begin + seconds, answers) for number in range(clients)))
    after = os.times()
    rows = [(round(when - begin, 4), round(latency, 5), status) for when, latency, status in answers]
    processor = after.user - before.user + after.system - before.system
    return {"answers": rows, "seconds": time.perf_counter() - begin, "processor_seconds": processor}


def main(words: list[str]) -> None:
    """Print the result as JSON."""
    port, clients, seconds = int(words[0]), int(words[1]), float(words[2])
    messages = [request(Path(word).read_bytes()) for word in words[3:]]
    print(json.dumps(asyncio.run(load(port, clients, seconds, messages))))


if __name__ == "__main__":
    main(sys.argv[1:])
