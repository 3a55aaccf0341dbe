"""Folders of label maps, such as ``images`` and ``masks``, or Pascal VOC's ``SegmentationClass``."""

from __future__ import annotations

import re
from pathlib import Path

from detkit.data.media.files import files_below, visible
from detkit.data.media.images import IMAGE_EXTENSIONS
from detkit.data.readers.assemble import assemble
from detkit.data.readers.mask_images import ImageMask, Palette, read_values, value_boxes
from detkit.data.readers.objects import RawEntry, RawObject, raw_labels
from detkit.data.readers.protocol import ReadOptions, is_split_name, resolve_split
from detkit.data.readers.semantic.palettes import find_palette, read_palette
from detkit.data.readers.text import read_lines
from detkit.data.records import DetectionData
from detkit.data.report import ReadIssue, ReadReport

_MASK_FOLDERS = ("masks", "mask", "label_maps", "segmentationclass")
_IMAGE_FOLDERS = ("images", "image", "jpegimages")
"""Names of folders, whatever their case."""
_LISTS = ("classes.txt", "labels.txt")
_IGNORED, _IGNORE_CLASS = 255, "ignore"
_NUMBERED = re.compile(r"(\d+)\s*[:,;\t ]\s*(.+)")
_BACKGROUND = "background"
VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""Classes of Pascal VOC in the order of the values in ``SegmentationClass``."""


class LabelMapReader:
    """One object for each class in an image, with all of its pixels as mask; pixels of value 255 are a region to ignore.

    The values are explained by a list of classes, ``classes.txt`` in the folder or in that of the label maps. Its line N is the class of
    value N, and 0 is background. A first line ``background`` is value 0, and lines such as ``7 road`` name their values. Label maps of
    colors need ``labelmap.txt`` with the color of each class; see :func:`read_palette`.
    """

    name = "label maps"
    kind = "label_maps"
    expects = "folders images and masks, or JPEGImages and SegmentationClass, with PNG files whose values are classes, and a classes.txt"

    def recognizes(self, path: Path) -> bool:
        """Return whether a folder, or each of its folders of splits, has folders of images and of label maps; or is one of label maps."""
        return path.is_dir() and (_pair(path) is not None or any(_pair(folder) for folder in _split_folders(path)))

    def splits(self, path: Path) -> tuple[str, ...]:
        """Return the names of the folders of splits, in the folder or in that of the label maps, or of VOC's lists of images."""
        pair = _pair(path)
        if pair is None:
            return tuple(folder.name for folder in _split_folders(path))
        return tuple(folder.name for folder in _split_folders(pair[1])) or tuple(_lists(pair[1]))

    def read(self, path: Path, options: ReadOptions) -> DetectionData:
        """Read one split; see :class:`Reader`. Every label map is decoded once, as it states which classes an image has.

        Raises:
            ValueError: If there is no list of classes, or a value is not in it.
        """
        split = resolve_split(path, options.split, self.splits(path))
        pair = _pair(path) or _pair(path / str(split))
        if pair is None:
            raise ValueError(f"{path / str(split)}: expected folders of images and of label maps, such as images and masks")
        images, maps = pair
        listed = _lists(maps).get(split or "")
        if listed is None and split is not None and (maps / split).is_dir():
            images, maps = images / split, maps / split
        images = options.images or images
        colors = find_palette((maps, path, maps.parent, path.parent))
        names, palette = (_class_names(path, maps), ()) if colors is None else read_palette(colors, _IGNORED)
        report = ReadReport(f"{path}{f' ({split})' if split else ''}")
        keep = None if listed is None else {line.strip() for line in read_lines(listed)}
        entries = []
        for image in _images(images):
            stem = _stem(image, images)
            if keep is not None and stem not in keep:
                continue
            if (label_map := maps / f"{stem}.png").is_file():
                entries.append(_entry(image, images, label_map, names, palette))
            else:
                report.add(ReadIssue.NO_LABEL_MAP, image.name)
        classes = (*dict.fromkeys(names.values()), _IGNORE_CLASS)
        used = any(item.name == _IGNORE_CLASS for entry in entries for item in entry.objects)
        classes = classes if used else classes[:-1]
        records = assemble(raw_labels(entries, classes, report, folder=str(images), states_sizes=False), options.check)
        return DetectionData(report.source, classes, tuple(range(1, len(classes) + 1)), records, report, image_root=str(images))


