"""Reading of UTF-8 text files, with or without a byte order mark."""

from pathlib import Path


def read_text(file: Path) -> str:
    """Read a UTF-8 text file without the byte order mark (BOM) that editors under Windows may add.

    Raises:
        ValueError: If the file is not UTF-8.
    """
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not a text file in UTF-8 (byte {error.start}: {error.reason}); save it as UTF-8") from None


def read_lines(file: Path) -> list[str]:
    """Read the non-blank lines of a UTF-8 text file, without surrounding white space.

    Raises:
        ValueError: If the file is not UTF-8.
    """
    return [line.strip() for line in read_text(file).splitlines() if line.strip()]
