"""Label Studio's JSON: a list of tasks with regions in percent of their image."""

from __future__ import annotations

import re
from pathlib import Path

from detkit.data.readers.image_lists import ImageListReader
from detkit.data.readers.label_files import image_folder
from detkit.data.readers.label_studio.tasks import Task, parse_file
from detkit.data.readers.locations import ImageFinder
from detkit.data.readers.objects import RawEntry
from detkit.data.readers.protocol import ReadOptions
from detkit.data.report import ReadIssue, ReadReport

_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
"""The start of the name of an uploaded image, before its own name."""


class LabelStudioReader(ImageListReader[Task]):
    """Rectangles, ellipses and polygons of the ground truth, or else of the newest annotation; brushes and keypoints are skipped."""

    name = "Label Studio JSON"
    kind = "label_studio"
    expects = "a .json file as exported by Label Studio (JSON or JSON-MIN), or a folder with one"

    def _parse(self, file: Path) -> list[Task]:
        return parse_file(file)

    def _entries(self, images: list[Task], file: Path, options: ReadOptions, report: ReadReport) -> tuple[list[RawEntry], Path]:
        return _entries(images, file, options, report)

    def _image_root(self, folder: Path, images: list[Task], split: str | None) -> Path:
        return _image_root(folder, [image.image for image in images], split)


def _entries(tasks: list[Task], file: Path, options: ReadOptions, report: ReadReport) -> tuple[list[RawEntry], Path]:
    """Return the images of the tasks, and the folder that they are in."""
    own = [_own_name(task) for task in tasks]
    folder = options.images or _image_folder(file, [task.image for task in tasks], own, options)
    finder = ImageFinder(folder, report.source, outside=options.outside)
    names = [_existing_name(task.image, name, finder) for task, name in zip(tasks, own, strict=True)]
    numbers = [task.task_id for task in tasks]
    ids = [number for number in numbers if number is not None]
    unique = len(set(ids)) == len(tasks)
    entries = []
    for index, (task, name, path) in enumerate(zip(tasks, names, finder.find(names, report), strict=True)):
        report.add(ReadIssue.OTHER_ANNOTATION, name, task.others)
        report.add(ReadIssue.PREDICTION, name, task.predictions)
        report.add(ReadIssue.TURNED_VIEW, name, int(task.is_turned))
        image_id = ids[index] if unique else name
        entries.append(RawEntry(name, image_id, path, task.size, task.objects, task.skipped, task.is_labeled))
    return entries, folder


def _own_name(task: Task) -> str:
    """Return the name that an image had before it was uploaded."""
    name = task.image.rpartition("/")[2]
    return _PREFIX.sub("", name) if task.is_upload else task.image


def _image_folder(file: Path, names: list[str], own: list[str], options: ReadOptions) -> Path:
    try:
        return image_folder(file, names, outside=options.outside)
    except ValueError:
        if own == names:
            raise
    return image_folder(file, own, outside=options.outside)


def _existing_name(name: str, own: str, finder: ImageFinder) -> str:
    """Return the name that exists: the one in Label Studio, or the one before the upload."""
    if own == name or finder.has_path(name):
        return name
    plain = name.rpartition("/")[2]
    return next((one for one in (plain, own) if finder.has_path(one)), name if finder.has_name(name) else own)


def _image_root(folder: Path, names: list[str], split: str | None) -> Path:
    """Return the folder that all images share by the usual names, as paths in Label Studio begin at a folder of its own."""
    for part in (f"images/{split}", "images"):
        if all(name.startswith(f"{part}/") for name in names) and (folder / part).is_dir():
            return folder / part
    return folder
