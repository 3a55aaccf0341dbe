"""Images in more than one part: the same file, or files of the same bytes."""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from detkit.data.checks import rules
from detkit.data.checks.findings import Finding, Others
from detkit.data.records import DetectionData
from detkit.data.storage.files import stored_digest, stored_length

MOST_COMPARED = 20_000
"""Images of a part up to which the bytes of files are compared; of larger parts only the paths are."""
_SAMPLE = 4096
_SAME_FILE = "the same file"
_Pair = tuple[int, int, str]


def shared_image_findings(parts: Mapping[str, DetectionData], train: str) -> Iterator[Finding]:
    """Find images that are in two parts.

    A training image in another part is an error, unless both parts consist of the same files: whoever names the same files twice does so
    on purpose.
    """
    names = sorted(parts, key=lambda name: name != train)  # the training part first
    for first, second in combinations(names, 2):
        one, other = parts[first], parts[second]
        pairs = _same_paths(one.records.paths, other.records.paths)
        if not pairs and max(len(one), len(other)) > MOST_COMPARED:
            text = f"{first} and {second}: {len(one):,} and {len(other):,} images; files are compared up to {MOST_COMPARED:,}"
            yield Finding.of_texts(rules.UNCOMPARED_FILES, "", [text])
            continue
        pairs = pairs or _copies(one.records.paths, other.records.paths)
        if not pairs:
            continue
        images, partners = {image for image, _, _ in pairs}, {partner for _, partner, _ in pairs}
        same = len(images) == len(one) and len(partners) == len(other)
        if same and all(detail == _SAME_FILE for _, _, detail in pairs):
            yield Finding.of_texts(rules.SAME_PARTS, "", [f"{first} and {second}: {len(one):,} images"])
            continue
        rule = rules.LEAK if first == train else rules.SHARED_IMAGE
        others = Others(second, other, np.array([partner for _, partner, _ in pairs], np.int64))
        indices = np.array([image for image, _, _ in pairs], np.int64)
        yield Finding.of_images(rule, first, one, indices, details=[detail for _, _, detail in pairs], other=others)


def _same_paths(one: Sequence[str], other: Sequence[str]) -> list[_Pair]:
    """Return the index of an image in both, and how they are the same; by the second, each of its images once."""
    index_of = {path: index for index, path in enumerate(_absolute(one))}
    by_path = ((index_of.get(path), partner) for partner, path in enumerate(_absolute(other)))
    return [(image, partner, _SAME_FILE) for image, partner in by_path if image is not None]


def _absolute(paths: Sequence[str]) -> Sequence[str]:
    """Return paths from the root of the disk; those that already are need no look at each of a million."""
    text = "\n".join(["", *paths])
    if os.sep == "/" and text.count("\n/") == len(paths) == text.count("\n") and "//" not in text and "/." not in text:
        return paths
    return [os.path.abspath(path) for path in paths]


def _copies(one: Sequence[str], other: Sequence[str]) -> list[_Pair]:
    """Return the pairs of files of the same bytes; only files of a size that occurs in both are read."""
    sizes, other_sizes = ([_file_size(path) for path in paths] for paths in (one, other))
    common = (set(sizes) & set(other_sizes)) - {-1}
    index_of = {(size, _middle(path, size)): index for index, (path, size) in enumerate(zip(one, sizes, strict=True)) if size in common}
    pairs = []
    for partner, (path, size) in enumerate(zip(other, other_sizes, strict=True)):
        image = index_of.get((size, _middle(path, size))) if size in common else None
        if image is not None and _are_equal(path, one[image]):
            pairs.append((image, partner, "the same bytes"))
    return pairs


def _middle(path: str, size: int) -> bytes:
    """Return a hash of bytes in the middle of a file, where images of equal size differ; of a member of a shard, the one in its index."""
    digest = stored_digest(path)
    if digest is not None:
        return bytes.fromhex(digest)
    try:
        with open(path, "rb") as file:
            file.seek(max(0, (size - _SAMPLE) // 2))
            return hashlib.blake2b(file.read(_SAMPLE), digest_size=16).digest()
    except OSError:
        return b""


def _are_equal(one: str, other: str) -> bool:
    if stored_digest(one) is not None:
        return stored_digest(one) == stored_digest(other)
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _file_size(path: str) -> int:
    length = stored_length(path)
    if length is not None:
        return length
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
