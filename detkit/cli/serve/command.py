"""Serve detectors over HTTP, with a page to try them.

    detkit serve                                      the detector inside the package, at http://127.0.0.1:8000
    detkit serve runs/light-1
    detkit serve old=runs/light-1 new=runs/light-2    two models; the page compares them
    detkit serve light.onnx --host 0.0.0.0 --api-key-file key.txt

    curl -F image=@photo.jpg http://127.0.0.1:8000/v1/detect
    curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' 'http://127.0.0.1:8000/v1/detect?min_score=0.3&classes=person,dog'

POST /v1/detect takes forms with files, the bytes of an image, and JSON with base64. GET /v1/model describes a model; /health, /ready and
/metrics (Prometheus) are for operation; /openapi.json describes everything. Images of concurrent requests run in batches. No address or
path in a request is ever opened.

Only programs on this machine reach the server unless --host is given. The key of the API is read from --api-key-file, or from the
environment variable DETKIT_API_KEY; the page, /health, /ready, /metrics and /openapi.json need no key.

Ctrl-C or SIGTERM stops the server: it accepts no more connections, answers the requests it has, for at most --grace seconds, and exits
with code 0. For encryption (https), and so for the camera on the page from other machines, put a reverse proxy in front of it.
"""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from detkit.cli.flags import DEFAULT_MIN_SCORE, MODEL_HELP, add_flags, add_min_score, class_names
from detkit.cli.options import bind
from detkit.cli.report import listed
from detkit.cli.values import parse_number, positive
from detkit.printable import printable
from detkit.serve.settings import Settings

if TYPE_CHECKING:
    from detkit.serve.models import Model

_LIBRARIES = {"fastapi", "starlette", "uvicorn", "h11", "python_multipart"}
_LARGEST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Options of ``detkit serve``.

    Attributes:
        models: The models, as MODEL or NAME=MODEL; empty: the one inside the package.
        latest: Whether to serve the newest run, after the other models.
        host: Address at which the server listens.
        port: Port; 0: a free one.
        api_key_file: File with the key of the API.
        cors_origin: Origins of other web pages that may use the API.
        min_score: Lowest score that is reported when a request gives none; None: the models' operating points or suggestions.
        classes: Classes to report, or phrases to look for; None: all classes.
        max_detections: Maximum number of detections per image.
        device: Name of the device.
        precision: Number format.
        runtime: Name of the runtime; None: torch, or that of an exported file.
        threads: Number of threads on which a model runs.
        max_batch: Most images that run together.
        max_wait_ms: Longest time that an image waits for others.
        queue: Most images that wait for a model.
        max_bytes: Largest body of a request.
        max_images: Most images of a request.
        timeout: Longest time of a request, in seconds.
        grace: Longest time to answer accepted requests at the end, in seconds.
        log_requests: Whether every request is logged.
    """

    models: tuple[str, ...] = ()
    latest: bool = False
    host: str = "127.0.0.1"
    port: int = 8000
    api_key_file: str | None = None
    cors_origin: tuple[str, ...] = ()
    min_score: float | None = None
    classes: tuple[str, ...] | None = None
    max_detections: int | None = None
    device: str = "auto"
    precision: str = "auto"
    runtime: str | None = None
    threads: int | None = None
    max_batch: int | None = None
    max_wait_ms: float = 1000 * Settings.max_wait
    queue: int = Settings.queue
    max_bytes: int = Settings.max_bytes
    max_images: int = Settings.max_images
    timeout: float = Settings.timeout
    grace: float = Settings.grace
    log_requests: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``detkit serve``."""
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"a detector, also as NAME=MODEL: {MODEL_HELP} (default: embedded, inside the package)"
    )
    add_flags(parser, "--latest", help="serve the best checkpoint of your newest run under runs/, after the models that are named")
    access = parser.add_argument_group("access")
    access.add_argument(
        "--host", metavar="ADDRESS", help="address to listen at; 0.0.0.0: reachable from other machines (default: %(default)s)"
    )
    access.add_argument("--port", type=_port, metavar="N", help="port to listen at; 0: a free one, which is printed (default: %(default)s)")
    access.add_argument(
        "--api-key-file", metavar="FILE", help="file with the key that requests must have (default: DETKIT_API_KEY, or none)"
    )
    access.add_argument(
        "--cors-origin",
        nargs="+",
        action="extend",
        metavar="ORIGIN",
        help="other web pages that may use the API, such as https://example.org",
    )
    models = parser.add_argument_group("models")
    add_min_score(models, "lowest score reported when a request gives none")
    add_flags(models, "--classes", help="report only these classes; with a clip or clip_rcnn model: the phrases to look for")
    add_flags(models, "--max-detections", "--device", "--precision", "--runtime")
    models.add_argument("--threads", type=positive, metavar="N", help="threads on which a model runs (default: one per core)")
    _add_limits(parser.add_argument_group("limits"))
    parser.add_argument("--log-requests", action="store_true", help="log every request")
    bind(parser, ServeOptions, run)


