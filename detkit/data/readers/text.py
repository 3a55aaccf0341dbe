"""Text files as people's editors write them."""

from pathlib import Path


def text_of(file: Path) -> str:
    """A text file in UTF-8, without the mark (BOM) that editors under Windows put before it.

    Raises:
        ValueError: it is not UTF-8.
    """
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not a text file in UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8") from None


def lines_of(file: Path) -> list[str]:
    """The lines of a text file in UTF-8 that are not blank, without the space around them.

    Raises:
        ValueError: it is not UTF-8.
    """
    return [line.strip() for line in text_of(file).splitlines() if line.strip()]
