"""Fonts that have the characters of a class name."""

from __future__ import annotations

import logging
import os
import sys
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
log = logging.getLogger(__name__)

_PREFERRED = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "segoeui.ttf",
    "Arial.ttf",
    "arial.ttf",
    "Helvetica.ttc",
)
_MISSING = "\uffff"
"""A code point that is no character, so that every font draws its sign for a missing one."""


def font_for(text: str, size: int) -> Font | None:
    """The first font that has every character of ``text``: Pillow's own, ``DETKIT_FONT``, then those of the system.

    ``None`` when there is none; see :func:`drawable`.
    """
    return next((font for font in _fonts(size) if all(_has(font, char) for char in text if not char.isspace())), None)


@lru_cache(maxsize=1024)
def drawable(text: str, instead: str) -> str:
    """``text`` when some font here can draw it, else without accents, else ``instead`` (told once in the log)."""
    if font_for(text, 16) is not None:
        return text
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    if font_for(plain, 16) is not None:
        return plain
    log.warning("no font here can draw %r, so %r is drawn; set DETKIT_FONT to a font file that has it", text, instead)
    return instead


@lru_cache(maxsize=256)
def _font(path: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(path, size)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _default(size: int) -> Font:
    return ImageFont.load_default(size)


def _fonts(size: int) -> Iterator[Font]:
    chosen = os.environ.get("DETKIT_FONT")
    if chosen:
        font = _font(chosen, size)
        if font is None:
            raise ValueError(f"DETKIT_FONT={chosen}: expected a font file (.ttf, .otf, .ttc) that can be read")
        yield font
    yield _default(size)
    yield from (font for path in _system_fonts() if (font := _font(path, size)) is not None)


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[str, ...]:
    """The system's font files, plain upright ones first."""
    files = [path for folder in _folders() if folder.is_dir() for path in folder.rglob("*")]
    found = [path for path in files if path.suffix.lower() in {".ttf", ".otf", ".ttc"}]
    rank = {name: place for place, name in enumerate(_PREFERRED)}
    odd = ("bold", "italic", "oblique", "mono", "serif", "condensed", "light")
    return tuple(str(path) for path in sorted(found, key=lambda p: (rank.get(p.name, 99), any(w in p.name.lower() for w in odd), str(p))))


def _folders() -> list[Path]:
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), Path.home() / "Library/Fonts"]
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts", Path.home() / ".local/share/fonts"]


def _has(font: Font, char: str) -> bool:
    return _mask(font, char) != _mask(font, _MISSING)


@lru_cache(maxsize=4096)
def _mask(font: Font, char: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(char)
    return mask.size, bytes(mask)
