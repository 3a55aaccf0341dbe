"""The page at /: one HTML file with everything inside, to try the models of a server in a browser."""

from __future__ import annotations

from functools import cache
from importlib import resources

from detkit.about import __version__
from detkit.report.markup import Html, tag

STYLES = (("detkit.report", "base.css"), ("detkit.serve", "page.css"))
SCRIPTS = ("api.js", "view.js", "files.js", "camera.js", "page.js")
_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src data: blob:; media-src blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""Headers of the page: the browser itself refuses to load anything from elsewhere."""


@cache
def page_html() -> str:
    """Return the page."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        Html('<meta name="color-scheme" content="light dark">'),
        Html('<link rel="icon" href="data:,">'),
        tag("title", "detkit"),
        tag("style", Html("\n".join(_asset(package, name) for package, name in STYLES))),
    )
    script = tag("script", Html("\n".join(_asset("detkit.serve", name) for name in SCRIPTS)))
    body = _asset("detkit.serve", "page.html").replace("@@VERSION@@", __version__)
    return "<!DOCTYPE html>\n" + tag("html", head, tag("body", Html(body), script), lang="en")


def _asset(package: str, name: str) -> str:
    """Return a file of the ``assets`` folder of a package."""
    return (resources.files(package) / "assets" / name).read_text("utf-8").strip()
