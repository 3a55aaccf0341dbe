"""The findings of a check of all pixels: damaged files, duplicates within a part, and leaks between parts."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np

from detkit.arrays import Integers
from detkit.curation.duplicates.cache import PixelCache
from detkit.curation.duplicates.find import find_duplicates
from detkit.curation.duplicates.groups import Copies, Duplicates, Relation
from detkit.curation.duplicates.scan import Progress
from detkit.curation.duplicates.shifted import MOST_IMAGES
from detkit.curation.parts import WHOLE, LabeledParts
from detkit.data.checks import rules
from detkit.data.checks.findings import Finding, Others, Rule, Severity
from detkit.data.checks.shared_images import MOST_COMPARED
from detkit.data.readers import find_split

TRUNCATED_IMAGE = Rule(
    "truncated_image",
    Severity.ERROR,
    "images whose file ends too early",
    "download or export them again; training stops at the first of them",
)
UNDECODABLE_IMAGE = Rule(
    "undecodable_image",
    Severity.ERROR,
    "images that cannot be decoded",
    "replace or remove them; training stops at the first of them",
)
EXACT_DUPLICATE = Rule(
    "exact_duplicate",
    Severity.WARNING,
    "images with the same pixels as another image of the part",
    "remove the copies: their objects count several times, and their labels may differ",
)
NEAR_DUPLICATE = Rule(
    "near_duplicate",
    Severity.NOTE,
    "images that are recompressed, resized, mirrored, shifted or slightly changed copies of another image of the part",
    "nothing to do if they are wanted; keep them in one part: detkit data split does",
)
UNCOMPARED_SHIFTS = Rule(
    "uncompared_shifts",
    Severity.NOTE,
    f"images that were not searched for shifted copies, as there are more than {MOST_IMAGES:,}",
    "nothing to do unless they are neighboring views of the same things, such as frames of a video: check fewer parts at a time then",
)
NEAR_LEAK = Rule(
    "near_leak",
    Severity.WARNING,
    "images of which another part has a recompressed, resized, mirrored, shifted or slightly changed copy",
    "divide the data with detkit data split, which keeps copies together: the metrics are too high otherwise",
)


def check_pixels(
    parts: LabeledParts, *, workers: int | None = None, progress: Progress | None = None, cache: str | Path | None = None
) -> tuple[Finding, ...]:
    """Decode every image: find damaged files, duplicates and leaks between the parts.

    Results are stored as they come, so that a run that was stopped resumes, and a second one takes seconds. The same file, or files of the
    same bytes, in two parts are left to the check of the labels where it reports them.

    Args:
        parts: The data set.
        workers: Number of threads; None: one for each core.
        progress: Called after every image with the number of images done, and that of all.
        cache: Folder of stored results; None: ``detkit/pixels`` in the user's cache.
    """
    store = PixelCache.of(parts.name, None if cache is None else Path(cache))
    return duplicate_findings(parts, find_duplicates(parts, workers=workers, progress=progress, cache=store))


def duplicate_findings(parts: LabeledParts, duplicates: Duplicates) -> tuple[Finding, ...]:
    """Return the findings of a search for duplicates."""
    train = find_split(WHOLE, tuple(parts.parts)) or WHOLE
    names = sorted(parts.parts, key=lambda name: name != train)  # the training part first
    found = [finding for name in names for finding in (*_broken(parts, duplicates, name), *_within(parts, duplicates, name))]
    leaks = (_between(parts, duplicates, pair, train) for pair in combinations(names, 2))
    count = len(duplicates.images)
    limits = [Finding.of_texts(UNCOMPARED_SHIFTS, "", (), count)] if count > MOST_IMAGES else []
    return (*found, *(finding for findings in leaks for finding in findings), *limits)


def _broken(parts: LabeledParts, duplicates: Duplicates, name: str) -> Iterator[Finding]:
    data, images = parts.parts[name].data, duplicates.images.of_part[name].tolist()
    for rule in (TRUNCATED_IMAGE, UNDECODABLE_IMAGE):
        rows = [
            row
            for row, image in enumerate(images)
            if image in duplicates.broken and duplicates.broken[image].is_truncated is (rule is TRUNCATED_IMAGE)
        ]
        if rows:
            details = [duplicates.broken[images[row]].message.removeprefix(f"{data.records.paths[row]}: ") for row in rows]
            yield Finding.of_images(rule, name, data, np.array(rows, np.int64), details=details)


def _within(parts: LabeledParts, duplicates: Duplicates, name: str) -> Iterator[Finding]:
    """Yield the duplicates of a part: every image of a group but the first, with the image of which it is a copy."""
    data = parts.parts[name].data
    images, rows = np.unique(duplicates.images.of_part[name], return_index=True)
    row_of = dict(zip(images.tolist(), rows.tolist(), strict=True))
    groups = duplicates.groups[images]
    later = np.setdiff1d(images, images[np.unique(groups, return_index=True)[1]])
    for rule, cases in _cases(duplicates, later, images, (EXACT_DUPLICATE, NEAR_DUPLICATE)):
        others = Others(name, data, np.array([row_of[other] for _, other, _ in cases], np.int64))
        indices = np.array([row_of[image] for image, _, _ in cases], np.int64)
        yield Finding.of_images(rule, name, data, indices, details=[text for _, _, text in cases], other=others)


def _between(parts: LabeledParts, duplicates: Duplicates, pair: tuple[str, str], train: str) -> Iterator[Finding]:
    """Yield the leaks between two parts: the images of the first of which the second has copies."""
    (first, second), (one, other) = pair, [parts.parts[name].data for name in pair]
    tables = [np.unique(duplicates.images.of_part[name], return_index=True) for name in pair]
    images, partners = (table[0] for table in tables)
    row_of, partner_of = (dict(zip(table[0].tolist(), table[1].tolist(), strict=True)) for table in tables)
    common = np.intersect1d(images, partners)
    reported = {Relation.SAME_BYTES} if not len(common) and max(len(one), len(other)) <= MOST_COMPARED else set()
    candidates = np.setdiff1d(partners[np.isin(duplicates.groups[partners], duplicates.groups[images])], common)
    exact = rules.LEAK if first == train else rules.SHARED_IMAGE
    for rule, cases in _cases(duplicates, candidates, images, (exact, NEAR_LEAK), reported):
        others = Others(second, other, np.array([partner_of[image] for image, _, _ in cases], np.int64))
        indices = np.array([row_of[copy] for _, copy, _ in cases], np.int64)
        yield Finding.of_images(rule, first, one, indices, details=[text for _, _, text in cases], other=others)


_Case = tuple[int, int, str]
"""An image, its copy, and how they are related."""


def _cases(
    duplicates: Duplicates, images: Integers, among: Integers, rules_of: tuple[Rule, Rule], skipped: Collection[Relation] = ()
) -> Iterator[tuple[Rule, list[_Case]]]:
    """Yield the cases of exact and those of near copies, each with its rule, if there are any."""
    copies = Copies(duplicates, among)
    found = [(image, *copy) for image in images.tolist() if (copy := copies.of(image)) is not None]
    for rule, exact in zip(rules_of, (True, False), strict=True):
        cases = [
            (image, other, text)
            for image, other, relation, text in found
            if (relation is not Relation.NEAR) is exact and relation not in skipped
        ]
        if cases:
            yield rule, cases
