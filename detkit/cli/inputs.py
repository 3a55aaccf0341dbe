"""From the words of a command line to image files, and to videos where a command takes them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from importlib import resources
from pathlib import Path


def image_files(words: Sequence[str], videos: bool = False) -> list[Path]:
    """The files that words name: a file is itself, a folder its images (not those of folders in it), a pattern what it matches.

    With ``videos`` a folder's videos are its images too.

    Patterns are expanded here, because Windows' shells do not; ``**`` goes into folders. Each file comes once, in order.
    A plain name that does not exist stays, to be reported with the files that cannot be read.

    Raises:
        FileNotFoundError: nothing that was named exists.
        ValueError: a folder has no images, or a word is an address.
    """
    found: dict[Path, None] = {}
    for word in words:
        found.update(dict.fromkeys(_expanded(word, videos)))
    files = list(found)
    if not any(path.exists() for path in files):
        raise FileNotFoundError(
            f"no such image: {', '.join(str(path) for path in files[:3])}; give files, folders, or patterns such as 'photos/*.jpg'"
        )
    return files


def images_or_sample(words: Sequence[str], videos: bool = False) -> list[Path]:
    """:func:`image_files`, or where nothing is named :func:`sample_photograph`."""
    return image_files(words, videos) if words else [sample_photograph()]


def sample_photograph() -> Path:
    """A photograph inside scikit-image's package, of a cat.

    Raises:
        FileNotFoundError: it is not there.
    """
    path = Path(str(resources.files("skimage"))) / "data" / "chelsea.png"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: scikit-image's photograph is not here; name a image of yours: detkit detect IMAGE")
    return path


def _expanded(word: str, videos: bool) -> list[Path]:
    path = Path(word)
    if path.is_dir():
        return _images_in(path, videos)
    if path.exists():
        return [path]
    if "://" in word:
        raise ValueError(f"{word}: addresses are not fetched; download the image and give its file")
    if not glob.has_magic(word):
        return [path]
    images = [image for match in _matches(word) for image in (_images_in(match, videos, needed=False) if match.is_dir() else [match])]
    if not images:
        raise FileNotFoundError(f"{word}: the pattern matches no file")
    return images


def _matches(word: str) -> list[Path]:
    """What a pattern matches; if that is nothing, what it matches where brackets in the name of a folder that exists mean themselves."""
    found = glob.glob(word, recursive=True)
    folder = next((parent for parent in Path(word).parents if parent.is_dir()), None)
    if not found and folder is not None and glob.has_magic(str(folder)):
        found = glob.glob(str(Path(glob.escape(str(folder))) / Path(word).relative_to(folder)), recursive=True)
    return [Path(match) for match in sorted(found)]


def _images_in(folder: Path, videos: bool, needed: bool = True) -> list[Path]:
    from detkit.data.files import visible
    from detkit.data.images import IMAGE_EXTENSIONS
    from detkit.data.video import VIDEO_EXTENSIONS

    endings = (*IMAGE_EXTENSIONS, *VIDEO_EXTENSIONS) if videos else IMAGE_EXTENSIONS
    images = [path for path in visible(folder.iterdir()) if path.suffix.lower() in endings and path.is_file()]
    if not images and needed:
        folders = sum(path.is_dir() for path in folder.iterdir())
        advice = f"; it has {folders} folders: give '{folder}/**/*.jpg' to look into them" if folders else ""
        raise ValueError(f"{folder}: the folder has no images ({', '.join(IMAGE_EXTENSIONS[:4])}, ...){advice}")
    return images
