"""Selection of fonts that have all characters of a class name."""

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
_log = logging.getLogger(__name__)

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
"""A code point that is not a character, for which every font draws its missing-glyph symbol."""


def font_for(text: str, size: int) -> Font | None:
    """Return the first font that has every character of ``text``, or None if there is none; see :func:`drawable`.

    The order is ``DETKIT_FONT``, the default font of Pillow, then the fonts of the system.
    """
    return next((font for font in _fonts(size) if all(_has_glyph(font, char) for char in text if not char.isspace())), None)


@lru_cache(maxsize=1024)
def drawable(text: str, fallback: str) -> str:
    """Return ``text`` if a font has its characters, else the text without accents, else ``fallback`` (logged once)."""
    if font_for(text, 16) is not None:
        return text
    plain = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    if font_for(plain, 16) is not None:
        return plain
    _log.warning("no font has all characters of %r, drawing %r; set DETKIT_FONT to a font file that has them", text, fallback)
    return fallback


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
    path_from_environment = os.environ.get("DETKIT_FONT")
    if path_from_environment:
        font = _font(path_from_environment, size)
        if font is None:
            raise ValueError(f"DETKIT_FONT={path_from_environment}: expected a readable font file (.ttf, .otf, .ttc)")
        yield font
    yield _default(size)
    yield from (font for path in _system_fonts() if (font := _font(path, size)) is not None)


@lru_cache(maxsize=1)
def _system_fonts() -> tuple[str, ...]:
    """Return the font files of the system, regular upright ones first."""
    files = [path for folder in _font_folders() if folder.is_dir() for path in folder.rglob("*")]
    fonts = [path for path in files if path.suffix.lower() in {".ttf", ".otf", ".ttc"}]
    rank = {name: index for index, name in enumerate(_PREFERRED)}
    styles = ("bold", "italic", "oblique", "mono", "serif", "condensed", "light")
    return tuple(
        str(path) for path in sorted(fonts, key=lambda p: (rank.get(p.name, 99), any(s in p.name.lower() for s in styles), str(p)))
    )


def _font_folders() -> list[Path]:
    if sys.platform == "win32":
        return [Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), Path.home() / "Library/Fonts"]
    return [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path.home() / ".fonts", Path.home() / ".local/share/fonts"]


def _has_glyph(font: Font, char: str) -> bool:
    return _glyph(font, char) != _glyph(font, _MISSING)


@lru_cache(maxsize=4096)
def _glyph(font: Font, char: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(char)
    return mask.size, bytes(mask)