def _pair(path: Path) -> tuple[Path, Path] | None:
    """Return the folder of images and that of label maps in a folder, or next to it if it is one of label maps itself."""
    if not path.is_dir():
        return None
    if path.name.lower() in _MASK_FOLDERS:
        images = _folder(path.parent, _IMAGE_FOLDERS)
        return None if images is None or not _has_maps(path) else (images, path)
    images, maps = _folder(path, _IMAGE_FOLDERS), _folder(path, _MASK_FOLDERS)
    return None if images is None or maps is None or not _has_maps(maps) else (images, maps)


def _folder(path: Path, names: tuple[str, ...]) -> Path | None:
    folders = {entry.name.lower(): entry for entry in visible(path.iterdir()) if entry.is_dir()}
    return next((folders[name] for name in names if name in folders), None)


def _has_maps(folder: Path) -> bool:
    return any(path.suffix.lower() == ".png" for path in files_below(folder))


def _split_folders(path: Path) -> list[Path]:
    return [entry for entry in sorted(visible(path.iterdir())) if entry.is_dir() and is_split_name(entry.name)]


def _lists(maps: Path) -> dict[str, Path]:
    """Return VOC's lists of the images with label maps, by split."""
    return {file.stem: file for file in sorted(visible((maps.parent / "ImageSets" / "Segmentation").glob("*.txt")))}


def _images(folder: Path) -> list[Path]:
    return sorted(path for path in files_below(folder) if path.suffix.lower() in IMAGE_EXTENSIONS)


def _stem(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _class_names(path: Path, maps: Path) -> dict[int, str]:
    """Return the class of each value that is one.

    Raises:
        ValueError: If there is no list of classes.
    """
    folders = (maps, path, maps.parent, path.parent)
    file = next((folder / name for folder in folders for name in _LISTS if (folder / name).is_file()), None)
    if file is None and "SegmentationClass" in maps.parts:
        return dict(enumerate(VOC_CLASSES, 1))
    if file is None:
        raise ValueError(f"{path}: expected {path / _LISTS[0]} with the classes of the values, one on each line: line 1 is value 1")
    lines = [line.strip() for line in read_lines(file) if line.strip()]
    numbered = [_NUMBERED.fullmatch(line) for line in lines]
    if lines and all(numbered):
        values = {int(match[1]): match[2].strip() for match in numbered if match}
    else:
        values = dict(enumerate(lines, 0 if lines and lines[0].lower() == _BACKGROUND else 1))
    return {value: name for value, name in values.items() if name.lower() != _BACKGROUND and value != _IGNORED}


def _entry(image: Path, images: Path, map_path: Path, names: dict[int, str], palette: Palette) -> RawEntry:
    """Return an image with an object for each class in its label map.

    Raises:
        ValueError: If a value of the label map is not that of a class.
    """
    name, values = image.relative_to(images).as_posix(), read_values(map_path, palette)
    objects = []
    for value, box in value_boxes(values).items():
        if value in names or value == _IGNORED:
            mask = ImageMask(str(map_path), value, palette)
            objects.append(RawObject(names.get(value, _IGNORE_CLASS), box, mask=mask))
        elif value:
            known = ", ".join(map(str, sorted(names)))
            raise ValueError(f"{map_path}: value {value} is no class; expected 0, {_IGNORED}, or a value of the list of classes: {known}")
    return RawEntry(name, name, str(image), (values.shape[0], values.shape[1]), objects)