def _add_limits(group: argparse._ArgumentGroup) -> None:
    batch = "most images that run together (default: 8 on a GPU, 1 on a CPU, or as an exported file states)"
    group.add_argument("--max-batch", type=positive, metavar="N", help=batch)
    wait = "longest time that an image waits for others that are being received (default: %(default)g)"
    group.add_argument("--max-wait-ms", type=_milliseconds, metavar="MS", help=wait)
    full = "most images that wait for a model; with more, requests are answered with 503 (default: %(default)s)"
    group.add_argument("--queue", type=positive, metavar="N", help=full)
    group.add_argument("--max-bytes", type=positive, metavar="N", help="largest body of a request (default: %(default)s)")
    group.add_argument("--max-images", type=positive, metavar="N", help="most images of one request (default: %(default)s)")
    group.add_argument("--timeout", type=_seconds, metavar="S", help="longest time of a request, in seconds (default: %(default)g)")
    group.add_argument(
        "--grace", type=_seconds, metavar="S", help="longest time to answer requests at the end, in seconds (default: %(default)g)"
    )


def run(options: ServeOptions) -> int:
    """Load the models, and serve until a signal; 0 after a normal stop."""
    try:
        from detkit.serve import server
        from detkit.serve.service import Service
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _LIBRARIES:
            raise
        raise ImportError(f"detkit serve needs {error.name}, which is not installed: pip install 'detkit-vision[serve]'") from None
    settings = _settings(options)
    with server.bind(options.host, options.port) as bound:
        service = Service(_models(options), settings)
        if settings.api_key is None and not server.is_loopback(bound):
            warning = "other machines reach this server, and it has no key: anyone can use it; set one with --api-key-file"
            print(f"detkit: warning: {warning}", file=sys.stderr)

        def started() -> None:
            print(f"serving {listed(service.names, 10)} at {server.address_of(bound)} (Ctrl-C stops)", flush=True)

        server.run(server.build(service, started, log_requests=options.log_requests), bound)
    return 0


def _settings(options: ServeOptions) -> Settings:
    from detkit.serve.security import read_key

    for origin in options.cors_origin:
        if origin != "*" and not (origin.startswith(("http://", "https://")) and origin.count("/") == 2):
            raise ValueError(f"--cors-origin: expected an origin such as https://example.org, without a path, or *; got {origin!r}")
    return Settings(
        max_bytes=options.max_bytes,
        max_images=min(options.max_images, options.queue),
        queue=options.queue,
        max_wait=options.max_wait_ms / 1000,
        timeout=options.timeout,
        grace=options.grace,
        api_key=read_key(options.api_key_file),
        cors_origins=options.cors_origin,
    )


def _models(options: ServeOptions) -> list[Model]:
    """Load the models, and print a line about each."""
    from detkit.cli.resolve import resolve_model
    from detkit.serve.models import load_model, named_sources, set_threads

    newest = [str(resolve_model(None, latest=True)[0])] if options.latest else []
    if options.threads is not None:
        set_threads(options.threads)
    models = []
    for name, source in named_sources([*options.models, *newest] or ["embedded"]).items():
        model = load_model(
            name,
            _source(source),
            device=options.device,
            precision=options.precision,
            min_score=options.min_score,
            default_min_score=DEFAULT_MIN_SCORE,
            max_batch=options.max_batch,
            classes=class_names(options.classes, ()),
            max_detections=options.max_detections,
            **({} if options.runtime is None else {"runtime": options.runtime}),
        )
        predictor = model.predictor
        count = f"{len(model.class_names)} class{'es' * (len(model.class_names) != 1)}"
        print(f"model {printable(name)}: {printable(source)} ({count}), on {predictor.device} in {predictor.precision}", flush=True)
        models.append(model)
    return models


def _source(word: str) -> str:
    """Return a model for :func:`detkit.inference.load`; an exported file is used without what imports torch."""
    from detkit.inference.runtime import is_exported

    if is_exported(word):
        return word
    from detkit.cli.resolve import resolve_model

    return str(resolve_model(word)[0])


def _port(text: str) -> int:
    expected = f"a port from 0 to {_LARGEST_PORT},"
    return int(parse_number(text, lambda value: 0 <= value <= _LARGEST_PORT and value.is_integer(), expected))


def _milliseconds(text: str) -> float:
    return parse_number(text, lambda value: 0 <= value <= 10_000, "milliseconds, from 0 to 10000;")


def _seconds(text: str) -> float:
    return parse_number(text, lambda value: 0 < value < math.inf, "seconds, a number above 0;")
